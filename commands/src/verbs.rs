//! What backend services may ask on `dm.cmd.<verb>`, and how it is answered.

mod account;

use async_nats::{
    HeaderMap,
    service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, Request as ServiceRequest},
};
use parley_domain::{
    Action, Actor, Answer, ConversationId, DeviceId, Scope, UserId, account as account_log,
};
use parley_nats::subjects::{ACTOR_HEADER, DEVICE_HEADER, TRACEPARENT_HEADER};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

use self::account::AccountVerb;
use crate::{
    api::{
        DeliveryCursor, DeliveryCursorMoved, MessageAccepted, ReadCursor, ReadCursorMoved,
        SendMessage, device,
    },
    client::Client,
    problem::{Code, Problem},
    wire::{AccountRequest, Request},
};

/// The verbs of `dm.cmd.<verb>`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    MessageSend,
    CursorRead,
    CursorDelivered,
    /// Of the actor's account.
    Account(AccountVerb),
}

impl Verb {
    pub fn all() -> impl Iterator<Item = Self> {
        let of_conversations = [Self::MessageSend, Self::CursorRead, Self::CursorDelivered];
        of_conversations.into_iter().chain(AccountVerb::ALL.map(Self::Account))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageSend => "message.send",
            Self::CursorRead => "cursor.read",
            Self::CursorDelivered => "cursor.delivered",
            Self::Account(verb) => verb.as_str(),
        }
    }
}

/// Answers one request.
pub(crate) async fn answer(verb: Verb, request: ServiceRequest, client: &Client) {
    let answered = execute(verb, &request, client).await;
    let mut headers = HeaderMap::new();
    let payload = answered.unwrap_or_else(|problem| {
        // The library's own error reply has no body; ours is the problem object.
        headers.insert(NATS_SERVICE_ERROR_CODE, problem.status.to_string());
        headers.insert(NATS_SERVICE_ERROR, problem.code.as_str());
        serde_json::to_vec(&problem).unwrap_or_default()
    });
    if let Err(error) = request.respond_with_headers(Ok(payload.into()), headers).await {
        tracing::debug!(%error, "a command came without a reply subject");
    }
}

/// The HTTP body of a verb, and the conversation that HTTP has in its path.
#[derive(Deserialize)]
struct Addressed {
    #[serde(rename = "conversationId")]
    conversation_id: SmolStr,
}

/// Whose act it is, by the headers.
struct Caller {
    actor: Actor,
    traceparent: Option<String>,
}

async fn execute(
    verb: Verb,
    request: &ServiceRequest,
    client: &Client,
) -> Result<Vec<u8>, Problem> {
    let caller = caller(request)?;
    let body = &request.message.payload;
    match verb {
        Verb::MessageSend => {
            let action = json::<SendMessage>(body)?.into_action(caller.actor.user_id.as_str())?;
            let answer = client.execute(addressed(body, caller, action)?).await?;
            written(&MessageAccepted::from_answer(answer))
        }
        Verb::CursorRead => {
            let ReadCursor { device_id, read_through_seq: through_seq } = json(body)?;
            let caller = caller.on(device_id)?;
            let request = addressed(body, caller, Action::MarkRead { through_seq })?;
            match client.execute(request).await? {
                Answer::Cursor { read_seq, .. } => written(&ReadCursorMoved { read_seq }),
                Answer::Sent { .. } => Err(another_question()),
            }
        }
        Verb::CursorDelivered => {
            let DeliveryCursor { device_id, delivered_through_seq: through_seq } = json(body)?;
            let caller = caller.on(device_id)?;
            let request = addressed(body, caller, Action::MarkDelivered { through_seq })?;
            match client.execute(request).await? {
                Answer::Cursor { delivered_seq, .. } => {
                    written(&DeliveryCursorMoved { delivered_seq })
                }
                Answer::Sent { .. } => Err(another_question()),
            }
        }
        Verb::Account(verb) => {
            let request = caller.of_account(verb.action(body)?);
            account::written(client.execute(request).await?)
        }
    }
}

fn caller(request: &ServiceRequest) -> Result<Caller, Problem> {
    let header = |name: &str| {
        let headers = request.message.headers.as_ref();
        headers.and_then(|headers| headers.get(name)).map(ToString::to_string)
    };
    let actor = header(ACTOR_HEADER)
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "the Dm-Actor header is missing"))?;
    let user_id = UserId::parse(&actor)?;
    let device_id = header(DEVICE_HEADER).map(|id| DeviceId::parse(&id)).transpose()?;
    let actor = Actor { user_id, device_id, scope: Scope::Service };
    Ok(Caller { actor, traceparent: header(TRACEPARENT_HEADER) })
}

impl Caller {
    /// On the device that the body names, if it names one.
    fn on(mut self, named: Option<SmolStr>) -> Result<Self, Problem> {
        self.actor.device_id = device(named)?.or(self.actor.device_id);
        Ok(self)
    }

    fn of_account(self, action: account_log::Action) -> AccountRequest {
        AccountRequest::new(self.actor, action, self.traceparent)
    }
}

fn addressed(body: &[u8], caller: Caller, action: Action) -> Result<Request, Problem> {
    let Addressed { conversation_id } = json(body)?;
    let conversation_id = ConversationId::parse(&conversation_id)?;
    let Caller { actor, traceparent } = caller;
    Ok(Request { conversation_id, actor, action, traceparent })
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::malformed(error.to_string()))
}

fn written(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

fn another_question() -> Problem {
    Problem::new(Code::Internal, "the answer is to another question")
}
