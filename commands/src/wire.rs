//! What goes between a caller and the owner of a shard on `dm.shard.<n>`. Internal: both ends are
//! of one release.

use parley_domain::{Action, Actor, Answer, ConversationId};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A command on its way to the owner of its conversation's shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub conversation_id: ConversationId,
    pub actor: Actor,
    pub action: Action,
    /// W3C Trace Context of the caller, for the event's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A request with the moment from which nobody waits for its answer any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    pub request: Request,
    /// Milliseconds since the Unix epoch.
    pub deadline_ms: i64,
}

/// The owner's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    Answer(Answer),
    Problem(Problem),
}
