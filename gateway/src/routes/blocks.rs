//! `GET /v1/blocks`: whom the caller blocks.

use axum::{Json, extract::State, routing::get};
use parley_domain::UserId;
use parley_projections::queries;
use serde::Serialize;

use super::{Endpoint, extract::Caller};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("listBlocks", "Whom the caller blocks")
        .answers(200, "Blocks", "In the order of the ids.")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/blocks", get(blocks), operation)
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<Blocked>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blocked {
    user_id: UserId,
}

async fn blocks(
    State(state): State<AppState>,
    Caller(caller): Caller,
) -> Result<Json<Blocks>, ApiError> {
    let blocked = queries::blocks(&state.pool, &caller.user_id).await?;
    Ok(Json(Blocks { blocks: blocked.into_iter().map(|user_id| Blocked { user_id }).collect() }))
}
