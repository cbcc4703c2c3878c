//! What the events of a conversation say.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    body::Body,
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
}

/// Everything up to `through_seq` has arrived at, or been read by, this person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CursorMoved {
    pub user_id: UserId,
    pub through_seq: u64,
}
