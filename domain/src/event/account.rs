//! What the events of an account say.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    account::{Address, EndpointState},
    ids::{ConversationId, DeviceId, UserId},
    timestamp::Timestamp,
};

/// From now on the device is one of the account's; sessions begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRegistered {
    pub device_id: DeviceId,
    /// What the device runs, for its owner's list of devices.
    pub platform: String,
}

/// Whatever the device was given before this is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceUnlinked {
    pub device_id: DeviceId,
}

/// This person is, or is no longer, one of the account's contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactChanged {
    pub user_id: UserId,
}

/// A mark on a conversation that says nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationMarked {
    pub conversation_id: ConversationId,
}

/// Nothing of this conversation is to disturb the account's owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationMuted {
    pub conversation_id: ConversationId,
    /// It ends by itself then; without it, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Out of the inbox, until a message comes that is newer than `through_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationArchived {
    pub conversation_id: ConversationId,
    pub through_seq: u64,
}

/// Written on one device, and there on every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftSaved {
    pub conversation_id: ConversationId,
    pub text: String,
    /// By the device's clock; the last one by this time is the draft.
    pub saved_at: Timestamp,
}

/// As [`DraftSaved`], without a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftCleared {
    pub conversation_id: ConversationId,
    pub saved_at: Timestamp,
}

/// Where the account's owner wants to be told when away. It comes again when it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAdded {
    pub endpoint_id: Uuid,
    /// `channel` and `address`.
    #[serde(flatten)]
    pub address: Address,
    pub state: EndpointState,
}

/// Nothing goes there any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRemoved {
    pub endpoint_id: Uuid,
}

/// How far the account's owner has read in a channel. Its readers are too many for its own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRead {
    pub conversation_id: ConversationId,
    pub through_seq: u64,
}
