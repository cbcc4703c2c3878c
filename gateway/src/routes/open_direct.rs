//! `POST /v1/conversations/direct`: the conversation of two people.
//!
//! It exists without being created: its id is its two members. So this names it, and says by the
//! status whether anything was said in it yet.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use parley_commands::{Code, Problem, Request};
use parley_domain::{Action, Answer, ConversationId, UserId};
use serde::{Deserialize, Serialize};

use super::{
    Endpoint,
    extract::{Caller, JsonBody},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("openDirectConversation", "The conversation of two people")
        .body("OpenDirect")
        .answers(201, "Opened", "It has no messages yet.")
        .answers(200, "Opened", "It has messages.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("POST", "/v1/conversations/direct", post(open_direct), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenDirect {
    participant_ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    conversation_id: ConversationId,
}

async fn open_direct(
    State(state): State<AppState>,
    Caller(caller): Caller,
    JsonBody(body): JsonBody<OpenDirect>,
) -> Result<(StatusCode, Json<Opened>), ApiError> {
    let [one, other] = body.participant_ids.as_slice() else {
        let detail = "participantIds are two userIds";
        return Err(Problem::new(Code::InvalidBody, detail).into());
    };
    let (one, other) = (UserId::parse(one)?, UserId::parse(other)?);
    let conversation_id = ConversationId::direct(&one, &other)?;
    if !conversation_id.is_direct_member(&caller.user_id) {
        return Err(ApiError::forbidden("the caller is not one of participantIds"));
    }
    // "Everything up to message 0 has arrived" is true of everyone and changes nothing; its answer
    // tells the version as it is now, not as the views will have it in a moment.
    let request = Request {
        conversation_id: conversation_id.clone(),
        actor: caller.actor(),
        action: Action::MarkDelivered { through_seq: 0 },
        traceparent: None,
    };
    let status = match state.commands.execute(request).await? {
        Answer::Cursor { version: 0, .. } => StatusCode::CREATED,
        Answer::Cursor { .. } | Answer::Sent { .. } | Answer::Done { .. } => StatusCode::OK,
    };
    Ok((status, Json(Opened { conversation_id })))
}
