//! What backend services may ask on `dm.cmd.<verb>`, and how it is answered.

mod account;

use async_nats::{
    HeaderMap,
    service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, Request as ServiceRequest},
};
use parley_domain::{
    Action, Actor, Answer, ConversationId, DeviceId, Emoji, Kind, Scope, UserId,
    account as account_log,
};
use parley_nats::subjects::{ACTOR_HEADER, DEVICE_HEADER, TRACEPARENT_HEADER};
use parley_projections::queries;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smol_str::SmolStr;
use sqlx::PgPool;
use uuid::Uuid;

use self::account::AccountVerb;
use crate::{
    api::{
        ChangeRole, CreateConversation, Created, DeleteMessage, DeliveryCursor,
        DeliveryCursorMoved, Done, EditMessage, MessageAccepted, NamedMember, PutMember, React,
        ReadCursor, ReadCursorMoved, Rename, SendMessage, SetTimer, device,
    },
    client::Client,
    problem::{Code, Problem},
    wire::{AccountRequest, Request},
};

/// The verbs of `dm.cmd.<verb>`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    MessageSend,
    MessageEdit,
    MessageDelete,
    ReactionAdd,
    ReactionRemove,
    CursorRead,
    CursorDelivered,
    ConversationCreate,
    MemberAdd,
    MemberRemove,
    MemberRole,
    ConversationRename,
    ConversationTimer,
    ConversationBlock,
    ConversationUnblock,
    /// Of the actor's account.
    Account(AccountVerb),
}

impl Verb {
    pub fn all() -> impl Iterator<Item = Self> {
        let of_conversations = [
            Self::MessageSend,
            Self::MessageEdit,
            Self::MessageDelete,
            Self::ReactionAdd,
            Self::ReactionRemove,
            Self::CursorRead,
            Self::CursorDelivered,
            Self::ConversationCreate,
            Self::MemberAdd,
            Self::MemberRemove,
            Self::MemberRole,
            Self::ConversationRename,
            Self::ConversationTimer,
            Self::ConversationBlock,
            Self::ConversationUnblock,
        ];
        of_conversations.into_iter().chain(AccountVerb::ALL.map(Self::Account))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageSend => "message.send",
            Self::MessageEdit => "message.edit",
            Self::MessageDelete => "message.delete",
            Self::ReactionAdd => "reaction.add",
            Self::ReactionRemove => "reaction.remove",
            Self::CursorRead => "cursor.read",
            Self::CursorDelivered => "cursor.delivered",
            Self::ConversationCreate => "conversation.create",
            Self::MemberAdd => "member.add",
            Self::MemberRemove => "member.remove",
            Self::MemberRole => "member.role",
            Self::ConversationRename => "conversation.rename",
            Self::ConversationTimer => "conversation.timer",
            Self::ConversationBlock => "conversation.block",
            Self::ConversationUnblock => "conversation.unblock",
            Self::Account(verb) => verb.as_str(),
        }
    }
}

/// What verbs are carried out with.
#[derive(Clone)]
pub(crate) struct Means {
    pub client: Client,
    /// To ask what people wish.
    pub pool: PgPool,
}

