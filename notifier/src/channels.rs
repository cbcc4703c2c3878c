//! The ways out: one module a channel, all of one shape (settings, error, send).

pub mod email;
mod http;
mod providers;
pub mod sms;
mod target;
mod text;
pub mod web_push;
pub mod webhook;
mod words;

#[cfg(test)]
mod hostile_tests;

use std::{sync::Arc, time::Duration};

use parley_domain::{
    Timestamp, UserId,
    account::{
        self,
        address::{Subscription, SubscriptionKeys},
    },
};
use parley_runtime::clock::Clock;
use serde::{Deserialize, Serialize};

use self::{email::Sender, providers::Providers};
pub use self::{
    providers::{CannotOpen, Settings},
    target::{Allowed, BadTarget},
};
use crate::{
    breaker::Room,
    config::channels::ChannelsConfig,
    notice::What,
    outbox::{Item, Outbox},
};

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

impl From<account::Address> for Address {
    fn from(address: account::Address) -> Self {
        match address {
            account::Address::Email(address) => Self::Email(address),
            account::Address::Sms(number) => Self::Phone(number),
            account::Address::WebPush(subscription) => {
                let Subscription { endpoint, keys: SubscriptionKeys { p256dh, auth } } =
                    subscription;
                Self::WebPush { endpoint, p256dh, auth }
            }
            account::Address::Webhook(url) => Self::Webhook { url },
        }
    }
}

impl From<ChannelKind> for account::ChannelKind {
    fn from(channel: ChannelKind) -> Self {
        match channel {
            ChannelKind::Email => Self::Email,
            ChannelKind::Sms => Self::Sms,
            ChannelKind::WebPush => Self::WebPush,
            ChannelKind::Webhook => Self::Webhook,
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
    /// Not even tried: its turn comes after this long.
    Wait { reason: String, after: Duration },
    /// Not sent, and never will be.
    GiveUp { reason: String },
    /// Not sent: the answer says that nobody is reached at this endpoint any more. It leaves the
    /// account, so whatever is only our own opinion of an address is [`Self::GiveUp`].
    EndpointDead { reason: String },
    /// The answer was lost. An email is sent again under the same Message-ID, an SMS never.
    Unknown { reason: String },
}

impl Failed {
    /// How long the provider wants to be left alone.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Retry { after, .. } => *after,
            Self::Wait { after, .. } => Some(*after),
            Self::GiveUp { .. } | Self::EndpointDead { .. } | Self::Unknown { .. } => None,
        }
    }

    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. }
            | Self::Wait { reason, .. }
            | Self::GiveUp { reason }
            | Self::EndpointDead { reason }
            | Self::Unknown { reason } => reason,
        }
    }
}

/// How a channel fails.
pub(crate) trait ChannelError: std::error::Error {
    /// What is to be done next.
    fn failed(&self) -> Failed;

    /// What it says of the provider.
    fn health(&self) -> Health;
}

/// For `map_err`.
pub(crate) fn failed(error: impl ChannelError) -> Failed {
    error.failed()
}

/// How a provider does, as far as one call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered; the matter was this one address or text.
    Working,
    /// Others had better not try now either.
    Failing,
    /// It was not asked.
    NotAsked,
}

/// The channels of a deployment: either its providers, or an outbox from which nothing goes out.
pub struct Channels {
    way: Way,
    sender: Sender,
    push_ttl: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Way {
    Providers(Box<Providers>),
    Outbox(Outbox),
}

impl Channels {
    /// Opens what is configured; nothing is connected to yet.
    ///
    /// # Errors
    /// If the machine has no root certificates, or the outbox cannot be opened.
    pub fn open(config: ChannelsConfig, clock: Arc<dyn Clock>) -> Result<Self, CannotOpen> {
        let ChannelsConfig {
            sender, providers, breaker, request_timeout, push_ttl, outbox, ..
        } = config;
        let way = match outbox {
            Some(outbox) => {
                let outbox = Outbox::open(&outbox.file, outbox.items);
                Way::Outbox(outbox.map_err(CannotOpen::Outbox)?)
            }
            None => {
                let providers =
                    Providers::new(sender.clone(), providers, breaker, request_timeout)?;
                Way::Providers(Box::new(providers))
            }
        };
        Ok(Self { way, sender, push_ttl, clock })
    }

    /// Whether anything can be sent on this channel.
    #[must_use]
    pub fn serves(&self, channel: ChannelKind) -> bool {
        match &self.way {
            Way::Providers(providers) => providers.serves(channel),
            Way::Outbox(_) => true,
        }
    }

    /// How much of this channel may be tried now. Where each address has a provider of its own,
    /// that is known only when it is tried.
    #[must_use]
    pub fn room(&self, channel: ChannelKind) -> Room {
        match &self.way {
            Way::Providers(providers) => providers.room(channel),
            Way::Outbox(_) => Room::Any,
        }
    }

    /// Sends `what` to `endpoint`, within a bounded time.
    ///
    /// # Errors
    /// By what is to be done next.
    pub async fn send(&self, endpoint: &Endpoint, what: &What) -> Result<Sent, Failed> {
        let now = Timestamp::from_unix_millis(self.clock.now_millis());
        let address = &endpoint.address;
        match &self.way {
            Way::Providers(providers) => providers.send(address, what, now).await,
            Way::Outbox(outbox) => {
                let item = Item::of(&self.sender, self.push_ttl, address, what, now)?;
                outbox.put(item).await.map(|()| Sent::default()).map_err(|error| Failed::Retry {
                    reason: format!("the outbox cannot be written: {error}"),
                    after: None,
                })
            }
        }
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").field("way", &self.way).finish_non_exhaustive()
    }
}
