//! `GET /v1/presence`: who of these people is online.

use axum::{Json, extract::State, routing::get};
use parley_domain::{Timestamp, UserId};
use serde::Serialize;
use serde_json::json;

use super::{
    Endpoint,
    extract::{Caller, Params},
};
use crate::{
    error::ApiError,
    openapi::Operation,
    presence::{MAX_WATCHED, Shown},
    state::AppState,
};

pub fn endpoint() -> Endpoint {
    let ids = json!({"type": "string"});
    let most = format!("Separated by commas, or repeated; at most {MAX_WATCHED}.");
    let left_out = "Whoever the caller has no conversation with is left out.";
    let operation = Operation::new("getPresence", "Who of these people is online")
        .query("userIds", &ids, &most)
        .answers(200, "PresenceList", left_out)
        .refuses(400, "invalid_id")
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/presence", get(presence), operation)
}

#[derive(Serialize)]
struct PresenceList {
    presence: Vec<Person>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    user_id: UserId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<Timestamp>,
}

impl Person {
    fn new(user_id: UserId, shown: Shown) -> Self {
        match shown {
            Shown::Online => Self { user_id, state: "online", last_seen_at: None },
            Shown::Offline(at) => Self {
                user_id,
                state: "offline",
                last_seen_at: at.map(Timestamp::from_unix_millis),
            },
        }
    }
}

async fn presence(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Params(parameters): Params<Vec<(String, String)>>,
) -> Result<Json<PresenceList>, ApiError> {
    let lists = parameters.iter().filter(|(name, _)| name == "userIds").map(|(_, list)| list);
    let names = lists.flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    let mut users = Vec::new();
    for name in names {
        let user = UserId::parse(name)?;
        if !users.contains(&user) {
            users.push(user);
        }
        if users.len() > MAX_WATCHED {
            return Err(ApiError::malformed("userIds names at most 100 people"));
        }
    }
    if users.is_empty() {
        return Err(ApiError::malformed("userIds names at least one person"));
    }
    let known = state.realtime.presence();
    if !known.is_ready() {
        return Err(ApiError::unavailable("presence is not known yet"));
    }
    let found = known.ask(&caller.user_id, &users).await?;
    let presence = found.into_iter().map(|(user, shown)| Person::new(user, shown)).collect();
    Ok(Json(PresenceList { presence }))
}
