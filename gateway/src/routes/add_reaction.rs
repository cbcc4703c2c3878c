//! `PUT /v1/conversations/{id}/messages/{seq}/reactions/{emoji}`: react to a message.

use axum::{Json, extract::State, routing::put};
use parley_commands::{Request, api::Done};
use parley_domain::Action;

use super::{
    Endpoint,
    extract::{Member, NamedEmoji, Seq, TraceParent},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

pub fn endpoint() -> Endpoint {
    let operation = Operation::new("addReaction", "React to a message with an emoji")
        .answers(200, "Done", "It is there, now or before.")
        .refuses(400, "invalid_id")
        .refuses(403, "forbidden")
        .refuses(404, "not_found")
        .refuses(409, "too_late")
        .refuses(409, "too_many_reactions")
        .refuses(422, "invalid_body")
        .refuses(503, "unavailable");
    Endpoint::new(
        "PUT",
        "/v1/conversations/{id}/messages/{seq}/reactions/{emoji}",
        put(react),
        operation,
    )
}

async fn react(
    State(state): State<AppState>,
    member: Member,
    Seq(conversation_seq): Seq,
    NamedEmoji(emoji): NamedEmoji,
    TraceParent(traceparent): TraceParent,
) -> Result<Json<Done>, ApiError> {
    let Member { caller, conversation_id } = member;
    let action = Action::AddReaction { conversation_seq, emoji };
    let request = Request { conversation_id, actor: caller.actor(), action, traceparent };
    Ok(Json(state.commands.execute(request).await?.into()))
}
