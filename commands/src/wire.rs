//! What goes between a caller and the owner of a shard on `dm.shard.<n>`. Internal: both ends are
//! of one release.

use parley_domain::{AccountId, Action, Actor, Answer, ConversationId, account};
use parley_nats::subjects::shard_of;
use serde::{Deserialize, Serialize};

use crate::{
    problem::{Code, Problem},
    rates::{Grant, RateRequest},
};

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

/// A command on its way to the owner of its account's shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRequest {
    pub account_id: AccountId,
    pub actor: Actor,
    pub action: account::Action,
    /// W3C Trace Context of the caller, for the event's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl AccountRequest {
    /// Of the actor's own account.
    pub fn new(actor: Actor, action: account::Action, traceparent: Option<String>) -> Self {
        Self { account_id: AccountId::of(&actor.user_id), actor, action, traceparent }
    }
}

/// A request to either aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Asked {
    Conversation(Request),
    Account(AccountRequest),
    /// Not a command: some of a limit.
    Rate(RateRequest),
}

impl Asked {
    /// Whose owner decides it.
    pub(crate) fn shard(&self, shards: u16) -> u16 {
        match self {
            Self::Conversation(request) => shard_of(&request.conversation_id, shards),
            Self::Account(request) => shard_of(&request.account_id, shards),
            Self::Rate(request) => request.counted.shard(shards),
        }
    }
}

/// A request with the moment from which nobody waits for its answer any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    pub asked: Asked,
    /// Milliseconds since the Unix epoch.
    pub deadline_ms: i64,
}

/// The owner's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    Answer(Answer),
    Account(account::Answer),
    Rate(Grant),
    Problem(Problem),
}

/// A request, and what its answer is.
pub trait Ask {
    type Answer;

    fn into_asked(self) -> Asked;
    fn answer(reply: Reply) -> Result<Self::Answer, Problem>;
}

impl Ask for Request {
    type Answer = Answer;

    fn into_asked(self) -> Asked {
        Asked::Conversation(self)
    }

    fn answer(reply: Reply) -> Result<Answer, Problem> {
        match reply {
            Reply::Answer(answer) => Ok(answer),
            Reply::Account(_) | Reply::Rate(_) => Err(another_question()),
            Reply::Problem(problem) => Err(problem),
        }
    }
}

impl Ask for AccountRequest {
    type Answer = account::Answer;

    fn into_asked(self) -> Asked {
        Asked::Account(self)
    }

    fn answer(reply: Reply) -> Result<account::Answer, Problem> {
        match reply {
            Reply::Account(answer) => Ok(answer),
            Reply::Answer(_) | Reply::Rate(_) => Err(another_question()),
            Reply::Problem(problem) => Err(problem),
        }
    }
}

impl Ask for RateRequest {
    type Answer = Grant;

    fn into_asked(self) -> Asked {
        Asked::Rate(self)
    }

    fn answer(reply: Reply) -> Result<Grant, Problem> {
        match reply {
            Reply::Rate(grant) => Ok(grant),
            Reply::Answer(_) | Reply::Account(_) => Err(another_question()),
            Reply::Problem(problem) => Err(problem),
        }
    }
}

fn another_question() -> Problem {
    Problem::new(Code::Internal, "the answer is to another question")
}
