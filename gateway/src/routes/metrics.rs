//! `GET /metrics`: for Prometheus; on a port of its own if one is configured.

use axum::{extract::State, http::header, response::IntoResponse, routing::get};
use parley_runtime::metrics::CONTENT_TYPE;
use serde_json::json;

use super::Endpoint;
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let text = json!({"type": "string"});
    let operation = Operation::open("metrics", "For Prometheus").answers_with(
        200,
        "text/plain",
        &text,
        "The text format.",
    );
    Endpoint::new("GET", "/metrics", get(metrics), operation)
}

async fn metrics(State(state): State<AppState>) -> Result<impl IntoResponse, ApiError> {
    let text = state.metrics.text().map_err(|error| {
        tracing::error!(%error, "metrics cannot be written");
        ApiError::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}
