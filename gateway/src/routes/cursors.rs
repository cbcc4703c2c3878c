//! `POST /v1/conversations/{id}/read-cursors` and `…/delivery-cursors`: what the caller has read, and
//! what has arrived at them.

use axum::{Json, extract::State, routing::post};
use parley_commands::{
    Request,
    api::{DeliveryCursor, DeliveryCursorMoved, ReadCursor, ReadCursorMoved},
};
use parley_domain::{Action, Actor, Answer, DeviceId};

use super::{
    Endpoint,
    extract::{JsonBody, Member, TraceParent, device},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

const MOVED: &str = "Where the cursor is now; it never moves back.";

pub fn read() -> Endpoint {
    let operation = Operation::new("moveReadCursor", "Everything up to here has been read")
        .body("ReadCursor")
        .answers(200, "ReadCursorMoved", MOVED);
    Endpoint::new(
        "POST",
        "/v1/conversations/{id}/read-cursors",
        post(move_read),
        refusing(operation),
    )
}

pub fn delivery() -> Endpoint {
    let operation = Operation::new("moveDeliveryCursor", "Everything up to here has arrived")
        .body("DeliveryCursor")
        .answers(200, "DeliveryCursorMoved", MOVED);
    Endpoint::new(
        "POST",
        "/v1/conversations/{id}/delivery-cursors",
        post(move_delivery),
        refusing(operation),
    )
}

fn refusing(operation: Operation) -> Operation {
    operation
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "beyond_last_message")
        .refuses(503, "unavailable")
}

async fn move_read(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<ReadCursor>,
) -> Result<Json<ReadCursorMoved>, ApiError> {
    let device_id = device(&member.caller, body.device_id.as_deref())?;
    let action = Action::MarkRead { through_seq: body.read_through_seq };
    let Cursors { read_seq, .. } =
        move_cursor(&state, member, device_id, action, traceparent).await?;
    Ok(Json(ReadCursorMoved { read_seq }))
}

async fn move_delivery(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<DeliveryCursor>,
) -> Result<Json<DeliveryCursorMoved>, ApiError> {
    let device_id = device(&member.caller, body.device_id.as_deref())?;
    let action = Action::MarkDelivered { through_seq: body.delivered_through_seq };
    let Cursors { delivered_seq, .. } =
        move_cursor(&state, member, device_id, action, traceparent).await?;
    Ok(Json(DeliveryCursorMoved { delivered_seq }))
}

/// Where both are.
struct Cursors {
    read_seq: u64,
    delivered_seq: u64,
}

async fn move_cursor(
    state: &AppState,
    Member { caller, conversation_id }: Member,
    device_id: Option<DeviceId>,
    action: Action,
    traceparent: Option<String>,
) -> Result<Cursors, ApiError> {
    let is_discreet =
        state.realtime.accounts().is_discreet(&caller.user_id, &conversation_id).await;
    let actor = Actor { device_id, is_discreet, ..caller.actor() };
    let request = Request { conversation_id, actor, action, traceparent };
    match state.commands.execute(request).await? {
        Answer::Cursor { read_seq, delivered_seq, .. } => Ok(Cursors { read_seq, delivered_seq }),
        Answer::Sent { .. } | Answer::Done { .. } => {
            tracing::error!("a cursor was answered with something else");
            Err(ApiError::internal())
        }
    }
}
