//! `GET` and `POST /v1/unsubscribe?token=`: an end to notifications, without a login.
//!
//! The token says whose and which; whoever has it may use it. `GET` changes nothing: mail programs
//! and virus scanners open links. `POST` is the page's button, and RFC 8058's one click.

use axum::{
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
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
    extract::Params,
    plain_page::{self, Language},
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
    let language = Language::of(&headers);
    match read(&state, &query.token) {
        Ok(Unsubscribe { channel, conversation_id, .. }) => {
            let text = question(language, channel, conversation_id.is_some());
            plain_page::show(language, title(language), text, Some(button(language)))
        }
        Err(bad) => plain_page::refuse(language, title(language), bad, &headers),
    }
}

async fn unsubscribe(
    State(state): State<AppState>,
    Params(query): Params<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let language = Language::of(&headers);
    match read(&state, &query.token) {
        Ok(unsubscribe) => {
            turn_off(&state, unsubscribe).await?;
            plain_page::show(language, title(language), done(language), None)
        }
        Err(bad) => plain_page::refuse(language, title(language), bad, &headers),
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
    let actor = Actor { user_id, device_id: None, scope: Scope::User, is_discreet: false };
    state.commands.execute(AccountRequest::new(actor, action, None)).await?;
    Ok(())
}

fn title(language: Language) -> &'static str {
    match language {
        Language::English => "Notifications",
        Language::German => "Benachrichtigungen",
    }
}

fn button(language: Language) -> &'static str {
    match language {
        Language::English => "Unsubscribe",
        Language::German => "Abbestellen",
    }
}

fn done(language: Language) -> &'static str {
    match language {
        Language::English => "You are unsubscribed. You can change this in your settings.",
        Language::German => "Abbestellt. In deinen Einstellungen kannst du das ändern.",
    }
}

fn question(language: Language, channel: ChannelKind, one_conversation: bool) -> &'static str {
    match (language, channel, one_conversation) {
        (Language::English, ChannelKind::Email, true) => {
            "No more emails about new messages in this conversation?"
        }
        (Language::English, ChannelKind::Email, false) => "No more emails about new messages?",
        (Language::English, ChannelKind::Sms, true) => {
            "No more text messages about this conversation?"
        }
        (Language::English, ChannelKind::Sms, false) => "No more text messages?",
        (Language::English, ChannelKind::WebPush | ChannelKind::Webhook, true) => {
            "No more notifications about this conversation?"
        }
        (Language::English, ChannelKind::WebPush | ChannelKind::Webhook, false) => {
            "No more notifications?"
        }
        (Language::German, ChannelKind::Email, true) => {
            "Keine E-Mails mehr über neue Nachrichten in dieser Unterhaltung?"
        }
        (Language::German, ChannelKind::Email, false) => {
            "Keine E-Mails mehr über neue Nachrichten?"
        }
        (Language::German, ChannelKind::Sms, true) => "Keine SMS mehr zu dieser Unterhaltung?",
        (Language::German, ChannelKind::Sms, false) => "Keine SMS mehr?",
        (Language::German, ChannelKind::WebPush | ChannelKind::Webhook, true) => {
            "Keine Benachrichtigungen mehr zu dieser Unterhaltung?"
        }
        (Language::German, ChannelKind::WebPush | ChannelKind::Webhook, false) => {
            "Keine Benachrichtigungen mehr?"
        }
    }
}
