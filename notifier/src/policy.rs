//! Whether somebody is told, when, and how often: pure, its clock is whatever it is given.
//!
//! - [`windows`]: the first unread message opens a window, and a reading cancels it;
//! - [`decide`]: what is decided at a window's end, and at the end of a cool-down;
//! - [`timers`]: when it is looked at again;
//! - [`quiet`]: when people want to be left alone.

pub mod decide;
pub mod quiet;
#[cfg(test)]
mod simulation;
pub mod timers;
pub mod windows;

use std::time::Duration;

use parley_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::channels::ChannelKind;

/// How soon and how often somebody is told.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From a message to the decision about it.
    pub grace: Duration,
    /// After a digest, before the next about the same conversation; doubles until they read.
    pub cooldown: Duration,
    pub cooldown_max: Duration,
    /// Digests an hour to one person over all conversations.
    pub emails_per_hour: u32,
    pub sms_per_hour: u32,
}

impl Policy {
    /// How many digests a person may get in an hour by this channel.
    pub fn per_hour(&self, channel: ChannelKind) -> Option<u32> {
        match channel {
            ChannelKind::Email => Some(self.emails_per_hour),
            ChannelKind::Sms => Some(self.sms_per_hour),
            ChannelKind::WebPush | ChannelKind::Webhook => None,
        }
    }
}

/// Why somebody was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// They have an active session on some device.
    Online,
    /// They have left the group, or were removed from it.
    NotMember,
    /// They read something of the conversation meanwhile.
    Read,
    /// What they had not read was deleted.
    Deleted,
    Muted,
    /// One of the two has blocked the other.
    Blocked,
    QuietHours,
    /// They want no channel, or none for this conversation.
    Preferences,
    /// They have no verified endpoint.
    NoEndpoint,
    /// They were told as often as is allowed; one digest over all conversations follows.
    Capped,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::NotMember => "notMember",
            Self::Read => "read",
            Self::Deleted => "deleted",
            Self::Muted => "muted",
            Self::Blocked => "blocked",
            Self::QuietHours => "quietHours",
            Self::Preferences => "preferences",
            Self::NoEndpoint => "noEndpoint",
            Self::Capped => "capped",
        }
    }
}

/// How a conversation stands for one person; or all of theirs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Of all together, where there is no such number: when the last message came.
    pub last_seq: u64,
    /// When the last message came.
    pub last_at: Option<Timestamp>,
    pub read_seq: u64,
    /// Messages of others behind it that are not deleted.
    pub unread: u64,
    /// Of a group: whether they have left it.
    pub has_left: bool,
    pub muted: bool,
    pub blocked: bool,
}

/// Where a digest goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub channel: ChannelKind,
    pub endpoint_id: String,
}

/// A channel that somebody was told by as often as is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capped {
    pub channel: ChannelKind,
    /// When it may be used again: then one digest over all conversations is due.
    pub until: Timestamp,
}

/// A moment and a span later.
pub fn later(at: Timestamp, span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_millis(at.unix_millis().saturating_add(millis))
}
