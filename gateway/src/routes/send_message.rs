//! `POST /v1/conversations/{id}/messages`: send a message. Once it answers, the message is durable.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use parley_commands::{
    Request,
    api::{MessageAccepted, SendMessage},
};

use super::{
    Endpoint,
    extract::{JsonBody, Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("sendMessage", "Send a message")
        .body("SendMessage")
        .answers(202, "MessageAccepted", "It is durable.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(409, "client_message_id_reused")
        .refuses(422, "invalid_body")
        .refuses(422, "beyond_last_message")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/conversations/{id}/messages", post(send), operation)
}

async fn send(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<SendMessage>,
) -> Result<(StatusCode, Json<MessageAccepted>), ApiError> {
    let Member { caller, conversation_id } = member;
    let request = Request {
        conversation_id,
        action: body.into_action(caller.user_id.as_str())?,
        actor: caller.actor(),
        traceparent,
    };
    let answer = state.commands.execute(request).await?;
    let accepted = MessageAccepted::from_answer(answer).ok_or_else(|| {
        tracing::error!("a send was answered with something else");
        ApiError::internal()
    })?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}
