//! `GET` and `POST /v1/notification-endpoints/verify?token=`: the link in the email, or in what a webhook
//! got, that asks whether an address is right, without a login.
//!
//! `GET` changes nothing, because virus scanners open links, too; the page's button does, and so does a
//! service behind a webhook that posts to the link itself.

use axum::{
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use parley_commands::AccountRequest;
use parley_domain::{
    Actor, Scope,
    account::{Action, Address},
};
use parley_notifier::links::{BadLink, Links, VERIFY_PATH, Verification};
use parley_projections::queries;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Endpoint,
    extract::Params,
    plain_page::{self, Language},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn page_endpoint() -> Endpoint {
    let operation = described("verifyByLinkPage", "A page that offers to confirm an address")
        .answers_with(200, "text/html", &json!({"type": "string"}), "With a button.");
    Endpoint::new("GET", VERIFY_PATH, get(ask), operation)
}

pub fn endpoint() -> Endpoint {
    let operation = described("verifyByLink", "Confirm an address by the link sent to it")
        .answers_with(200, "text/html", &json!({"type": "string"}), "It is verified.")
        .refuses(503, "unavailable");
    Endpoint::new("POST", VERIFY_PATH, post(verify), operation)
}

fn described(id: &'static str, summary: &'static str) -> Operation {
    let token = json!({"type": "string"});
    Operation::open(id, summary)
        .query("token", &token, "From the email, or what the webhook got.")
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
    let words = Words::of(language);
    match read(&state, &query.token) {
        Ok(_) => plain_page::show(language, words.title, words.question, Some(words.button)),
        Err(bad) => plain_page::refuse(language, words.title, bad, &headers),
    }
}

async fn verify(
    State(state): State<AppState>,
    Params(query): Params<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let language = Language::of(&headers);
    let words = Words::of(language);
    let verified = match read(&state, &query.token) {
        Ok((links, verification)) => confirm(&state, links, verification).await?,
        Err(bad) => Err(bad),
    };
    match verified {
        Ok(()) => plain_page::show(language, words.title, words.done, None),
        Err(bad) => plain_page::refuse(language, words.title, bad, &headers),
    }
}

fn read<'a>(state: &'a AppState, token: &str) -> Result<(&'a Links, Verification), BadLink> {
    let links = state.notify.links.as_ref().ok_or(BadLink::Invalid)?;
    Ok((links, links.read_verification(token, state.now())?))
}

/// Verifies the endpoint, if it is still there and has the address that the link went to.
async fn confirm(
    state: &AppState,
    links: &Links,
    verification: Verification,
) -> Result<Result<(), BadLink>, ApiError> {
    let Ok(endpoint_id) = Uuid::try_parse(&verification.endpoint_id) else {
        return Ok(Err(BadLink::Invalid));
    };
    let user_id = verification.user_id.clone();
    let endpoints = queries::endpoints(&state.pool, &user_id).await?;
    let is_it = endpoints.into_iter().any(|endpoint| match endpoint.address {
        Address::Email(address) | Address::Webhook(address) => {
            endpoint.endpoint_id == endpoint_id && links.is_for_address(&verification, &address)
        }
        Address::Sms(_) | Address::WebPush(_) => false,
    });
    if !is_it {
        return Ok(Err(BadLink::Expired));
    }
    let actor = Actor { user_id, device_id: None, scope: Scope::User, is_discreet: false };
    let action = Action::VerifyEndpoint { endpoint_id };
    state.commands.execute(AccountRequest::new(actor, action, None)).await?;
    Ok(Ok(()))
}

struct Words {
    title: &'static str,
    question: &'static str,
    button: &'static str,
    done: &'static str,
}

impl Words {
    fn of(language: Language) -> Self {
        match language {
            Language::English => Self {
                title: "Notifications",
                question: "Do you want to be told about new messages at this address?",
                button: "Confirm this address",
                done: "Confirmed. You will be told here when you are away.",
            },
            Language::German => Self {
                title: "Benachrichtigungen",
                question: "Möchtest du unter dieser Adresse über neue Nachrichten \
                           benachrichtigt werden?",
                button: "Adresse bestätigen",
                done: "Bestätigt. Du wirst hier benachrichtigt, wenn du weg bist.",
            },
        }
    }
}
