//! What one notification says, whatever channel carries it.

use parley_domain::{ConversationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A digest: how many messages wait, from whom, and where to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The same for every attempt at telling the same thing: the email's Message-ID, the topic of
    /// the push, the reference of the SMS.
    pub notification_id: Uuid,
    pub user_id: UserId,
    /// `None`: one digest over all conversations.
    pub conversation_id: Option<ConversationId>,
    /// How many wait.
    pub messages: u64,
    /// Of a group that has one.
    pub title: Option<String>,
    /// Display names, at most three.
    pub senders: Vec<String>,
    /// The beginning of what was written; `None` if the person does not allow it.
    pub preview: Option<String>,
    /// Opens the conversation in the page.
    pub link: String,
    /// Ends these notifications without a login: a page for GET, RFC 8058's one click for POST.
    pub unsubscribe: String,
    /// BCP 47, such as `en` or `de-AT`.
    pub locale: String,
    pub at: Timestamp,
}

/// Asks whoever reads an address to prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// The same for every attempt at asking the same thing.
    pub notification_id: Uuid,
    pub user_id: UserId,
    pub proof: Proof,
    pub locale: String,
    pub at: Timestamp,
}

/// What proves that an address is read by the person who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// An address to open.
    Link(String),
    /// Digits to type in.
    Code(String),
}

/// Takes back a push that is shown, or still on its way: it has been read elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Close {
    /// Of the digest that is taken back.
    pub notification_id: Uuid,
    pub user_id: UserId,
    /// As in the digest.
    pub conversation_id: Option<ConversationId>,
    pub at: Timestamp,
}

/// Everything that a channel carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    Digest(Notice),
    Verify(Verify),
    Close(Close),
}

impl What {
    #[must_use]
    pub fn notification_id(&self) -> Uuid {
        match self {
            Self::Digest(notice) => notice.notification_id,
            Self::Verify(verify) => verify.notification_id,
            Self::Close(close) => close.notification_id,
        }
    }

    /// Its name in logs, payloads and the outbox.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digest(_) => "digest",
            Self::Verify(_) => "verify",
            Self::Close(_) => "close",
        }
    }
}
