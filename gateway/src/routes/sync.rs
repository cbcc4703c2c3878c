//! `GET /v1/sync`: what changed after a token; with `wait` the long poll.

use std::time::Duration;

use axum::{Json, extract::State, routing::get};
use parley_domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    Endpoint,
    extract::{Caller, Params, page_size},
};
use crate::{
    auth::AuthError, error::ApiError, openapi::Operation, realtime::poll::SyncAnswer,
    state::AppState,
};

pub const PATH: &str = "/v1/sync";
/// The longest wait; more is taken as this.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

pub fn endpoint() -> Endpoint {
    let token = json!({"type": "string"});
    let limit = json!({"type": "integer", "minimum": 1});
    let wait =
        json!({"type": "integer", "minimum": 0, "maximum": MAX_WAIT.as_secs(), "default": 0});
    let operation = Operation::new("sync", "What changed after a token")
        .query("since", &token, "The token of the answer before; without it: everything.")
        .query("limit", &limit, "Conversations of one page.")
        .query("wait", &wait, "Seconds to wait for something to tell.")
        .answers(200, "Sync", "Ask again with its token; at once while there is more.")
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", PATH, get(sync), operation)
}

#[derive(Deserialize)]
struct Query {
    since: Option<String>,
    limit: Option<u32>,
    /// In seconds.
    wait: Option<u64>,
}

#[derive(Serialize)]
struct Sync {
    token: String,
    more: bool,
    conversations: Box<RawValue>,
    account: Box<RawValue>,
}

impl From<SyncAnswer> for Sync {
    fn from(answer: SyncAnswer) -> Self {
        let SyncAnswer { token, more, conversations, account } = answer;
        Self { token, more, conversations, account }
    }
}

async fn sync(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Params(query): Params<Query>,
) -> Result<Json<Sync>, ApiError> {
    let limit = query.limit.map(|limit| page_size(Some(limit), limit, u32::MAX)).transpose()?;
    let asked = Duration::from_secs(query.wait.unwrap_or_default());
    // Nobody is told anything after their token has ended.
    let wait = asked.min(MAX_WAIT).min(left(caller.expires_at, state.now()));
    let since = query.since.as_deref();
    let device = caller.device_id.as_ref();
    let watch = device
        .map(|device| state.realtime.devices().watch(&caller.user_id, device, caller.registration));
    let unlinked = async {
        match &watch {
            Some(watch) => watch.over().await,
            None => std::future::pending().await,
        }
    };
    let poll = |wait| state.realtime.poll(&caller.user_id, since, limit, wait);
    let answer = tokio::select! {
        answer = poll(wait) => answer,
        () = unlinked => return Err(AuthError::Unlinked.into()),
        // A drain waits for nothing that is not there yet.
        () = state.shutdown.soft().cancelled() => poll(Duration::ZERO).await,
    };
    Ok(Json(answer?.into()))
}

fn left(until: Timestamp, now: Timestamp) -> Duration {
    let millis = until.unix_millis().saturating_sub(now.unix_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
