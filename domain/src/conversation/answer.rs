//! What a conversation answers: no, or what was done.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MAX_GROUP_MEMBERS, delete, react};
use crate::ids::{ClientMessageId, UserId};

/// Why a conversation says no. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such conversation")]
    NotFound,
    #[error("only a backend service may send this kind of message")]
    ServicesOnly,
    #[error("the clientMessageId {0} already names a message with another body")]
    ClientMessageIdReused(ClientMessageId),
    #[error("replyTo names no message; the last one is {last_seq}")]
    ReplyBeyondLast { last_seq: u64 },
    #[error("the last message is {last_seq}")]
    CursorBeyondLast { last_seq: u64 },
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("one of the two blocks the other")]
    Blocked,
    #[error("{0} is not a member")]
    NotMember(UserId),
    #[error("a group has {MAX_GROUP_MEMBERS} members at most")]
    GroupFull,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("there is no such message")]
    NoMessage,
    #[error("only its sender may do that to a message")]
    NotSender,
    #[error("that may be done for {hours} hours after a message was sent")]
    TooLate { hours: u64 },
    #[error("the message is deleted")]
    Deleted,
    #[error("the message has not expired")]
    NotExpired,
    #[error(
        "the attachment {0} is not there to be sent: its sender uploads it for this conversation \
         first, and sends it once"
    )]
    NoAttachment(Uuid),
    #[error("the attachments of a message stay as they are; only its text may be edited")]
    AttachmentsChanged,
    #[error("a reason is a backend service's to give: 1 to {max} characters, and not \"{expired}\"", max = delete::MAX_REASON_CHARACTERS, expired = delete::EXPIRED)]
    Reason,
    #[error("a message carries {emoji} different emoji and {all} reactions at most", emoji = react::MAX_EMOJI, all = react::MAX_REACTIONS)]
    TooManyReactions,
}

/// What the caller of an accepted command is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    Sent {
        client_message_id: ClientMessageId,
        message_id: Uuid,
        conversation_seq: u64,
        version: u64,
        /// The message was there already: these are its first numbers.
        duplicate: bool,
    },
    /// Where the caller's cursors are now; `version` is the conversation's.
    Cursor { version: u64, read_seq: u64, delivered_seq: u64 },
    /// It is done, now (`changed`) or before; `version` is the conversation's.
    Done { version: u64, changed: bool },
}

impl Answer {
    /// Of the conversation, with what was asked for.
    pub fn version(&self) -> u64 {
        match self {
            Self::Sent { version, .. }
            | Self::Cursor { version, .. }
            | Self::Done { version, .. } => *version,
        }
    }
}
