//! `DELETE /v1/conversations/{id}/messages/{seq}/reactions/{emoji}`: take a reaction back.

use axum::{Json, extract::State, routing::delete};
use parley_commands::{Request, api::Done};
use parley_domain::Action;

use super::{
    Endpoint,
    extract::{Member, NamedEmoji, Seq, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("removeReaction", "Take a reaction back")
        .answers(200, "Done", "It is gone, now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new(
        "DELETE",
        "/v1/conversations/{id}/messages/{seq}/reactions/{emoji}",
        delete(take_back),
        operation,
    )
}

async fn take_back(
    State(state): State<AppState>,
    member: Member,
    Seq(conversation_seq): Seq,
    NamedEmoji(emoji): NamedEmoji,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let Member { caller, conversation_id } = member;
    let action = Action::RemoveReaction { conversation_seq, emoji };
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    Ok(Json(state.commands.execute(request).await?.into()))
}
