//! `PUT` and `DELETE /v1/conversations/{id}/draft`: what was begun on one device is there on every
//! other.

use axum::{
    Json,
    extract::State,
    routing::{delete, put},
};
use parley_commands::api::{ClearDraft, Done, SaveDraft};
use parley_domain::account::Action;

use super::execute;
use crate::{
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{JsonBody, Member, OptionalBody, TraceParent},
    },
    state::AppState,
};

const PATH: &str = "/v1/conversations/{id}/draft";

pub fn endpoints() -> [Endpoint; 2] {
    let open = |id, summary| {
        Operation::new(id, summary)
            .answers(200, "Done", "The version of the account; a later draft is left as it is.")
            .refuses(400, "invalid_id")
            .refuses(403, "forbidden")
            .refuses(404, "not_found")
            .refuses(503, "unavailable")
    };
    let saving = open("saveDraft", "Keep what is not sent yet")
        .body("SaveDraft")
        .refuses(409, "limit_reached")
        .refuses(422, "invalid_body");
    let clearing = open("clearDraft", "Forget what was not sent").optional_body("ClearDraft");
    [
        Endpoint::new("PUT", PATH, put(save), saving),
        Endpoint::new("DELETE", PATH, delete(clear), clearing),
    ]
}

async fn save(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
    JsonBody(body): JsonBody<SaveDraft>,
) -> Result<Json<Done>, ApiError> {
    let action = body.into_action(conversation_id);
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

async fn clear(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
    OptionalBody(ClearDraft { saved_at }): OptionalBody<ClearDraft>,
) -> Result<Json<Done>, ApiError> {
    let action = Action::ClearDraft { conversation_id, saved_at };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}
