//! SMS, by a provider whose interface has Twilio's form.

mod caps;
mod number;
mod segments;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded;
use uuid::Uuid;

pub use self::{
    caps::{Caps, Settings as CapSettings},
    number::{BadNumber, Number},
    segments::fits,
};
use super::{
    ChannelError, Failed, Health, Sent,
    http::{Answer, Http, NoAnswer},
    text,
    words::Language,
};
use crate::notice::{Close, Notice, Proof, Verify, What};

/// The most of one notification.
const SEGMENTS: usize = 2;

/// The provider, and where SMS may go.
pub struct Settings {
    /// Without a trailing slash; the provider's paths follow.
    pub base_url: String,
    pub account: String,
    pub token: String,
    /// A number, a name, or the id of a messaging service (`MG…`).
    pub from: String,
    /// ISO 3166, two letters; `*` for all.
    pub countries: Vec<String>,
    pub caps: CapSettings,
}

/// Sends SMS.
pub struct Sms {
    settings: Settings,
    uri: String,
    headers: HeaderMap,
    http: Http,
    caps: Mutex<Caps>,
}

/// Why an SMS was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Compose(&'static str),
    #[error(transparent)]
    Number(#[from] BadNumber),
    #[error("no SMS are sent to that country")]
    Country,
    #[error("enough SMS went to numbers like that one in this hour")]
    Capped { wait: Duration },
    #[error("{0}")]
    NoAnswer(NoAnswer),
    #[error("the provider answered {status}{}", .code.map_or_else(String::new, |code| format!(" with error {code}")))]
    Refused { status: u16, code: Option<u64>, retry_after: Option<Duration> },
}

/// What an SMS says: two segments at most, the link whole or not at all.
///
/// # Errors
/// If an SMS cannot say it.
pub fn compose(brand: &str, what: &What) -> Result<String, Error> {
    let brand = text::name(brand);
    match what {
        What::Digest(notice) => Ok(digest(&brand, notice)),
        What::Verify(Verify { proof, locale, .. }) => {
            let (Proof::Code(proof) | Proof::Link(proof)) = proof;
            Ok(Language::of(locale).verify_sms(&brand, proof))
        }
        What::Close(Close { .. }) => Err(Error::Compose("an SMS cannot be taken back")),
    }
}

fn digest(brand: &str, notice: &Notice) -> String {
    let headline = Language::of(&notice.locale).headline(notice);
    let start = format!("{brand}: ");
    let link = format!("\n{}", notice.link);
    let quote = notice.preview.as_deref().map(text::preview).filter(|quote| !quote.is_empty());
    quote
        .and_then(|quote| segments::fill(&format!("{start}{headline}: "), &quote, &link, SEGMENTS))
        .or_else(|| segments::fill(&start, &headline, &link, SEGMENTS))
        // A link that has no room: it would lead nowhere if it were cut.
        .or_else(|| segments::fill(&start, &headline, "", SEGMENTS))
        .unwrap_or_else(|| headline.chars().take(60).collect())
}

impl Sms {
    /// # Errors
    /// If the account cannot be written into a header.
    pub fn new(settings: Settings, http: Http) -> Result<Self, hyper::header::InvalidHeaderValue> {
        let credentials = BASE64.encode(format!("{}:{}", settings.account, settings.token));
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        let account: String =
            form_urlencoded::byte_serialize(settings.account.as_bytes()).collect();
        let uri = format!("{}/2010-04-01/Accounts/{account}/Messages.json", settings.base_url);
        let caps = Mutex::new(Caps::new(settings.caps));
        Ok(Self { settings, uri, headers, http, caps })
    }

