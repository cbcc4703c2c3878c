//! `PUT` and `DELETE` of `/v1/conversations/{id}/mute`, `/pin` and `/archive`: the caller's own
//! view of a conversation.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    routing::{delete, put},
};
use parley_commands::api::{Done, Mute};
use parley_domain::{ConversationId, account::Action};
use parley_nats::{last_position, subjects::shard_of};
use parley_projections::{checkpoint, queries};
use tokio::time::{Instant, sleep};

use super::execute;
use crate::{
    error::ApiError,
    openapi::Operation,
    routes::{
        Endpoint,
        extract::{Member, OptionalBody, TraceParent},
    },
    state::AppState,
};

/// How long the views may take to have the messages that are there.
const PATIENCE: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_millis(10);

const MUTE: &str = "/v1/conversations/{id}/mute";
const PIN: &str = "/v1/conversations/{id}/pin";
const ARCHIVE: &str = "/v1/conversations/{id}/archive";

pub fn endpoints() -> [Endpoint; 6] {
    let open = |id, summary| {
        Operation::new(id, summary)
            .answers(200, "Done", "The version of the account that has it.")
            .refuses(400, "invalid_id")
            .refuses(403, "forbidden")
            .refuses(404, "not_found")
            .refuses(503, "unavailable")
    };
    let full = |id, summary| open(id, summary).refuses(409, "limit_reached");
    let muting = full("muteConversation", "Let a conversation not disturb one")
        .optional_body("Mute")
        .refuses(422, "invalid_body");
    [
        Endpoint::new("PUT", MUTE, put(mute), muting),
        Endpoint::new("DELETE", MUTE, delete(unmute), open("unmuteConversation", "End a mute")),
        Endpoint::new("PUT", PIN, put(pin), full("pinConversation", "Show it before the others")),
        Endpoint::new("DELETE", PIN, delete(unpin), open("unpinConversation", "End a pin")),
        Endpoint::new(
            "PUT",
            ARCHIVE,
            put(archive),
            full("archiveConversation", "Take it out of the inbox until the next message"),
        ),
        Endpoint::new(
            "DELETE",
            ARCHIVE,
            delete(unarchive),
            open("unarchiveConversation", "Take it back into the inbox"),
        ),
    ]
}

async fn mute(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
    OptionalBody(Mute { until }): OptionalBody<Mute>,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Mute { conversation_id, until };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

async fn unmute(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Unmute { conversation_id };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

async fn pin(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Pin { conversation_id };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

async fn unpin(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Unpin { conversation_id };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

async fn archive(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    await_messages(&state, &conversation_id).await?;
    let now = state.now();
    let summary = queries::summary(&state.pool, &conversation_id, &caller.user_id, now).await?;
    let through_seq = summary.ok_or_else(ApiError::no_conversation)?.last_seq;
    let action = Action::Archive { conversation_id, through_seq };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}

/// Waits, a moment at most, until the views have every message that is there now: whoever archives
/// what they have just written would find it back in the inbox.
async fn await_messages(state: &AppState, id: &ConversationId) -> Result<(), ApiError> {
    let shards = u16::try_from(state.realtime.hub().positions().len()).unwrap_or(1);
    let shard = shard_of(id, shards);
    let end = last_position(&state.nats, shard).await.map_err(parley_commands::Problem::from)?;
    let until = Instant::now() + PATIENCE;
    while checkpoint(&state.pool, shard).await? < end && Instant::now() < until {
        sleep(LAG).await;
    }
    Ok(())
}

async fn unarchive(
    State(state): State<AppState>,
    Member { caller, conversation_id }: Member,
    trace: TraceParent,
) -> Result<Json<Done>, ApiError> {
    let action = Action::Unarchive { conversation_id };
    Ok(Json(execute(&state, &caller, trace, action).await?.into()))
}
