//! The events of the log: CloudEvents 1.0 JSON objects in structured mode.
//!
//! These are the storage format. A name or shape once written is never changed; a new shape is a
//! new optional field or a new type. `tests/golden/` holds one file a type.

mod account;
mod conversation;
mod membership;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

pub use account::{
    ChannelRead, ContactChanged, ConversationArchived, ConversationMarked, ConversationMuted,
    DeviceRegistered, DeviceUnlinked, DraftCleared, DraftSaved, EndpointAdded, EndpointRemoved,
};
pub use conversation::{
    CursorMoved, DeletedMessage, MessageDeleted, MessageEdited, MessageSent, Reaction,
};
pub use membership::{
    ConversationBlocked, ConversationCreated, ConversationRenamed, ConversationTimerSet,
    ConversationUnblocked, Member, MemberAdded, MemberLeft, MemberRemoved, MemberRoleChanged, Role,
};

use crate::{
    account::Settings,
    ids::{DeviceId, UserId},
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

/// Makes the two enums of events, their type names, and reading and writing them by these names,
/// from one table: an event that is added to it is everywhere.
macro_rules! catalogue {
    (
        conversation { $($(#[$about:meta])* $kind:literal => $variant:ident($data:ty),)* }
        account { $($(#[$account_about:meta])* $account_kind:literal => $account_variant:ident($account_data:ty),)* }
    ) => {
        /// What happened, by type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum EventData {
            $($(#[$about])* $variant($data),)*
            /// Only in an account's log, and nothing else is there.
            Account(AccountEvent),
        }

        /// What happened in a person's account, by type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum AccountEvent {
            $($(#[$account_about])* $account_variant($account_data),)*
        }

        /// Every CloudEvents `type` that there is.
        pub const TYPES: &[&str] = &[$($kind,)* $($account_kind,)*];

        impl EventData {
            /// The CloudEvents `type`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                    $(Self::Account(AccountEvent::$account_variant(_)) => $account_kind,)*
                }
            }

            fn read(kind: &str, data: &str) -> Result<Self, DecodeError> {
                Ok(match kind {
                    $($kind => Self::$variant(serde_json::from_str(data)?),)*
                    $($account_kind => {
                        Self::Account(AccountEvent::$account_variant(serde_json::from_str(data)?))
                    })*
                    other => return Err(DecodeError::UnknownType(other.to_owned())),
                })
            }
        }

        impl Event {
            /// The event as JSON: a message of the log, and the `event` of a live frame.
            pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                match &self.data {
                    $(EventData::$variant(data) => self.write(data),)*
                    $(EventData::Account(AccountEvent::$account_variant(data)) => self.write(data),)*
                }
            }
        }
    };
}

catalogue! {
    conversation {
        "message.sent" => MessageSent(MessageSent),
        "message.edited" => MessageEdited(MessageEdited),
        "message.deleted" => MessageDeleted(MessageDeleted),
        "reaction.added" => ReactionAdded(Reaction),
        "reaction.removed" => ReactionRemoved(Reaction),
        "cursor.delivered" => CursorDelivered(CursorMoved),
        "cursor.read" => CursorRead(CursorMoved),
        "conversation.created" => ConversationCreated(ConversationCreated),
        "member.added" => MemberAdded(MemberAdded),
        "member.removed" => MemberRemoved(MemberRemoved),
        "member.left" => MemberLeft(MemberLeft),
        "member.roleChanged" => MemberRoleChanged(MemberRoleChanged),
        "conversation.renamed" => ConversationRenamed(ConversationRenamed),
        "conversation.timerSet" => ConversationTimerSet(ConversationTimerSet),
        "conversation.blocked" => ConversationBlocked(ConversationBlocked),
        "conversation.unblocked" => ConversationUnblocked(ConversationUnblocked),
    }
    account {
        "device.registered" => DeviceRegistered(DeviceRegistered),
        "device.unlinked" => DeviceUnlinked(DeviceUnlinked),
        "contact.added" => ContactAdded(ContactChanged),
        "contact.removed" => ContactRemoved(ContactChanged),
        "conversation.muted" => ConversationMuted(ConversationMuted),
        "conversation.unmuted" => ConversationUnmuted(ConversationMarked),
        "conversation.pinned" => ConversationPinned(ConversationMarked),
        "conversation.unpinned" => ConversationUnpinned(ConversationMarked),
        "conversation.archived" => ConversationArchived(ConversationArchived),
        "conversation.unarchived" => ConversationUnarchived(ConversationMarked),
        "draft.saved" => DraftSaved(DraftSaved),
        "draft.cleared" => DraftCleared(DraftCleared),
        "preferences.set" => PreferencesSet(Settings),
        "endpoint.added" => EndpointAdded(EndpointAdded),
        "endpoint.removed" => EndpointRemoved(EndpointRemoved),
        "channel.read" => ChannelRead(ChannelRead),
    }
}

impl EventData {
    /// The number of the message whose body this holds: what is erased with the message.
    pub fn body_of(&self) -> Option<u64> {
        match self {
            Self::MessageSent(sent) => Some(sent.conversation_seq),
            Self::MessageEdited(edited) => Some(edited.conversation_seq),
            Self::MessageDeleted(_)
            | Self::ReactionAdded(_)
            | Self::ReactionRemoved(_)
            | Self::CursorDelivered(_)
            | Self::CursorRead(_)
            | Self::ConversationCreated(_)
            | Self::MemberAdded(_)
            | Self::MemberRemoved(_)
            | Self::MemberLeft(_)
            | Self::MemberRoleChanged(_)
            | Self::ConversationRenamed(_)
            | Self::ConversationTimerSet(_)
            | Self::ConversationBlocked(_)
            | Self::ConversationUnblocked(_)
            | Self::Account(_) => None,
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
        let data = EventData::read(read.r#type, read.data.get())?;
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
