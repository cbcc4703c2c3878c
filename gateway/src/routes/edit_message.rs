//! `PATCH /v1/conversations/{id}/messages/{seq}`: its sender changes what a message says, for a day.

use axum::{Json, extract::State, routing::patch};
use parley_commands::{
    Problem, Request,
    api::{Done, EditMessage},
};
use parley_domain::Action;

use super::{
    Endpoint,
    extract::{JsonBody, Member, Seq, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("editMessage", "Edit a message")
        .body("EditMessage")
        .answers(200, "Done", "It says this now; the same again changes nothing.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(403, "not_sender")
        .refuses(404, "not_found")
        .refuses(409, "too_late")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("PATCH", "/v1/conversations/{id}/messages/{seq}", patch(edit), operation)
}

async fn edit(
    State(state): State<AppState>,
    member: Member,
    Seq(conversation_seq): Seq,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<EditMessage>,
) -> Result<Json<Done>, ApiError> {
    let Member { caller, conversation_id } = member;
    let action = Action::EditMessage {
        conversation_seq,
        body: body.body.validated().map_err(Problem::from)?,
    };
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    Ok(Json(state.commands.execute(request).await?.into()))
}
