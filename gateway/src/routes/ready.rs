//! `GET /readyz`: whether to send traffic here.
//!
//! PostgreSQL is not asked: with it down, sending and live delivery go on, and taking every gateway
//! out of service would end them.

use axum::{Json, extract::State, http::StatusCode, routing::get};
use serde::Serialize;

use super::Endpoint;
use crate::{openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::open("ready", "Whether to send traffic here")
        .answers(200, "Readiness", "Send it.")
        .answers(503, "Readiness", "Not now, and why.");
    Endpoint::new("GET", "/readyz", get(ready), operation)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    ready: bool,
    nats: bool,
    caught_up: bool,
    keys: bool,
    draining: bool,
}

async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let nats = state.nats.link().connected;
    let caught_up = state.realtime.is_ready();
    let keys = state.authenticator.has_keys();
    let draining = state.shutdown.soft().is_cancelled();
    let ready = nats && caught_up && keys && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, nats, caught_up, keys, draining }))
}
