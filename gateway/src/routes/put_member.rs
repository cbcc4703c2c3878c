//! `PUT /v1/conversations/{id}/members/{userId}`: add somebody, change their role, or join a channel oneself.

use axum::{Json, extract::State, routing::put};
use parley_commands::api::{Done, PutMember};
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{JsonBody, Member, NamedUser, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation =
        Operation::new("putMember", "Add somebody, change their role, or join a channel oneself")
            .body("PutMember")
            .answers(200, "Done", "Now or before.")
            .refuses(400, "invalid_id")
            .refuses(403, "forbidden")
            .refuses(404, "not_found")
            .refuses(404, "not_member")
            .refuses(409, "group_full")
            .refuses(422, "invalid_body")
            .refuses(503, "unavailable");
    Endpoint::new("PUT", "/v1/conversations/{id}/members/{userId}", put(put_member), operation)
}

async fn put_member(
    State(state): State<AppState>,
    member: Member,
    NamedUser(user_id): NamedUser,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<PutMember>,
) -> Result<Json<Done>, ApiError> {
    let action = Action::AddMember { user_id, role: body.role };
    execute(&state, member, action, traceparent).await
}
