//! The bodies of commands and their answers, the same over HTTP and NATS (there with a
//! `conversationId`).

mod account;
mod conversation;

use parley_domain::{Action, Answer, Body, ClientMessageId, DeviceId, InvalidId};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

pub use self::account::{
    AddEndpoint, ClearDraft, Done, EndpointAnswer, Mute, NamedContact, NamedEndpoint,
    RegisterDevice, SaveDraft, UnlinkDevice,
};
pub use self::conversation::{
    ChangeRole, CreateConversation, Created, NamedMember, PutMember, Rename, SetTimer,
};
use crate::problem::{Code, Problem};

/// `POST /v1/conversations/{id}/messages`, `dm.cmd.message.send`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    pub client_message_id: SmolStr,
    /// If given, it must be the caller.
    #[serde(default)]
    pub sender_id: Option<SmolStr>,
    pub body: Body,
    #[serde(default)]
    pub reply_to: Option<u64>,
}

/// `POST …/read-cursors`, `dm.cmd.cursor.read`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadCursor {
    #[serde(default)]
    pub device_id: Option<SmolStr>,
    pub read_through_seq: u64,
}

/// `POST …/delivery-cursors`, `dm.cmd.cursor.delivered`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCursor {
    #[serde(default)]
    pub device_id: Option<SmolStr>,
    pub delivered_through_seq: u64,
}

/// `PATCH …/messages/{seq}`, `dm.cmd.message.edit`.
#[derive(Debug, Clone, Deserialize)]
pub struct EditMessage {
    pub body: Body,
}

/// `dm.cmd.message.delete`; over HTTP nobody gives a reason.
#[derive(Debug, Clone, Deserialize)]
pub struct DeleteMessage {
    #[serde(default)]
    pub reason: Option<String>,
}

/// `dm.cmd.reaction.add` and `dm.cmd.reaction.remove`; over HTTP a path.
#[derive(Debug, Clone, Deserialize)]
pub struct React {
    pub emoji: String,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { version: answer.version() }
    }
}

impl SendMessage {
    /// The action, for this caller; everything is checked that needs no conversation.
    pub fn into_action(self, caller: &str) -> Result<Action, Problem> {
        if self.sender_id.is_some_and(|sender| sender != caller) {
            return Err(Problem::new(Code::Forbidden, "senderId is not the caller"));
        }
        Ok(Action::SendMessage {
            client_message_id: ClientMessageId::parse(&self.client_message_id)?,
            body: self.body.validated()?,
            reply_to: self.reply_to,
        })
    }
}

/// Checks an optional device id.
pub fn device(id: Option<SmolStr>) -> Result<Option<DeviceId>, InvalidId> {
    id.map(|id| DeviceId::parse(&id)).transpose()
}

/// What a sender is told: the message is durable, under these numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAccepted {
    pub message_id: Uuid,
    pub conversation_seq: u64,
    pub version: u64,
    /// Always `accepted`.
    pub status: String,
    /// Only on a retry, whose numbers are those of the first time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// Where the caller's read cursor is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadCursorMoved {
    pub read_seq: u64,
}

/// Where the caller's delivered cursor is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCursorMoved {
    pub delivered_seq: u64,
}

impl MessageAccepted {
    /// From the answer to a send; `None` for an answer to something else.
    pub fn from_answer(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Sent { message_id, conversation_seq, version, duplicate, .. } => Some(Self {
                message_id,
                conversation_seq,
                version,
                status: "accepted".to_owned(),
                duplicate,
            }),
            Answer::Cursor { .. } | Answer::Done { .. } => None,
        }
    }
}
