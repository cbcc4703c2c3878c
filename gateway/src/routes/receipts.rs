//! `GET /v1/conversations/{id}/receipts/{seq}`: who has received and read a message.

use axum::{Json, extract::State, routing::get};
use parley_commands::{Code, Problem};
use parley_domain::UserId;
use parley_projections::queries;
use serde::Serialize;

use super::{
    Endpoint,
    extract::{Member, Seq},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("getReceipts", "Who has received and read a message")
        .answers(200, "Receipts", "The sender is in neither list.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/conversations/{id}/receipts/{seq}", get(receipts), operation)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipts {
    read_by: Vec<Reader>,
    delivered_to: Vec<Reader>,
    members: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reader {
    user_id: UserId,
}

async fn receipts(
    State(state): State<AppState>,
    member: Member,
    Seq(seq): Seq,
) -> Result<Json<Receipts>, ApiError> {
    let found =
        queries::receipts(&state.pool, &member.conversation_id, &member.caller.user_id, seq)
            .await?;
    let found = found
        .ok_or_else(|| ApiError::from(Problem::new(Code::NotFound, "there is no such message")))?;
    Ok(Json(Receipts {
        read_by: readers(found.read_by),
        delivered_to: readers(found.delivered_to),
        members: found.members,
    }))
}

fn readers(users: Vec<UserId>) -> Vec<Reader> {
    users.into_iter().map(|user_id| Reader { user_id }).collect()
}
