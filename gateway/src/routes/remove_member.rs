//! `DELETE /v1/conversations/{id}/members/{userId}`: remove somebody, or leave oneself.

use axum::{Json, extract::State, routing::delete};
use parley_commands::api::Done;
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{Member, NamedUser, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("removeMember", "Remove somebody, or leave oneself")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(404, "not_member")
        .refuses(503, "unavailable");
    Endpoint::new(
        "DELETE",
        "/v1/conversations/{id}/members/{userId}",
        delete(remove_member),
        operation,
    )
}

async fn remove_member(
    State(state): State<AppState>,
    member: Member,
    NamedUser(user_id): NamedUser,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::RemoveMember { user_id };
    execute(&state, member, action, traceparent).await
}
