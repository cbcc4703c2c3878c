//! The aggregates that a shard's owner serves, and what each has of its own: how it is loaded,
//! what it is asked and what it answers. Everything else is the same for all.
//!
//! # Recipe: serve another aggregate
//! 1. Implement [`Served`] for it, and give it a variant of [`crate::wire::Asked`].
//! 2. Give it a cache and a store in [`crate::owner`]. The compiler names the rest.

use std::hash::Hash;

use cqrs_es::{Aggregate, AggregateError};
use parley_domain::{
    Account, AccountId, Action, Body, Command, Conversation, ConversationId, Event, InvalidId,
    LogId, Timestamp, account, masking::Masking,
};
use parley_projections::{Failure, Loaded, load_account, load_conversation};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    loader::Loader,
    problem::Problem,
    wire::{AccountRequest, Reply, Request},
};

/// See the module.
pub trait Served:
    Aggregate<Event = Event, Command: Clone + Send + Sync, Services = (), Error: Into<Problem>>
    + 'static
{
    type Id: LogId + Clone + Eq + Hash + Send + Sync + 'static;
    type Request: Send;

    fn parse_id(text: &str) -> Result<Self::Id, InvalidId>;

    /// From the views.
    fn load(
        pool: &PgPool,
        shard: u16,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Loaded<Self>, Failure>> + Send;

    /// The command of a request: anybody with the right to publish on the shard's subject may have
    /// written it, so what is checked where it enters the system is checked again.
    fn command(
        request: Self::Request,
        now: Now,
    ) -> Result<Commanded<Self>, AggregateError<Self::Error>>;

    /// Puts into the command what its decision needs beyond this state, which has seen every event
    /// up to `position`.
    fn look_up(
        &self,
        command: &mut Self::Command,
        position: u64,
        loader: &Loader,
    ) -> impl Future<Output = Result<(), parley_nats::Failure>> + Send;

    /// What the caller is told, asked of the state after the command; `changed` says whether there
    /// was an event.
    fn reply(&self, command: &Self::Command, changed: bool) -> Option<Reply>;

    /// About how much memory this state takes, in bytes.
    fn size_bytes(&self) -> usize;
}

/// What a command needs that is not its caller's to say.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub time: Timestamp,
    pub event_id: Uuid,
    /// The deployment's.
    pub masking: Masking,
}

/// A command, and where it goes.
pub struct Commanded<A: Served> {
    pub id: A::Id,
    pub command: A::Command,
    pub traceparent: Option<String>,
}

impl Served for Conversation {
    type Id = ConversationId;
    type Request = Request;

    fn parse_id(text: &str) -> Result<ConversationId, InvalidId> {
        ConversationId::parse(text)
    }

    async fn load(pool: &PgPool, shard: u16, id: &ConversationId) -> Result<Loaded<Self>, Failure> {
        load_conversation(pool, shard, id).await
    }

    fn command(request: Request, now: Now) -> Result<Commanded<Self>, AggregateError<Self::Error>> {
        let Request { conversation_id, actor, action, traceparent } = request;
        let id = conversation_id.clone();
        let Now { time, event_id, masking } = now;
        let action = checked(action)?;
        let command = Command {
            conversation_id,
            actor,
            time,
            event_id,
            action,
            masking,
            message: None,
            attachments: Vec::new(),
        };
        Ok(Commanded { id, command, traceparent })
    }

    async fn look_up(
        &self,
        command: &mut Command,
        position: u64,
        loader: &Loader,
    ) -> Result<(), parley_nats::Failure> {
        if let Some(seq) = self.wants(&command.action) {
            let found = loader.message(&command.conversation_id, seq, position).await?;
            command.message = found.map(Box::new);
        }
        let wanted = self.wants_attachments(command);
        if !wanted.is_empty() {
            let ids: Vec<Uuid> = wanted.iter().map(|named| named.attachment_id).collect();
            command.attachments = loader.attachments(command, &ids).await?;
        }
        Ok(())
    }

    fn reply(&self, command: &Command, changed: bool) -> Option<Reply> {
        self.answer(command, changed).map(Reply::Answer)
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
}

fn checked<E: std::error::Error>(action: Action) -> Result<Action, AggregateError<E>> {
    let valid = |body: Body| {
        body.validated().map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
    };
    match action {
        Action::SendMessage { client_message_id, body, reply_to } => {
            Ok(Action::SendMessage { client_message_id, body: valid(body)?, reply_to })
        }
        Action::EditMessage { conversation_seq, body } => {
            Ok(Action::EditMessage { conversation_seq, body: valid(body)? })
        }
        // A title that is none cannot be read from a request.
        Action::MarkDelivered { .. }
        | Action::MarkRead { .. }
        | Action::DeleteMessage { .. }
        | Action::ExpireMessage { .. }
        | Action::AddReaction { .. }
        | Action::RemoveReaction { .. }
        | Action::Create { .. }
        | Action::AddMember { .. }
        | Action::RemoveMember { .. }
        | Action::ChangeRole { .. }
        | Action::Rename { .. }
        | Action::SetTimer { .. }
        | Action::Block
        | Action::Unblock => Ok(action),
    }
}

impl Served for Account {
    type Id = AccountId;
    type Request = AccountRequest;

    fn parse_id(text: &str) -> Result<AccountId, InvalidId> {
        AccountId::parse(text)
    }

    async fn load(pool: &PgPool, shard: u16, id: &AccountId) -> Result<Loaded<Self>, Failure> {
        load_account(pool, shard, id).await
    }

    fn command(
        request: AccountRequest,
        now: Now,
    ) -> Result<Commanded<Self>, AggregateError<Self::Error>> {
        let AccountRequest { account_id, actor, action, traceparent } = request;
        let id = account_id.clone();
        let Now { time, event_id, .. } = now;
        let command = account::Command { account_id, actor, time, event_id, action };
        Ok(Commanded { id, command, traceparent })
    }

    async fn look_up(
        &self,
        _: &mut account::Command,
        _: u64,
        _: &Loader,
    ) -> Result<(), parley_nats::Failure> {
        Ok(())
    }

    fn reply(&self, command: &account::Command, _changed: bool) -> Option<Reply> {
        self.answer(command).map(Reply::Account)
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
}
