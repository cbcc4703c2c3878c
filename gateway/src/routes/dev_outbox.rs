//! `GET /dev/outbox`: what would have gone out. A route in development mode only.

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parley_notifier::outbox::{self, Item};
use serde::Serialize;

use super::{Endpoint, extract::wants_page};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::open("devOutbox", "See what would have gone out (development only)")
        .answers(200, "Outbox", "Emails, SMS, pushes and webhooks; a page for a browser.");
    Endpoint::new("GET", "/dev/outbox", get(dev_outbox), operation)
}

#[derive(Serialize)]
struct Outbox {
    items: Vec<Item>,
}

/// The newest first. Emails are shown in frames that run no scripts.
#[derive(Template)]
#[template(path = "outbox.html")]
struct Page {
    items: Vec<Item>,
}

/// Emails bring their styles along; nothing else comes from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn dev_outbox(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    state.authenticator.dev().ok_or_else(ApiError::no_route)?;
    let mut items = items(&state).await?;
    if !wants_page(&headers) {
        return Ok(no_store(Json(Outbox { items })));
    }
    items.reverse();
    let page = Page { items }.render().map_err(|error| {
        tracing::error!(%error, "the outbox cannot be shown");
        ApiError::internal()
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok(no_store((headers, page)))
}

fn no_store(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// None before the first, or if nothing is kept here.
async fn items(state: &AppState) -> Result<Vec<Item>, ApiError> {
    let Some(file) = state.notify.outbox_file.clone() else { return Ok(Vec::new()) };
    let read = tokio::task::spawn_blocking(move || outbox::read(&file)).await;
    match read.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(items) => Ok(items),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be read");
            Err(ApiError::internal())
        }
    }
}
