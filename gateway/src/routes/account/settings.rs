//! `GET` and `PUT /v1/settings`: what the caller shows of themselves, and how they want to be told.

use axum::{
    Json,
    extract::State,
    routing::{get, put},
};
use parley_domain::account::{Action, Settings};
use parley_projections::queries;
use serde::Serialize;

use super::execute;
use crate::{
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{Caller, JsonBody, TraceParent},
    },
    state::AppState,
};

const PATH: &str = "/v1/settings";

pub fn endpoints() -> [Endpoint; 2] {
    let open = |id, summary| {
        Operation::new(id, summary).refuses(403, "forbidden").refuses(503, "unavailable")
    };
    let read = open("getSettings", "One's settings").answers(
        200,
        "Settings",
        "What was never set has its default.",
    );
    let write = open("putSettings", "Replace one's settings")
        .body("Settings")
        .answers(200, "SettingsSet", "As they are now; what the body leaves out has its default.")
        .refuses(422, "invalid_body");
    [Endpoint::new("GET", PATH, get(settings), read), Endpoint::new("PUT", PATH, put(set), write)]
}

#[derive(Serialize)]
struct SettingsSet {
    version: u64,
    #[serde(flatten)]
    settings: Settings,
}

async fn settings(
    State(state): State<AppState>,
    Caller(caller): Caller,
) -> Result<Json<Settings>, ApiError> {
    state.realtime.accounts().settled(&caller.user_id).await?;
    Ok(Json(queries::settings(&state.pool, &caller.user_id).await?))
}

async fn set(
    State(state): State<AppState>,
    Caller(caller): Caller,
    trace: TraceParent,
    JsonBody(settings): JsonBody<Settings>,
) -> Result<Json<SettingsSet>, ApiError> {
    let action = Action::SetPreferences { settings: settings.clone() };
    let version = execute(&state, &caller, trace, action).await?.version();
    Ok(Json(SettingsSet { version, settings }))
}
