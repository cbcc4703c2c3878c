//! What the events of a conversation say.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    body::Body,
    emoji::Emoji,
    ids::{ClientMessageId, UserId},
    timestamp::Timestamp,
};

/// Also moves the sender's read and delivered cursors to this message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSent {
    /// The message's number in its conversation, gapless from 1.
    pub conversation_seq: u64,
    pub message_id: Uuid,
    pub client_message_id: ClientMessageId,
    pub body: Body,
    /// The conversationSeq of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// A backend service sent it in the actor's name: what a card says is the marketplace's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_service: bool,
}

impl MessageSent {
    /// Whether the marketplace says that the people of the conversation have an order.
    pub fn is_order(&self) -> bool {
        self.by_service && matches!(self.body, Body::Order(_))
    }
}

/// Everything up to `through_seq` has arrived at, or been read by, this person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CursorMoved {
    pub user_id: UserId,
    pub through_seq: u64,
    /// Only this person may learn of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// The message says this from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageEdited {
    pub conversation_seq: u64,
    /// In groups and channels: of the event that sent it, so that whoever came after that is not
    /// told what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_version: Option<u64>,
    pub body: Body,
}

/// The message says nothing any more, to anybody; it keeps its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeleted {
    pub conversation_seq: u64,
    /// `expired`, or what a backend service gave; none if its sender did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is left of the message once the event that sent it was erased from the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<DeletedMessage>,
    /// An order was in the conversation by then; the message that said so may be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_order: bool,
}

/// A message without what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedMessage {
    pub message_id: Uuid,
    pub client_message_id: ClientMessageId,
    pub sender_id: UserId,
    /// Of the event that sent it.
    pub version: u64,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The actor's reaction to a message, added or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    pub conversation_seq: u64,
    pub emoji: Emoji,
}
