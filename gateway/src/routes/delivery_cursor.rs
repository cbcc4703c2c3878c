//! `POST /v1/conversations/{id}/delivery-cursors`: what has arrived at the caller.

use axum::{Json, extract::State, routing::post};
use parley_commands::{
    Request,
    api::{DeliveryCursor, DeliveryCursorMoved},
};
use parley_domain::{Action, Actor, Answer};

use super::{
    Endpoint,
    extract::{JsonBody, Member, TraceParent, device},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("moveDeliveryCursor", "Everything up to here has arrived")
        .body("DeliveryCursor")
        .answers(200, "DeliveryCursorMoved", "Where the cursor is now; it never moves back.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "beyond_last_message")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/conversations/{id}/delivery-cursors", post(delivered), operation)
}

async fn delivered(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<DeliveryCursor>,
) -> Result<Json<DeliveryCursorMoved>, ApiError> {
    let Member { caller, conversation_id } = member;
    let device_id = device(&caller, body.device_id.as_deref())?;
    let is_discreet =
        state.realtime.accounts().is_discreet(&caller.user_id, &conversation_id).await;
    let request = Request {
        conversation_id,
        actor: Actor { device_id, is_discreet, ..caller.actor() },
        action: Action::MarkDelivered { through_seq: body.delivered_through_seq },
        traceparent,
    };
    match state.commands.execute(request).await? {
        Answer::Cursor { delivered_seq, .. } => Ok(Json(DeliveryCursorMoved { delivered_seq })),
        Answer::Sent { .. } | Answer::Done { .. } => {
            tracing::error!("a cursor was answered with something else");
            Err(ApiError::internal())
        }
    }
}
