//! `DELETE /v1/conversations/{id}/title`: take the title of a group or channel away.

use axum::{Json, extract::State, routing::delete};
use parley_commands::api::Done;
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("clearTitle", "Take the title of a group or channel away")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("DELETE", "/v1/conversations/{id}/title", delete(clear_title), operation)
}

async fn clear_title(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Rename { title: None };
    execute(&state, member, action, traceparent).await
}
