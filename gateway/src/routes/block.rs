//! `PUT /v1/conversations/{id}/block`: block the other of a direct conversation.

use axum::{Json, extract::State, routing::put};
use parley_commands::api::Done;
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("block", "Block the other of a direct conversation")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("PUT", "/v1/conversations/{id}/block", put(block), operation)
}

async fn block(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Block;
    execute(&state, member, action, traceparent).await
}
