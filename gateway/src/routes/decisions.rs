//! `GET /v1/notifications/decisions`: why the caller was, or was not, told when away.

use axum::{Json, extract::State, routing::get};
use parley_domain::ConversationId;
use parley_notifier::decisions::{Decision, MAX_DECISIONS, decisions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Endpoint,
    extract::{Caller, Params, page_size},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

const DEFAULT_DECISIONS: u32 = 50;

pub fn endpoint() -> Endpoint {
    let limit = json!({"type": "integer", "minimum": 1, "default": DEFAULT_DECISIONS});
    let most = format!("More than {MAX_DECISIONS} is taken as that.");
    let conversation = json!({"$ref": "#/components/schemas/ConversationId"});
    let operation = Operation::new("listDecisions", "Why one was, or was not, told when away")
        .query("conversationId", &conversation, "Only about this one.")
        .query("limit", &limit, &most)
        .query("cursor", &json!({"type": "string"}), "nextCursor of the page before.")
        .answers(200, "Decisions", "The newest first.")
        .refuses(400, "invalid_body")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/notifications/decisions", get(list), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    conversation_id: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decisions {
    decisions: Vec<Decision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn list(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Params(query): Params<Query>,
) -> Result<Json<Decisions>, ApiError> {
    let limit = page_size(query.limit, DEFAULT_DECISIONS, MAX_DECISIONS)?;
    let conversation = query.conversation_id.as_deref().map(ConversationId::parse).transpose()?;
    let before = query.cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| ApiError::malformed("cursor is not one that was given"))?;
    let found = decisions(&state.pool, &caller.user_id, conversation.as_ref(), before, limit);
    let page = found.await?;
    let next_cursor = page.next_before.map(|before| before.to_string());
    Ok(Json(Decisions { decisions: page.decisions, next_cursor }))
}