    /// Sends one SMS.
    ///
    /// # Errors
    /// By what is known of it.
    pub async fn send(&self, to: &str, body: &str, reference: Uuid) -> Result<Sent, Error> {
        let number = Number::parse(to)?;
        let countries = &self.settings.countries;
        if !countries.iter().any(|country| country == "*" || *country == number.country) {
            return Err(Error::Country);
        }
        self.caps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&number, Instant::now().into_std())
            .map_err(|wait| Error::Capped { wait })?;
        let from = &self.settings.from;
        let from_field = if from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("To", &number.e164)
            .append_pair(from_field, from)
            .append_pair("Body", body)
            .finish();
        let mut headers = self.headers.clone();
        // Twilio itself has no use for it; other providers of this form drop a second one.
        if let Ok(reference) = HeaderValue::try_from(reference.to_string()) {
            headers.insert(HeaderName::from_static("idempotency-key"), reference);
        }
        let answer = self.http.post(&self.uri, headers, form).await.map_err(Error::NoAnswer)?;
        read(&answer)
    }
}

impl std::fmt::Debug for Sms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sms").field("base_url", &self.settings.base_url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Accepted {
    sid: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<u64>,
}

fn read(answer: &Answer) -> Result<Sent, Error> {
    if (200..300).contains(&answer.status) {
        // Whatever the body: it is accepted.
        let accepted: Option<Accepted> = serde_json::from_slice(&answer.body).ok();
        let reference = accepted.and_then(|accepted| accepted.sid);
        return Ok(Sent { reference: reference.map(|sid| sid.chars().take(64).collect()) });
    }
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    Err(Error::Refused {
        status: answer.status,
        code: problem.and_then(|problem| problem.code),
        retry_after: answer.retry_after,
    })
}

/// Not a number, not a mobile's, or its owner has answered STOP. Not 21214: one that cannot be reached
/// may be reached tomorrow.
const DEAD: [u64; 4] = [21211, 21217, 21610, 21614];
/// Too many requests, of the account or of a sender.
const TOO_MANY: [u64; 3] = [20429, 14107, 21611];
/// Not signed in, or the account is closed: nobody can be told.
const SIGN_IN: [u64; 3] = [20003, 20005, 20403];

impl ChannelError for Error {
    fn failed(&self) -> Failed {
        let reason = self.to_string();
        match *self {
            // What is no number here may be one by tomorrow's plan: only the provider knows.
            Self::Compose(_) | Self::Number(_) | Self::Country => Failed::GiveUp { reason },
            Self::Capped { wait } => Failed::Wait { reason, after: wait },
            Self::NoAnswer(NoAnswer::Unreachable) => Failed::Retry { reason, after: None },
            Self::NoAnswer(NoAnswer::Lost | NoAnswer::Late) => Failed::Unknown { reason },
            Self::NoAnswer(NoAnswer::Request | NoAnswer::NotPublic) => Failed::GiveUp { reason },
            Self::Refused { code: Some(code), .. } if DEAD.contains(&code) => {
                Failed::EndpointDead { reason }
            }
            Self::Refused { code: Some(code), retry_after, .. }
                if TOO_MANY.contains(&code) || SIGN_IN.contains(&code) =>
            {
                Failed::Retry { reason, after: retry_after }
            }
            Self::Refused { status: 401 | 429 | 503, retry_after, .. } => {
                Failed::Retry { reason, after: retry_after }
            }
            // The provider's own word that it failed. Without one it may have come from a proxy
            // behind which the SMS was accepted.
            Self::Refused { status: 500.., code: Some(_), retry_after } => {
                Failed::Retry { reason, after: retry_after }
            }
            Self::Refused { status: 500.., code: None, .. } => Failed::Unknown { reason },
            Self::Refused { .. } => Failed::GiveUp { reason },
        }
    }

    fn health(&self) -> Health {
        match *self {
            Self::Compose(_) | Self::Number(_) | Self::Country | Self::Capped { .. } => {
                Health::NotAsked
            }
            Self::NoAnswer(no_answer) => no_answer.health(),
            Self::Refused { status: 401 | 429 | 500.., .. } => Health::Failing,
            Self::Refused { code: Some(code), .. }
                if TOO_MANY.contains(&code) || SIGN_IN.contains(&code) =>
            {
                Health::Failing
            }
            Self::Refused { .. } => Health::Working,
        }
    }
}
