//! `POST /dev/token`: log in as anyone. A route in development mode only.

use axum::{Json, extract::State, routing::post};
use parley_domain::{Scope, UserId};
use serde::{Deserialize, Serialize};

use super::{Endpoint, extract::JsonBody};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::open("devToken", "Log in as anyone (development only)")
        .body("DevLogin")
        .answers(200, "DevToken", "In place of a token of the marketplace.")
        .refuses(400, "invalid_id");
    Endpoint::new("POST", "/dev/token", post(dev_token), operation)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DevLogin {
    user_id: String,
    #[serde(default)]
    scope: Option<Scope>,
}

#[derive(Serialize)]
struct DevToken {
    token: String,
}

async fn dev_token(
    State(state): State<AppState>,
    JsonBody(body): JsonBody<DevLogin>,
) -> Result<Json<DevToken>, ApiError> {
    let dev = state.authenticator.dev().ok_or_else(ApiError::no_route)?;
    let user = UserId::parse(&body.user_id)?;
    let token = dev.mint(&user, body.scope.unwrap_or(Scope::User), state.now());
    let token = token.map_err(|error| {
        tracing::error!(%error, "no development token");
        ApiError::internal()
    })?;
    Ok(Json(DevToken { token }))
}
