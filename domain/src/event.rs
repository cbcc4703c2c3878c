//! The events of the log: CloudEvents 1.0 JSON objects in structured mode.
//!
//! These are the storage format. A name or shape once written is never changed; a new shape is a
//! new optional field or a new type. `tests/golden/` holds one file a type.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    body::Body,
    ids::{ClientMessageId, DeviceId, UserId},
    subject::Subject,
    timestamp::Timestamp,
};

/// The CloudEvents `source` of everything that the commands service decides.
pub const SOURCE: &str = "parley/commands";

/// One thing that happened in a conversation, or in a person's account.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// UUIDv7; a message's id is the id of the event that made it.
    pub id: Uuid,
    pub subject: Subject,
    pub time: Timestamp,
    /// The event's number in its conversation or account, gapless from 1.
    pub version: u64,
    pub actor: UserId,
    pub device: Option<DeviceId>,
    pub data: EventData,
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most events are messages")]
pub enum EventData {
    MessageSent(MessageSent),
    CursorDelivered(CursorMoved),
    CursorRead(CursorMoved),
    /// Only in an account's log, and nothing else is there.
    Account(AccountEvent),
}

/// What happened in a person's account, by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEvent {
    DeviceRegistered(DeviceRegistered),
    DeviceUnlinked(DeviceUnlinked),
}

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

impl EventData {
    /// The CloudEvents `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MessageSent(_) => "message.sent",
            Self::CursorDelivered(_) => "cursor.delivered",
            Self::CursorRead(_) => "cursor.read",
            Self::Account(AccountEvent::DeviceRegistered(_)) => "device.registered",
            Self::Account(AccountEvent::DeviceUnlinked(_)) => "device.unlinked",
        }
    }
}

/// Bytes that are not an event of this version of Parley.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not a CloudEvent of Parley: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("unknown event type {0:?}")]
    UnknownType(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a, D: Serialize> {
    specversion: &'static str,
    id: Uuid,
    source: &'static str,
    r#type: &'static str,
    subject: &'a Subject,
    time: Timestamp,
    version: u64,
    actor: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a DeviceId>,
    data: &'a D,
}

#[derive(Deserialize)]
struct Read<'a> {
    id: Uuid,
    r#type: &'a str,
    subject: Subject,
    time: Timestamp,
    version: u64,
    actor: UserId,
    #[serde(default)]
    device: Option<DeviceId>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Event {
    /// The event as JSON: a message of the log, and the `event` of a live frame.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        match &self.data {
            EventData::MessageSent(data) => self.write(data),
            EventData::CursorDelivered(data) | EventData::CursorRead(data) => self.write(data),
            EventData::Account(AccountEvent::DeviceRegistered(data)) => self.write(data),
            EventData::Account(AccountEvent::DeviceUnlinked(data)) => self.write(data),
        }
    }

    fn write<D: Serialize>(&self, data: &D) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Written {
            specversion: "1.0",
            id: self.id,
            source: SOURCE,
            r#type: self.data.kind(),
            subject: &self.subject,
            time: self.time,
            version: self.version,
            actor: &self.actor,
            device: self.device.as_ref(),
            data,
        })
    }

    /// Reads what [`Self::to_json`] wrote; fields that it does not know are skipped.
    pub fn from_json(json: &[u8]) -> Result<Self, DecodeError> {
        let read: Read<'_> = serde_json::from_slice(json)?;
        let data = read.data.get();
        let data = match read.r#type {
            "message.sent" => EventData::MessageSent(serde_json::from_str(data)?),
            "cursor.delivered" => EventData::CursorDelivered(serde_json::from_str(data)?),
            "cursor.read" => EventData::CursorRead(serde_json::from_str(data)?),
            "device.registered" => {
                EventData::Account(AccountEvent::DeviceRegistered(serde_json::from_str(data)?))
            }
            "device.unlinked" => {
                EventData::Account(AccountEvent::DeviceUnlinked(serde_json::from_str(data)?))
            }
            other => return Err(DecodeError::UnknownType(other.to_owned())),
        };
        Ok(Self {
            id: read.id,
            subject: read.subject,
            time: read.time,
            version: read.version,
            actor: read.actor,
            device: read.device,
            data,
        })
    }
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.to_json().map_err(serde::ser::Error::custom)?;
        let raw: &RawValue = serde_json::from_slice(&json).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get().as_bytes()).map_err(serde::de::Error::custom)
    }
}

impl cqrs_es::DomainEvent for Event {
    fn event_type(&self) -> String {
        self.data.kind().to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
