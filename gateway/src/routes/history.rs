//! `GET /v1/conversations/{id}/messages`: a page of messages.

use axum::{Json, extract::State, routing::get};
use parley_projections::queries::{self, HistoryPage, MAX_HISTORY_MESSAGES, Page};
use serde::Deserialize;
use serde_json::json;

use super::{
    Endpoint,
    extract::{Member, Params, page_size},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

const DEFAULT_MESSAGES: u32 = 50;

pub fn endpoint() -> Endpoint {
    let limit = json!({"type": "integer", "minimum": 1, "default": DEFAULT_MESSAGES});
    let seq = json!({"type": "integer", "minimum": 0});
    let most = format!("More than {MAX_HISTORY_MESSAGES} is taken as that.");
    let operation = Operation::new("listMessages", "A page of messages")
        .query("afterSeq", &seq, "The first messages after this one.")
        .query("beforeSeq", &seq, "The last messages before this one.")
        .query("limit", &limit, &most)
        .answers(200, "History", "With neither bound: the last messages.")
        .refuses(400, "invalid_id")
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/conversations/{id}/messages", get(history), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    after_seq: Option<u64>,
    before_seq: Option<u64>,
    limit: Option<u32>,
}

async fn history(
    State(state): State<AppState>,
    member: Member,
    Params(query): Params<Query>,
) -> Result<Json<HistoryPage>, ApiError> {
    let page = match (query.after_seq, query.before_seq) {
        (Some(after), None) => Page::After(after),
        (None, Some(before)) => Page::Before(before),
        (None, None) => Page::Latest,
        (Some(_), Some(_)) => return Err(ApiError::malformed("either afterSeq or beforeSeq")),
    };
    let limit = page_size(query.limit, DEFAULT_MESSAGES, MAX_HISTORY_MESSAGES)?;
    let Member { caller, conversation_id } = member;
    let found =
        queries::history(&state.pool, &conversation_id, &caller.user_id, page, limit).await?;
    found.map(Json).ok_or_else(ApiError::no_conversation)
}
