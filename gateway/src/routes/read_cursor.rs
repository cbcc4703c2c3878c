//! `POST /v1/conversations/{id}/read-cursors`: what the caller has read.

use axum::{Json, extract::State, routing::post};
use parley_commands::{
    Request,
    api::{ReadCursor, ReadCursorMoved},
};
use parley_domain::{Action, Actor, Answer};

use super::{
    Endpoint,
    extract::{JsonBody, Member, TraceParent, device},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("moveReadCursor", "Everything up to here has been read")
        .body("ReadCursor")
        .answers(200, "ReadCursorMoved", "Where the cursor is now; it never moves back.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "beyond_last_message")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/conversations/{id}/read-cursors", post(read), operation)
}

async fn read(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<ReadCursor>,
) -> Result<Json<ReadCursorMoved>, ApiError> {
    let Member { caller, conversation_id } = member;
    let device_id = device(&caller, body.device_id.as_deref())?;
    let is_discreet =
        state.realtime.accounts().is_discreet(&caller.user_id, &conversation_id).await;
    let request = Request {
        conversation_id,
        actor: Actor { device_id, is_discreet, ..caller.actor() },
        action: Action::MarkRead { through_seq: body.read_through_seq },
        traceparent,
    };
    match state.commands.execute(request).await? {
        Answer::Cursor { read_seq, .. } => Ok(Json(ReadCursorMoved { read_seq })),
        Answer::Sent { .. } | Answer::Done { .. } => {
            tracing::error!("a cursor was answered with something else");
            Err(ApiError::internal())
        }
    }
}
