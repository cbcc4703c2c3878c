//! `GET /v1/conversations/{id}`: one conversation as the caller sees it.

use axum::{Json, extract::State, routing::get};
use parley_projections::{queries, views::Summary};

use super::{Endpoint, extract::Member};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("getConversation", "One conversation as the caller sees it")
        .answers(200, "Summary", "With its members.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/conversations/{id}", get(conversation), operation)
}

async fn conversation(
    State(state): State<AppState>,
    member: Member,
) -> Result<Json<Summary>, ApiError> {
    let Member { caller, conversation_id } = member;
    state.realtime.accounts().settled(&caller.user_id).await?;
    let summary =
        queries::summary(&state.pool, &conversation_id, &caller.user_id, state.now()).await?;
    summary.map(Json).ok_or_else(ApiError::no_conversation)
}
