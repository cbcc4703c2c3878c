//! `GET` and `POST /v1/unsubscribe?token=`: an end to notifications, without a login.
//!
//! The token says whose and which; whoever has it may use it. `GET` changes nothing: mail programs
//! and virus scanners open links. `POST` is the page's button, and RFC 8058's one click.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use parley_commands::AccountRequest;
use parley_domain::{Actor, Scope, account::Action};
use parley_notifier::{
    channels::ChannelKind,
    links::{BadLink, UNSUBSCRIBE_PATH, Unsubscribe},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Endpoint,
    extract::{Params, wants_page},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn page_endpoint() -> Endpoint {
    let operation = described("unsubscribePage", "A page that offers to unsubscribe").answers_with(
        200,
        "text/html",
        &json!({"type": "string"}),
        "With a button.",
    );
    Endpoint::new("GET", UNSUBSCRIBE_PATH, get(ask), operation)
}

pub fn endpoint() -> Endpoint {
    let operation = described("unsubscribe", "End notifications (RFC 8058)")
        .answers_with(200, "text/html", &json!({"type": "string"}), "They have ended.")
        .refuses(503, "unavailable");
    Endpoint::new("POST", UNSUBSCRIBE_PATH, post(unsubscribe), operation)
}

fn described(id: &'static str, summary: &'static str) -> Operation {
    let token = json!({"type": "string"});
    Operation::open(id, summary)
        .query("token", &token, "From a notification.")
        .refuses(400, "invalid_body")
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    token: String,
}

async fn ask(
    State(state): State<AppState>,
    Params(query): Params<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let words = Words::of(&headers);
    match read(&state, &query.token) {
        Ok(unsubscribe) => {
            let text = words.ask(unsubscribe.channel, unsubscribe.conversation_id.is_some());
            page(StatusCode::OK, words, text, Some(words.button()))
        }
        Err(bad) => refused(words, bad, &headers),
    }
}

async fn unsubscribe(
    State(state): State<AppState>,
    Params(query): Params<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let words = Words::of(&headers);
    match read(&state, &query.token) {
        Ok(unsubscribe) => {
            turn_off(&state, unsubscribe).await?;
            page(StatusCode::OK, words, words.done(), None)
        }
        Err(bad) => refused(words, bad, &headers),
    }
}

fn read(state: &AppState, token: &str) -> Result<Unsubscribe, BadLink> {
    let links = state.notify.links.as_ref().ok_or(BadLink::Invalid)?;
    links.read_unsubscribe(token, state.now())
}

/// In the settings of their account, as if they had done it themselves.
async fn turn_off(state: &AppState, unsubscribe: Unsubscribe) -> Result<(), ApiError> {
    let Unsubscribe { user_id, channel, conversation_id } = unsubscribe;
    let action = Action::Unsubscribe { channel: channel.into(), conversation_id };
    let actor = Actor { user_id, device_id: None, scope: Scope::User };
    state.commands.execute(AccountRequest::new(actor, action, None)).await?;
    Ok(())
}

/// A page for a browser, a problem for everybody else.
fn refused(words: Words, bad: BadLink, headers: &HeaderMap) -> Result<Response, ApiError> {
    if wants_page(headers) {
        page(StatusCode::BAD_REQUEST, words, words.refused(bad), None)
    } else {
        Err(ApiError::malformed(bad.to_string()))
    }
}

/// Its only style sheet; the policy names it by its digest.
const STYLE: &str = include_str!("../../templates/plain.css");

/// The button sends to the address that the page has.
#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct Page<'a> {
    language: &'a str,
    title: &'a str,
    style: &'static str,
    text: &'a str,
    button: Option<&'a str>,
}

fn page(
    status: StatusCode,
    words: Words,
    text: &str,
    button: Option<&str>,
) -> Result<Response, ApiError> {
    let (language, title) = (words.tag(), words.title());
    let page = Page { language, title, style: STYLE, text, button }.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be shown");
        ApiError::internal()
    })?;
    let digest = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    let mut response = (status, page).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address is the right to unsubscribe.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept, accept-language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::try_from(policy).map_err(|_| ApiError::internal())?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The page's languages.
#[derive(Clone, Copy)]
enum Words {
    English,
    German,
}

impl Words {
    /// The first one that the browser asks for, if it is one of these.
    fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let first = asked.unwrap_or_default().split([',', ';', '-']).next().unwrap_or_default();
        if first.trim().eq_ignore_ascii_case("de") { Self::German } else { Self::English }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::English => "Notifications",
            Self::German => "Benachrichtigungen",
        }
    }

    fn button(self) -> &'static str {
        match self {
            Self::English => "Unsubscribe",
            Self::German => "Abbestellen",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::English => "You are unsubscribed. You can change this in your settings.",
            Self::German => "Abbestellt. In deinen Einstellungen kannst du das ändern.",
        }
    }

    fn refused(self, bad: BadLink) -> &'static str {
        match (self, bad) {
            (Self::English, BadLink::Invalid) => "This link is not complete. Copy all of it.",
            (Self::English, BadLink::Expired) => {
                "This link is too old. Use one from a newer message, or your settings."
            }
            (Self::German, BadLink::Invalid) => {
                "Dieser Link ist nicht vollständig. Kopiere ihn ganz."
            }
            (Self::German, BadLink::Expired) => {
                "Dieser Link ist zu alt. Nimm einen aus einer neueren Nachricht oder deine \
                 Einstellungen."
            }
        }
    }

    fn ask(self, channel: ChannelKind, one_conversation: bool) -> &'static str {
        match (self, channel, one_conversation) {
            (Self::English, ChannelKind::Email, true) => {
                "No more emails about new messages in this conversation?"
            }
            (Self::English, ChannelKind::Email, false) => "No more emails about new messages?",
            (Self::English, ChannelKind::Sms, true) => {
                "No more text messages about this conversation?"
            }
            (Self::English, ChannelKind::Sms, false) => "No more text messages?",
            (Self::English, ChannelKind::WebPush | ChannelKind::Webhook, true) => {
                "No more notifications about this conversation?"
            }
            (Self::English, ChannelKind::WebPush | ChannelKind::Webhook, false) => {
                "No more notifications?"
            }
            (Self::German, ChannelKind::Email, true) => {
                "Keine E-Mails mehr über neue Nachrichten in dieser Unterhaltung?"
            }
            (Self::German, ChannelKind::Email, false) => {
                "Keine E-Mails mehr über neue Nachrichten?"
            }
            (Self::German, ChannelKind::Sms, true) => "Keine SMS mehr zu dieser Unterhaltung?",
            (Self::German, ChannelKind::Sms, false) => "Keine SMS mehr?",
            (Self::German, ChannelKind::WebPush | ChannelKind::Webhook, true) => {
                "Keine Benachrichtigungen mehr zu dieser Unterhaltung?"
            }
            (Self::German, ChannelKind::WebPush | ChannelKind::Webhook, false) => {
                "Keine Benachrichtigungen mehr?"
            }
        }
    }
}
