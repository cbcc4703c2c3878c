//! `DELETE /v1/conversations/{id}/timer`: let the messages from now on stay.

use axum::{Json, extract::State, routing::delete};
use parley_commands::api::Done;
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("clearTimer", "Let the messages from now on stay")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("DELETE", "/v1/conversations/{id}/timer", delete(clear_timer), operation)
}

async fn clear_timer(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::SetTimer { seconds: 0 };
    execute(&state, member, action, traceparent).await
}
