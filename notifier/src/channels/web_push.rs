//! Web push: RFC 8030, encrypted by RFC 8291, signed by RFC 8292.

mod encryption;
mod vapid;

use std::time::Duration;

use base64::Engine;
use hyper::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue},
};
use parley_domain::{ConversationId, Timestamp};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use self::encryption::{Keys, Unencrypted};
pub use self::{
    encryption::{BASE64, MAX_PLAINTEXT_BYTES},
    vapid::{BadKeys, Vapid},
};
use super::{
    ChannelError, Failed, Health, Sent,
    http::{Answer, Http, NoAnswer},
    target::{self, Allowed, BadTarget},
    text,
    words::Language,
};
use crate::notice::{Close, Notice, Verify, What};

/// How pushes are made.
#[derive(Debug)]
pub struct Settings {
    pub vapid: Vapid,
    /// How long a push service keeps one for a browser that is not there.
    pub ttl: Duration,
    pub allowed: Allowed,
}

/// Sends pushes.
#[derive(Debug)]
pub struct WebPush {
    settings: Settings,
    http: Http,
}

/// A push before it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What is shown, if something is.
    pub title: Option<String>,
    pub body: Option<String>,
    /// What the page's service worker gets.
    pub payload: String,
    /// `Topic` and `Urgency`. One that is still on its way is replaced by one of the same topic.
    pub topic: String,
    pub urgency: &'static str,
}

/// The service worker's message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Payload<'a> {
    Digest {
        notification_id: Uuid,
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation_id: Option<&'a ConversationId>,
        /// What is shown replaces what is shown with the same one.
        tag: &'a str,
        title: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<&'a str>,
        link: &'a str,
        messages: u64,
        at: Timestamp,
    },
    Close {
        notification_id: Uuid,
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation_id: Option<&'a ConversationId>,
        tag: &'a str,
        at: Timestamp,
    },
}

/// Why a push was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Compose(&'static str),
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error(transparent)]
    Unencrypted(#[from] Unencrypted),
    #[error("{0}")]
    NoAnswer(NoAnswer),
    #[error("the push service answered {status}")]
    Refused { status: u16, retry_after: Option<Duration> },
}

impl Push {
    /// # Errors
    /// If a push cannot say it.
    pub fn compose(what: &What) -> Result<Self, Error> {
        match what {
            What::Digest(notice) => Self::digest(notice),
            What::Close(close) => Self::close(close),
            What::Verify(Verify { .. }) => Err(Error::Compose("a subscription proves itself")),
        }
    }

    fn digest(notice: &Notice) -> Result<Self, Error> {
        let title = Language::of(&notice.locale).headline(notice);
        let body = notice.preview.as_deref().map(text::preview).filter(|body| !body.is_empty());
        let payload = write(&Payload::Digest {
            notification_id: notice.notification_id,
            conversation_id: notice.conversation_id.as_ref(),
            tag: tag(notice.conversation_id.as_ref()),
            title: &title,
            body: body.as_deref(),
            link: &notice.link,
            messages: notice.messages,
            at: notice.at,
        })?;
        let topic = topic(notice.notification_id);
        Ok(Self { title: Some(title), body, payload, topic, urgency: "high" })
    }

    fn close(close: &Close) -> Result<Self, Error> {
        let payload = write(&Payload::Close {
            notification_id: close.notification_id,
            conversation_id: close.conversation_id.as_ref(),
            tag: tag(close.conversation_id.as_ref()),
            at: close.at,
        })?;
        let topic = topic(close.notification_id);
        Ok(Self { title: None, body: None, payload, topic, urgency: "high" })
    }

    /// The headers that say how it is carried.
    #[must_use]
    pub fn headers(&self, ttl: Duration) -> [(&'static str, String); 3] {
        [
            ("TTL", ttl.as_secs().to_string()),
            ("Topic", self.topic.clone()),
            ("Urgency", self.urgency.to_owned()),
        ]
    }
}

/// Names and preview are short by now; only a link could be too long.
fn write(payload: &Payload<'_>) -> Result<String, Error> {
    let json = serde_json::to_string(payload)
        .map_err(|_| Error::Compose("the payload cannot be written"))?;
    if json.len() > MAX_PLAINTEXT_BYTES {
        return Err(Error::Compose("the payload is too long"));
    }
    Ok(json)
}

fn tag(conversation_id: Option<&ConversationId>) -> &str {
    conversation_id.map_or("inbox", ConversationId::as_str)
}

/// 22 characters of base64url; push services take 32.
fn topic(notification_id: Uuid) -> String {
    BASE64.encode(notification_id.as_bytes())
}

impl WebPush {
    #[must_use]
    pub fn new(settings: Settings, http: Http) -> Self {
        Self { settings, http }
    }

    /// Where a push goes, checked.
    ///
    /// # Errors
    /// If nothing may be sent there.
    pub fn target(&self, endpoint: &str) -> Result<Url, Error> {
        Ok(target::parse(endpoint, &self.settings.allowed)?)
    }

    /// Sends one push.
    ///
    /// # Errors
    /// By what is known of it.
    pub async fn send(
        &self,
        target: &Url,
        (p256dh, auth): (&str, &str),
        push: &Push,
        now_seconds: i64,
    ) -> Result<Sent, Error> {
        let body = encryption::encrypt(&Keys::parse(p256dh, auth)?, push.payload.as_bytes())?;
        let unsigned = Error::Unencrypted(Unencrypted::Random);
        let authorization = self.settings.vapid.authorization(target, now_seconds);
        let authorization = authorization.ok_or(unsigned)?;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
            (CONTENT_ENCODING, HeaderValue::from_static("aes128gcm")),
        ]);
        let own = push.headers(self.settings.ttl);
        for (name, value) in own.into_iter().chain([("Authorization", authorization)]) {
            let name = HeaderName::try_from(name);
            let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) else {
                return Err(Error::Compose("a header cannot be written"));
            };
            headers.insert(name, value);
        }
        let answer =
            self.http.post(target.as_str(), headers, body).await.map_err(Error::NoAnswer)?;
        read(&answer)
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
            | Self::Unencrypted(Unencrypted::TooLong | Unencrypted::Keys)
            | Self::Target(_)
            | Self::NoAnswer(NoAnswer::Request | NoAnswer::NotPublic) => Failed::GiveUp { reason },
            Self::Refused { status: 404 | 410, .. } => Failed::EndpointDead { reason },
            Self::Unencrypted(Unencrypted::Random) => Failed::Retry { reason, after: None },
            // A second one takes the place of the first: it has the same topic and tag.
            Self::NoAnswer(NoAnswer::Unreachable | NoAnswer::Lost | NoAnswer::Late) => {
                Failed::Retry { reason, after: None }
            }
            Self::Refused { status: 408 | 429 | 500.., retry_after } => {
                Failed::Retry { reason, after: retry_after }
            }
            Self::Refused { .. } => Failed::GiveUp { reason },
        }
    }

    fn health(&self) -> Health {
        match *self {
            Self::Compose(_) | Self::Target(_) | Self::Unencrypted(_) => Health::NotAsked,
            Self::NoAnswer(no_answer) => no_answer.health(),
            Self::Refused { status: 429 | 500.., .. } => Health::Failing,
            Self::Refused { .. } => Health::Working,
        }
    }
}
