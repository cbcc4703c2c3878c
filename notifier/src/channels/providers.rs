//! The real ways out, each behind the breaker of its provider.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use parley_domain::Timestamp;
use tokio::time::Instant;

use super::{
    Address, ChannelError, Failed, Health, Sent,
    email::{self, Email, Letter, Sender},
    failed,
    http::{Http, Reach, Settings as HttpSettings},
    sms::{self, Sms},
    target::Allowed,
    web_push::{self, Push, WebPush},
    webhook::{self, Message, Webhook},
};
use crate::{
    breaker::{self, Breaker, Room},
    metrics,
    notice::What,
};

/// Push services and webhooks have a breaker for each host; this many are remembered.
const HOSTS: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();
/// The names of providers of which there is one.
const SMTP: &str = "smtp";
const SMS: &str = "sms";
/// Connections kept to each push service and webhook.
const IDLE_CONNECTIONS: usize = 4;

/// What each channel needs; a channel without it is not there.
#[derive(Default)]
pub struct Settings {
    pub email: Option<email::Settings>,
    pub sms: Option<sms::Settings>,
    pub web_push: Option<web_push::Settings>,
    pub webhook: Option<webhook::Settings>,
}

/// See the module.
#[derive(Debug)]
pub struct Providers {
    sender: Sender,
    email: Option<Email>,
    sms: Option<Sms>,
    web_push: Option<WebPush>,
    webhook: Option<Webhook>,
    breaker: breaker::Settings,
    breakers: Mutex<LruCache<String, Breaker>>,
}

/// Why the channels cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    #[error("the system's root certificates cannot be read: {0}")]
    Roots(#[source] std::io::Error),
    #[error("the SMS provider's account cannot be written into a header")]
    Account,
    #[error("the outbox cannot be opened: {0}")]
    Outbox(#[source] std::io::Error),
}

impl Providers {
    pub fn new(
        sender: Sender,
        settings: Settings,
        breaker: breaker::Settings,
        timeout: Duration,
    ) -> Result<Self, CannotOpen> {
        let http = |reach, idle_connections| {
            Http::new(HttpSettings { reach, timeout, idle_connections }).map_err(CannotOpen::Roots)
        };
        let reach = |allowed: &Allowed| {
            if allowed.private { Reach::Anywhere } else { Reach::PublicOnly }
        };
        let sms = match settings.sms {
            // A connection for each: what a server closed while it was kept may have been read.
            Some(sms) => {
                Some(Sms::new(sms, http(Reach::Anywhere, 0)?).map_err(|_| CannotOpen::Account)?)
            }
            None => None,
        };
        let web_push = match settings.web_push {
            Some(push) => {
                let http = http(reach(&push.allowed), IDLE_CONNECTIONS)?;
                Some(WebPush::new(push, http))
            }
            None => None,
        };
        let webhook = match settings.webhook {
            Some(webhook) => {
                let http = http(reach(&webhook.allowed), IDLE_CONNECTIONS)?;
                Some(Webhook::new(webhook, http))
            }
            None => None,
        };
        let breakers = Mutex::new(LruCache::new(HOSTS));
        let email = settings.email.map(Email::new);
        Ok(Self { sender, email, sms, web_push, webhook, breaker, breakers })
    }

    pub async fn send(
        &self,
        address: &Address,
        what: &What,
        now: Timestamp,
    ) -> Result<Sent, Failed> {
        match address {
            Address::Email(to) => {
                let email = self.email.as_ref().ok_or_else(|| no_channel(address))?;
                let letter = Letter::compose(&self.sender, to, what).map_err(failed)?;
                let send = email.send(&letter, now.to_date_time().into());
                Box::pin(self.watched(SMTP, send)).await
            }
            Address::Phone(to) => {
                let sms = self.sms.as_ref().ok_or_else(|| no_channel(address))?;
                let body = sms::compose(&self.sender.brand, what).map_err(failed)?;
                let send = sms.send(to, &body, what.notification_id());
                Box::pin(self.watched(SMS, send)).await
            }
            Address::WebPush { endpoint, p256dh, auth } => {
                let web_push = self.web_push.as_ref().ok_or_else(|| no_channel(address))?;
                let push = Push::compose(what).map_err(failed)?;
                let target = web_push.target(endpoint).map_err(failed)?;
                let provider = format!("webpush {}", target.authority());
                let send = web_push.send(&target, (p256dh, auth), &push, seconds(now));
                Box::pin(self.watched(&provider, send)).await
            }
            Address::Webhook { url } => {
                let webhook = self.webhook.as_ref().ok_or_else(|| no_channel(address))?;
                let message = Message::compose(what).map_err(failed)?;
                let target = webhook.target(url).map_err(failed)?;
                let provider = format!("webhook {}", target.authority());
                let send = webhook.send(&target, &message, seconds(now));
                Box::pin(self.watched(&provider, send)).await
            }
        }
    }

    /// Makes a call if the provider's breaker lets it through, and tells the breaker how it went.
    async fn watched<E: ChannelError>(
        &self,
        provider: &str,
        call: impl Future<Output = Result<Sent, E>>,
    ) -> Result<Sent, Failed> {
        let settings = self.breaker;
        let admitted = self
            .breakers()
            .get_or_insert_mut(provider.to_owned(), || Breaker::new(settings))
            .admit(Instant::now().into_std());
        admitted.map_err(|after| Failed::Wait {
            reason: "the provider has failed too often and is left alone for a while".to_owned(),
            after,
        })?;
        let outcome = call.await;
        // A push service's name is its host's, which nobody here has chosen.
        let channel = provider.split(' ').next().unwrap_or(provider);
        let now = Instant::now().into_std();
        let mut breakers = self.breakers();
        let breaker = breakers.get_or_insert_mut(provider.to_owned(), || Breaker::new(settings));
        match outcome {
            Ok(sent) => {
                breaker.succeeded();
                Ok(sent)
            }
            Err(error) => {
                let failed = error.failed();
                match error.health() {
                    Health::Working => breaker.succeeded(),
                    Health::Failing => {
                        if breaker.failed(now, failed.after()) {
                            let reason = failed.reason();
                            metrics::BREAKERS.with_label_values(&[channel]).inc();
                            tracing::warn!(
                                provider,
                                reason,
                                "a provider is left alone for a while"
                            );
                        }
                    }
                    Health::NotAsked => breaker.withdrawn(now),
                }
                Err(failed)
            }
        }
    }

    fn breakers(&self) -> MutexGuard<'_, LruCache<String, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn room(&self, channel: super::ChannelKind) -> Room {
        let provider = match channel {
            super::ChannelKind::Email => SMTP,
            super::ChannelKind::Sms => SMS,
            super::ChannelKind::WebPush | super::ChannelKind::Webhook => return Room::Any,
        };
        let now = Instant::now().into_std();
        self.breakers().peek(provider).map_or(Room::Any, |breaker| breaker.room(now))
    }

    pub fn serves(&self, channel: super::ChannelKind) -> bool {
        match channel {
            super::ChannelKind::Email => self.email.is_some(),
            super::ChannelKind::Sms => self.sms.is_some(),
            super::ChannelKind::WebPush => self.web_push.is_some(),
            super::ChannelKind::Webhook => self.webhook.is_some(),
        }
    }
}

fn no_channel(address: &Address) -> Failed {
    let channel = address.channel().as_str();
    Failed::GiveUp { reason: format!("the channel {channel} is not configured") }
}

fn seconds(now: Timestamp) -> i64 {
    now.unix_millis().div_euclid(1_000)
}
