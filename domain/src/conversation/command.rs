//! What may be asked of a conversation.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Sent, Title};
use crate::{
    body::{Attachment, Body},
    emoji::Emoji,
    event::Role,
    ids::{ClientMessageId, ConversationId, DeviceId, UserId},
    masking::Masking,
    timestamp::Timestamp,
};

/// What may be asked of a conversation, with everything that is not its own to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub conversation_id: ConversationId,
    pub actor: Actor,
    pub time: Timestamp,
    /// UUIDv7 for the event, should there be one; also the id of the message it sends.
    pub event_id: Uuid,
    pub action: Action,
    /// What people may not write to each other before they have an order.
    pub masking: Masking,
    /// The message that the action is about, if [`Conversation::wants`] it: as it is now.
    pub message: Option<Box<Sent>>,
    /// The files of the message to be sent, if [`Conversation::wants_attachments`]: those of them
    /// that the actor may send here.
    pub attachments: Vec<Attachment>,
}

/// Whose act it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    pub scope: Scope,
    /// Does not want others to learn how far they have read in direct conversations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_discreet: bool,
}

/// On whose behalf the caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// A person, for themselves.
    User,
    /// A backend service of the marketplace, for a person.
    Service,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    SendMessage {
        client_message_id: ClientMessageId,
        /// Already [`Body::validated`].
        body: Body,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
    },
    MarkDelivered {
        through_seq: u64,
    },
    MarkRead {
        through_seq: u64,
    },
    EditMessage {
        conversation_seq: u64,
        /// Already [`Body::validated`].
        body: Body,
    },
    /// For everyone.
    DeleteMessage {
        conversation_seq: u64,
        /// Backend services only: with it, any message at any time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its time is over; the actor is its sender. Nobody outside asks for it.
    ExpireMessage {
        conversation_seq: u64,
    },
    AddReaction {
        conversation_seq: u64,
        emoji: Emoji,
    },
    RemoveReaction {
        conversation_seq: u64,
        emoji: Emoji,
    },
    /// Of a group or channel, as its id says.
    Create {
        title: Title,
        /// Besides the actor, who owns it.
        members: Vec<UserId>,
    },
    /// Of somebody who is in it already, it changes the role, if one is given.
    AddMember {
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
    },
    /// Oneself: leave.
    RemoveMember {
        user_id: UserId,
    },
    ChangeRole {
        user_id: UserId,
        role: Role,
    },
    Rename {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Title>,
    },
    SetTimer {
        seconds: u64,
    },
    Block,
    Unblock,
}

impl Action {
    /// The number of the message that it is about.
    pub(super) fn message(&self) -> Option<u64> {
        match self {
            Self::SendMessage { .. }
            | Self::MarkDelivered { .. }
            | Self::MarkRead { .. }
            | Self::Create { .. }
            | Self::AddMember { .. }
            | Self::RemoveMember { .. }
            | Self::ChangeRole { .. }
            | Self::Rename { .. }
            | Self::SetTimer { .. }
            | Self::Block
            | Self::Unblock => None,
            Self::EditMessage { conversation_seq, .. }
            | Self::DeleteMessage { conversation_seq, .. }
            | Self::ExpireMessage { conversation_seq }
            | Self::AddReaction { conversation_seq, .. }
            | Self::RemoveReaction { conversation_seq, .. } => Some(*conversation_seq),
        }
    }
}
