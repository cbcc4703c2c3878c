//! A signed request to a service of the marketplace, in the form of standardwebhooks.com.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hyper::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
};
use parley_domain::{ConversationId, Timestamp, UserId};
use ring::hmac;
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use super::{
    ChannelError, Failed, Health, Sent,
    http::{Answer, Http, NoAnswer},
    target::{self, Allowed, BadTarget},
    text,
};
use crate::notice::{Proof, What};

/// How requests are signed, and where they may go.
pub struct Settings {
    pub secret: Vec<u8>,
    pub allowed: Allowed,
}

/// Sends signed requests.
pub struct Webhook {
    key: hmac::Key,
    allowed: Allowed,
    http: Http,
}

/// A request's body and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every attempt: whoever has seen it drops it.
    pub id: String,
    pub body: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Data<'a> {
    Digest {
        notification_id: Uuid,
        user_id: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation_id: Option<&'a ConversationId>,
        messages: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        senders: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
        link: &'a str,
        unsubscribe: &'a str,
        locale: String,
    },
    Close {
        notification_id: Uuid,
        user_id: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation_id: Option<&'a ConversationId>,
    },
    Verify {
        notification_id: Uuid,
        user_id: &'a UserId,
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        locale: String,
    },
}

/// Why a request had no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Compose(&'static str),
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error("{0}")]
    NoAnswer(NoAnswer),
    #[error("the webhook answered {status}")]
    Refused { status: u16, retry_after: Option<Duration> },
}

impl Message {
    /// # Errors
    /// If it cannot be written.
    pub fn compose(what: &What) -> Result<Self, Error> {
        let (kind, timestamp, data) = match what {
            What::Digest(notice) => (
                "notification.digest",
                notice.at,
                Data::Digest {
                    notification_id: notice.notification_id,
                    user_id: &notice.user_id,
                    conversation_id: notice.conversation_id.as_ref(),
                    messages: notice.messages,
                    title: notice.title.as_deref().map(text::name),
                    senders: notice.senders.iter().take(3).map(|name| text::name(name)).collect(),
                    preview: notice.preview.as_deref().map(text::preview),
                    link: &notice.link,
                    unsubscribe: &notice.unsubscribe,
                    locale: text::name(&notice.locale),
                },
            ),
            What::Close(close) => (
                "notification.close",
                close.at,
                Data::Close {
                    notification_id: close.notification_id,
                    user_id: &close.user_id,
                    conversation_id: close.conversation_id.as_ref(),
                },
            ),
            What::Verify(verify) => {
                let (link, code) = match &verify.proof {
                    Proof::Link(link) => (Some(link.as_str()), None),
                    Proof::Code(code) => (None, Some(code.as_str())),
                };
                let data = Data::Verify {
                    notification_id: verify.notification_id,
                    user_id: &verify.user_id,
                    link,
                    code,
                    locale: text::name(&verify.locale),
                };
                ("endpoint.verify", verify.at, data)
            }
        };
        let body = serde_json::to_string(&Body { kind, timestamp, data })
            .map_err(|_| Error::Compose("the body cannot be written"))?;
        Ok(Self { id: format!("{}-{}", what.name(), what.notification_id()), body })
    }
}

impl Webhook {
    #[must_use]
    pub fn new(settings: Settings, http: Http) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &settings.secret);
        Self { key, allowed: settings.allowed, http }
    }

    /// Where a request goes, checked.
    ///
    /// # Errors
    /// If nothing may be sent there.
    pub fn target(&self, url: &str) -> Result<Url, Error> {
        Ok(target::parse(url, &self.allowed)?)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// By what is known of it.
    pub async fn send(
        &self,
        target: &Url,
        message: &Message,
        now_seconds: i64,
    ) -> Result<Sent, Error> {
        let signed = format!("{}.{now_seconds}.{}", message.id, message.body);
        let signature = BASE64.encode(hmac::sign(&self.key, signed.as_bytes()));
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static("Parley")),
        ]);
        for (name, value) in [
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", now_seconds.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ] {
            let value = HeaderValue::try_from(value)
                .map_err(|_| Error::Compose("a header cannot be written"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let body = message.body.clone();
        let answer =
            self.http.post(target.as_str(), headers, body).await.map_err(Error::NoAnswer)?;
        read(&answer)
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

fn read(answer: &Answer) -> Result<Sent, Error> {
    match answer.status {
        200..300 => Ok(Sent::default()),
        status => Err(Error::Refused { status, retry_after: answer.retry_after }),
    }
}

impl ChannelError for Error {
    fn failed(&self) -> Failed {
        let reason = self.to_string();
        match *self {
            Self::Compose(_)
            | Self::Target(_)
            | Self::NoAnswer(NoAnswer::Request | NoAnswer::NotPublic) => Failed::GiveUp { reason },
            Self::Refused { status: 410, .. } => Failed::EndpointDead { reason },
            // It may have been read; a second one has the same id.
            Self::NoAnswer(NoAnswer::Unreachable | NoAnswer::Lost | NoAnswer::Late) => {
                Failed::Retry { reason, after: None }
            }
            // A service that is being exchanged may have no such path for a moment.
            Self::Refused { status: 404 | 408 | 425 | 429 | 500.., retry_after } => {
                Failed::Retry { reason, after: retry_after }
            }
            Self::Refused { .. } => Failed::GiveUp { reason },
        }
    }

    fn health(&self) -> Health {
        match *self {
            Self::Compose(_) | Self::Target(_) => Health::NotAsked,
            Self::NoAnswer(no_answer) => no_answer.health(),
            Self::Refused { status: 429 | 500.., .. } => Health::Failing,
            Self::Refused { .. } => Health::Working,
        }
    }
}
