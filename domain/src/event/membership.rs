//! What the events of a conversation say of who is in it and how it is kept.
//!
//! Those that change who is a member carry `lastSeq`, the number of the last message before them,
//! and `memberCount` after them: absolute numbers, so that what a person may see is known from the
//! event alone, also when the messages around it were erased from the log.

use serde::{Deserialize, Serialize};

use crate::ids::{Kind, UserId};

/// What a member of a group or channel may do, beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// There is exactly one. May do everything, and alone changes roles.
    Owner,
    /// Adds, removes, renames, sets the timer; writes in a channel.
    Admin,
    Member,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Admin, Self::Member].into_iter().find(|role| role.as_str() == text)
    }

    /// Whether it is not only a member's.
    pub fn leads(self) -> bool {
        match self {
            Self::Owner | Self::Admin => true,
            Self::Member => false,
        }
    }
}

/// A person and their role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub user_id: UserId,
    pub role: Role,
}

/// A group or channel begins; its first event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationCreated {
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Everybody who is in it from the start, the owner among them.
    pub members: Vec<Member>,
}

/// Sees the messages after `last_seq`, and has nothing unread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberAdded {
    pub user_id: UserId,
    pub role: Role,
    pub last_seq: u64,
    pub member_count: u64,
}

/// Sees nothing after `last_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRemoved {
    pub user_id: UserId,
    pub last_seq: u64,
    pub member_count: u64,
}

/// Sees nothing after `last_seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberLeft {
    pub user_id: UserId,
    /// Who owns it now, if the owner left and somebody remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_owner_id: Option<UserId>,
    pub last_seq: u64,
    pub member_count: u64,
}

/// With the role `owner` it passes on: the actor, the owner so far, is an admin from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRoleChanged {
    pub user_id: UserId,
    pub role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationRenamed {
    /// `None`: it has no title from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Messages that are sent from now on expire so many seconds later; 0: never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationTimerSet {
    pub seconds: u64,
}

/// The actor blocks the other of a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationBlocked {}

/// The actor blocks the other no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationUnblocked {
    /// The other blocks the actor: without this, a device that knows of one blocking from a summary
    /// could not tell whether it may send again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub still_blocked: bool,
}
