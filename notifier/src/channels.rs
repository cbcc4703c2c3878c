//! The ways out: one module a channel, all of one shape (settings, error, send).

use std::time::Duration;

use parley_domain::UserId;
use serde::{Deserialize, Serialize};

use crate::notice::What;

/// The sorts of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    Email,
    Sms,
    WebPush,
    Webhook,
}

impl ChannelKind {
    pub const ALL: [Self; 4] = [Self::Email, Self::Sms, Self::WebPush, Self::Webhook];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::WebPush => "webpush",
            Self::Webhook => "webhook",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether what was told can be taken back by [`What::Close`].
    #[must_use]
    pub fn closes(self) -> bool {
        match self {
            Self::WebPush | Self::Webhook => true,
            Self::Email | Self::Sms => false,
        }
    }
}

/// Where a channel reaches somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Email(String),
    /// E.164.
    Phone(String),
    /// A browser's subscription; the keys are base64url.
    WebPush {
        endpoint: String,
        p256dh: String,
        auth: String,
    },
    Webhook {
        url: String,
    },
}

impl Address {
    #[must_use]
    pub fn channel(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Phone(_) => ChannelKind::Sms,
            Self::WebPush { .. } => ChannelKind::WebPush,
            Self::Webhook { .. } => ChannelKind::Webhook,
        }
    }
}

/// An address of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub endpoint_id: String,
    pub user_id: UserId,
    pub address: Address,
}

/// A provider has taken it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// How the provider calls it, if it says.
    pub reference: Option<String>,
}

/// Why nothing was sent, by what is to be done next. No reason holds an address or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// Not sent; later, and not before `after`, it may work.
    Retry { reason: String, after: Option<Duration> },
    /// Not sent, and never will be.
    GiveUp { reason: String },
    /// Not sent: nobody is reached at this endpoint any more.
    EndpointDead { reason: String },
    /// The answer was lost. An email is sent again under the same Message-ID, an SMS never.
    Unknown { reason: String },
}

/// The channels of a deployment.
#[derive(Debug, Default)]
pub struct Channels {}

impl Channels {
    /// Sends `what` to `endpoint`, within a bounded time.
    ///
    /// # Errors
    /// By what is to be done next.
    pub async fn send(&self, endpoint: &Endpoint, what: &What) -> Result<Sent, Failed> {
        let channel = endpoint.address.channel().as_str();
        let reason = format!("there is no {channel} channel for a {}", what.name());
        Err(Failed::GiveUp { reason })
    }
}
