//! `DELETE /v1/conversations/{id}/messages/{seq}`: its sender takes a message back, for everyone, for two days.

use axum::{Json, extract::State, routing::delete};
use parley_commands::{Request, api::Done};
use parley_domain::Action;

use super::{
    Endpoint,
    extract::{Member, Seq, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("deleteMessage", "Delete a message for everyone")
        .answers(200, "Done", "It is deleted, now or before; it keeps its place.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(403, "not_sender")
        .refuses(404, "not_found")
        .refuses(409, "too_late")
        .refuses(503, "unavailable");
    Endpoint::new("DELETE", "/v1/conversations/{id}/messages/{seq}", delete(take_back), operation)
}

async fn take_back(
    State(state): State<AppState>,
    member: Member,
    Seq(conversation_seq): Seq,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let Member { caller, conversation_id } = member;
    let action = Action::DeleteMessage { conversation_seq, reason: None };
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    Ok(Json(state.commands.execute(request).await?.into()))
}
