//! `PUT /v1/conversations/{id}/title`: give a group or channel a title.

use axum::{Json, extract::State, routing::put};
use parley_commands::api::{Done, Rename};

use super::{
    Endpoint, execute,
    extract::{JsonBody, Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("setTitle", "Give a group or channel a title")
        .body("SetTitle")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("PUT", "/v1/conversations/{id}/title", put(set_title), operation)
}

async fn set_title(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<Rename>,
) -> Result<Json<Done>, ApiError> {
    let action = body.into_action()?;
    execute(&state, member, action, traceparent).await
}