/// Answers one request.
pub(crate) async fn answer(verb: Verb, request: ServiceRequest, means: &Means) {
    let answered = execute(verb, &request, means).await;
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

/// The message that HTTP has in its path.
#[derive(Deserialize)]
struct Numbered {
    #[serde(rename = "conversationSeq")]
    conversation_seq: u64,
}

/// Whose act it is, by the headers.
struct Caller {
    actor: Actor,
    traceparent: Option<String>,
}

async fn execute(
    verb: Verb,
    request: &ServiceRequest,
    Means { client, pool }: &Means,
) -> Result<Vec<u8>, Problem> {
    let caller = caller(request)?;
    let body = &request.message.payload;
    match verb {
        Verb::MessageSend => {
            let action = json::<SendMessage>(body)?.into_action(caller.actor.user_id.as_str())?;
            let answer = client.execute(addressed(body, caller, action)?).await?;
            written(&MessageAccepted::from_answer(answer))
        }
        Verb::MessageEdit => {
            let (conversation_seq, body_now) = (numbered(body)?, json::<EditMessage>(body)?.body);
            let action = Action::EditMessage { conversation_seq, body: body_now.validated()? };
            written(&Done::from(client.execute(addressed(body, caller, action)?).await?))
        }
        Verb::MessageDelete => {
            let DeleteMessage { reason } = json(body)?;
            let action = Action::DeleteMessage { conversation_seq: numbered(body)?, reason };
            written(&Done::from(client.execute(addressed(body, caller, action)?).await?))
        }
        Verb::ReactionAdd => {
            let (conversation_seq, emoji) = (numbered(body)?, emoji(body)?);
            let action = Action::AddReaction { conversation_seq, emoji };
            written(&Done::from(client.execute(addressed(body, caller, action)?).await?))
        }
        Verb::ReactionRemove => {
            let (conversation_seq, emoji) = (numbered(body)?, emoji(body)?);
            let action = Action::RemoveReaction { conversation_seq, emoji };
            written(&Done::from(client.execute(addressed(body, caller, action)?).await?))
        }
        Verb::CursorRead => {
            let ReadCursor { device_id, read_through_seq: through_seq } = json(body)?;
            let caller = caller.on(device_id)?;
            let request = addressed(body, caller, Action::MarkRead { through_seq })?;
            let request = as_they_wish(request, pool).await;
            match client.execute(request).await? {
                Answer::Cursor { read_seq, .. } => written(&ReadCursorMoved { read_seq }),
                Answer::Sent { .. } | Answer::Done { .. } => Err(another_question()),
            }
        }
        Verb::CursorDelivered => {
            let DeliveryCursor { device_id, delivered_through_seq: through_seq } = json(body)?;
            let caller = caller.on(device_id)?;
            let request = addressed(body, caller, Action::MarkDelivered { through_seq })?;
            let request = as_they_wish(request, pool).await;
            match client.execute(request).await? {
                Answer::Cursor { delivered_seq, .. } => {
                    written(&DeliveryCursorMoved { delivered_seq })
                }
                Answer::Sent { .. } | Answer::Done { .. } => Err(another_question()),
            }
        }
        Verb::ConversationCreate => {
            let made = Uuid::now_v7();
            let (conversation_id, action) = json::<CreateConversation>(body)?.into_action(made)?;
            let Caller { actor, traceparent } = caller;
            let id = conversation_id.clone();
            done(client.execute(Request { conversation_id, actor, action, traceparent }).await?)?;
            written(&Created { conversation_id: id })
        }
        Verb::MemberAdd => {
            let PutMember { role } = json(body)?;
            let action = Action::AddMember { user_id: named(body)?, role };
            written(&done(client.execute(addressed(body, caller, action)?).await?)?)
        }
        Verb::MemberRemove => {
            let action = Action::RemoveMember { user_id: named(body)? };
            written(&done(client.execute(addressed(body, caller, action)?).await?)?)
        }
        Verb::MemberRole => {
            let ChangeRole { role } = json(body)?;
            let action = Action::ChangeRole { user_id: named(body)?, role };
            written(&done(client.execute(addressed(body, caller, action)?).await?)?)
        }
        Verb::ConversationRename => {
            let action = json::<Rename>(body)?.into_action()?;
            written(&done(client.execute(addressed(body, caller, action)?).await?)?)
        }
        Verb::ConversationTimer => {
            let SetTimer { seconds } = json(body)?;
            let request = addressed(body, caller, Action::SetTimer { seconds })?;
            written(&done(client.execute(request).await?)?)
        }
        Verb::ConversationBlock => {
            written(&done(client.execute(addressed(body, caller, Action::Block)?).await?)?)
        }
        Verb::ConversationUnblock => {
            written(&done(client.execute(addressed(body, caller, Action::Unblock)?).await?)?)
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
    let actor = Actor { user_id, device_id, scope: Scope::Service, is_discreet: false };
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

/// Hides how far somebody is in a direct conversation, if they do not let others see it. If the views
/// do not answer, it is hidden: what was shown once cannot be taken back.
async fn as_they_wish(mut request: Request, pool: &PgPool) -> Request {
    request.actor.is_discreet = match request.conversation_id.kind() {
        Kind::Direct => {
            let settings = queries::settings(pool, &request.actor.user_id).await;
            !settings.is_ok_and(|settings| settings.read_receipts)
        }
        Kind::Group | Kind::Channel => false,
    };
    request
}

/// The person that HTTP has in its path.
fn named(body: &[u8]) -> Result<UserId, Problem> {
    let NamedMember { user_id } = json(body)?;
    Ok(UserId::parse(&user_id)?)
}

fn done(answer: Answer) -> Result<Done, Problem> {
    Done::from_answer(&answer).ok_or_else(another_question)
}

fn numbered(body: &[u8]) -> Result<u64, Problem> {
    json::<Numbered>(body).map(|Numbered { conversation_seq }| conversation_seq)
}

fn emoji(body: &[u8]) -> Result<Emoji, Problem> {
    Ok(Emoji::parse(&json::<React>(body)?.emoji)?)
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
