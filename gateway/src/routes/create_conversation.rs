//! `POST /v1/conversations`: create a group or channel, which the caller owns.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use parley_commands::{
    Request,
    api::{CreateConversation, Created},
};
use parley_domain::Answer;
use uuid::Uuid;

use super::{
    Endpoint,
    extract::{Caller, JsonBody, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("createConversation", "Create a group or channel")
        .body("CreateConversation")
        .answers(201, "Opened", "The caller owns it.")
        .answers(200, "Opened", "It was created before, under the same conversationId.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(409, "group_full")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/conversations", post(create), operation)
}

async fn create(
    State(state): State<AppState>,
    Caller(caller): Caller,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<CreateConversation>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let (conversation_id, action) = body.into_action(Uuid::now_v7())?;
    let created = Created { conversation_id: conversation_id.clone() };
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    let status = match state.commands.execute(request).await? {
        Answer::Done { changed: true, .. } => StatusCode::CREATED,
        Answer::Done { .. } | Answer::Sent { .. } | Answer::Cursor { .. } => StatusCode::OK,
    };
    Ok((status, Json(created)))
}
