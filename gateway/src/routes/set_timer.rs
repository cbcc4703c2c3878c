//! `PUT /v1/conversations/{id}/timer`: let the messages from now on expire.

use axum::{Json, extract::State, routing::put};
use parley_commands::api::{Done, SetTimer};
use parley_domain::Action;

use super::{
    Endpoint, execute,
    extract::{JsonBody, Member, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("setTimer", "Let the messages from now on expire")
        .body("SetTimer")
        .answers(200, "Done", "Now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new("PUT", "/v1/conversations/{id}/timer", put(set_timer), operation)
}

async fn set_timer(
    State(state): State<AppState>,
    member: Member,
    TraceParent(traceparent): TraceParent,
    JsonBody(body): JsonBody<SetTimer>,
) -> Result<Json<Done>, ApiError> {
    let action = Action::SetTimer { seconds: body.seconds };
    execute(&state, member, action, traceparent).await
}
