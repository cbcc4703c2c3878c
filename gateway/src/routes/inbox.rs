//! `GET /v1/conversations`: the caller's conversations, pinned first, then newest activity first.

use axum::{Json, extract::State, routing::get};
use parley_projections::{
    queries::{self, Filter, InboxCursor, MAX_INBOX_CONVERSATIONS},
    views::Summary,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Endpoint,
    extract::{Caller, Params, page_size},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

const DEFAULT_CONVERSATIONS: u32 = 50;

pub fn endpoint() -> Endpoint {
    let limit = json!({"type": "integer", "minimum": 1, "default": DEFAULT_CONVERSATIONS});
    let filter = json!({"enum": ["all", "unread", "archived"], "default": "all"});
    let most = format!("More than {MAX_INBOX_CONVERSATIONS} is taken as that.");
    let operation = Operation::new("listConversations", "The caller's conversations")
        .query("limit", &limit, &most)
        .query("cursor", &json!({"type": "string"}), "nextCursor of the page before.")
        .query("filter", &filter, "Which conversations.")
        .answers(200, "Inbox", "Pinned first, then newest activity first.")
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/conversations", get(inbox), operation)
}

#[derive(Deserialize)]
struct Query {
    limit: Option<u32>,
    cursor: Option<String>,
    filter: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inbox {
    conversations: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

async fn inbox(
    State(state): State<AppState>,
    Caller(caller): Caller,
    Params(query): Params<Query>,
) -> Result<Json<Inbox>, ApiError> {
    let limit = page_size(query.limit, DEFAULT_CONVERSATIONS, MAX_INBOX_CONVERSATIONS)?;
    let filter = match query.filter.as_deref() {
        None => Filter::All,
        Some(name) => Filter::parse(name)
            .ok_or_else(|| ApiError::malformed("filter is all, unread or archived"))?,
    };
    let cursor = query.cursor.as_deref().map(InboxCursor::parse).transpose();
    let cursor = cursor.map_err(|error| ApiError::malformed(error.to_string()))?;
    state.realtime.accounts().settled(&caller.user_id).await?;
    let page = queries::inbox(&state.pool, &caller.user_id, filter, limit, cursor.as_ref()).await?;
    Ok(Json(Inbox {
        conversations: page.summaries,
        next_cursor: page.next_cursor.map(|cursor| cursor.to_string()),
    }))
}
