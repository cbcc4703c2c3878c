//! `GET /v1/attachments/{attachmentId}`: the way to a file, for whoever sees a message that has it.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parley_domain::{Timestamp, UserId};
use parley_projections::attachments::{Access, access};
use tokio::time::{Duration, Instant, sleep};
use uuid::Uuid;

use super::NamedAttachment;
use crate::{
    attachments::Method,
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{Caller, public_url},
    },
    state::AppState,
};

/// A message may be with its readers before the views have it, which are given so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(20);

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("fetchAttachment", "The address of a file")
        .answers_empty(302, "Where the file is, for a short while.")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/attachments/{attachmentId}", get(fetch), operation)
}

async fn fetch(
    State(state): State<AppState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    NamedAttachment(id): NamedAttachment,
) -> Result<Response, ApiError> {
    let attachments = super::attachments(&state)?;
    may_fetch(&state, id, &caller.user_id).await?;
    let ttl = i64::try_from(attachments.config.download_url_ttl.as_millis()).unwrap_or(i64::MAX);
    let expires_at = Timestamp::from_unix_millis(state.now().unix_millis().saturating_add(ttl));
    let address = attachments.addresses.sign(Method::Get, id, &caller.user_id, expires_at);
    let location = public_url(&state, &headers)?.at(&address);
    let location = HeaderValue::try_from(location).map_err(|_| ApiError::internal())?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

async fn may_fetch(state: &AppState, id: Uuid, reader: &UserId) -> Result<(), ApiError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match access(&state.pool, id, reader).await? {
            Access::Granted => return Ok(()),
            Access::Undecided if Instant::now() < until => sleep(PAUSE).await,
            Access::Undecided | Access::Refused => return Err(ApiError::no_attachment()),
        }
    }
}
