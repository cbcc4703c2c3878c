//! Where the commands of a reign are decided and answered, whichever aggregate they are for.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use async_nats::{Message, Subscriber};
use cqrs_es::{AggregateContext, AggregateError, EventStore, event_sink::EventSink};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use parley_domain::{Account, Conversation, LogId, Timestamp, masking::Masking};
use parley_nats::{
    Connection, Failure, committer::Committer, event_store::LogStore, subjects::TRACEPARENT_HEADER,
};
use parley_runtime::clock::{Clock, SystemClock};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    cache::SharedCache,
    loader::Loader,
    metrics,
    problem::{Code, Problem},
    rates::Limiter,
    served::{Commanded, Now, Served},
    wire::{Asked, Reply, Sealed},
};

/// A command in the order of its arrival.
pub(crate) struct Arrived {
    pub number: u64,
    pub message: Message,
}

/// The command itself, if it is to be decided again: the writer was over before it was durable.
pub(crate) type Outcome = Option<Arrived>;

/// Commands that wait for a state or for the log.
pub(crate) type Deciding<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>>;

/// See the module.
pub(crate) struct Desk<'a> {
    pub conversations: LogStore<SharedCache<Conversation>>,
    pub accounts: LogStore<SharedCache<Account>>,
    pub committer: &'a Committer,
    pub loader: Loader,
    pub connection: &'a Connection,
    pub limiter: &'a Mutex<Limiter>,
    pub masking: Masking,
}

impl<'a> Desk<'a> {
    /// Starts on a command. Polling it once right here is what keeps the order: it takes its place
    /// in the queue for its aggregate, and mostly its place in the log, before the next command
    /// is looked at. (Unconstrained, or the runtime's budget would now and then let it take neither.)
    pub fn begin(&'a self, arrived: Arrived, deciding: &mut Deciding<'a>) -> Outcome {
        let mut decision: Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> =
            Box::pin(tokio::task::unconstrained(self.decide(arrived)));
        match (&mut decision).now_or_never() {
            Some(outcome) => outcome,
            None => {
                deciding.push(decision);
                None
            }
        }
    }

    pub async fn hand_over(
        &'a self,
        subscriber: &mut Subscriber,
        deciding: &mut Deciding<'a>,
        arrivals: &mut u64,
    ) {
        // Unsubscribes, and lets what has arrived already be read.
        if let Err(error) = subscriber.drain().await {
            tracing::debug!(%error, "the subscription was gone already");
        }
        while let Some(message) = subscriber.next().await {
            *arrivals += 1;
            self.begin(Arrived { number: *arrivals, message }, deciding);
        }
        while deciding.next().await.is_some() {}
    }

    async fn decide(&self, arrived: Arrived) -> Outcome {
        let sealed: Sealed = match serde_json::from_slice(&arrived.message.payload) {
            Ok(sealed) => sealed,
            Err(error) => {
                let problem = Problem::malformed(error.to_string());
                self.reply(&arrived.message, &Reply::Problem(problem)).await;
                return None;
            }
        };
        if sealed.deadline_ms < SystemClock.now_millis() {
            tracing::debug!("a command came too late for anybody to wait for it");
            return None;
        }
        let begun = Instant::now();
        let reply = match sealed.asked {
            Asked::Conversation(request) => {
                counted(self.answer(&self.conversations, request).await, begun)
            }
            Asked::Account(request) => counted(self.answer(&self.accounts, request).await, begun),
            Asked::Rate(request) => {
                let now_ms = u64::try_from(SystemClock.now_millis()).unwrap_or_default();
                let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
                Some(Reply::Rate(limiter.take(&request, now_ms)))
            }
        };
        let Some(reply) = reply else { return Some(arrived) };
        self.reply(&arrived.message, &reply).await;
        None
    }

    /// `None` if it is to be decided again.
    async fn answer<A: Served>(
        &self,
        store: &LogStore<SharedCache<A>>,
        request: A::Request,
    ) -> Option<Reply> {
        Some(match self.execute(store, request).await {
            Ok(reply) => reply,
            Err(AggregateError::AggregateConflict) => return None,
            Err(AggregateError::UserError(refusal)) => Reply::Problem(refusal.into()),
            Err(AggregateError::DatabaseConnectionError(failure)) => {
                Reply::Problem(match failure.downcast::<Failure>() {
                    Ok(failure) => Problem::from(*failure),
                    Err(_) => Problem::unavailable("the log is away"),
                })
            }
            Err(
                AggregateError::DeserializationError(error)
                | AggregateError::UnexpectedError(error),
            ) => {
                tracing::error!(%error, "a command broke");
                Reply::Problem(Problem::new(Code::Internal, "the command broke"))
            }
        })
    }

    /// As the framework of cqrs-es does, with an answer. Whatever is answered speaks of a state
    /// that is durable, refusals too: the message that one speaks of might never come to be.
    async fn execute<A: Served>(
        &self,
        store: &LogStore<SharedCache<A>>,
        request: A::Request,
    ) -> Result<Reply, AggregateError<A::Error>> {
        let time = Timestamp::from_unix_millis(SystemClock.now_millis());
        let now = Now { time, event_id: Uuid::now_v7(), masking: self.masking };
        let Commanded { id, mut command, traceparent } = A::command(request, now)?;
        let traceparent = traceparent.map(|value| (TRACEPARENT_HEADER.to_owned(), value));
        let metadata = traceparent.into_iter().collect();
        let mut context = store.load_aggregate(id.as_str()).await?;
        let position = context.position();
        A::look_up(context.aggregate(), &mut command, position, &self.loader)
            .await
            .map_err(|failure| AggregateError::DatabaseConnectionError(Box::new(failure)))?;
        let sink = EventSink::<A>::default();
        let handled = context.aggregate().handle(command.clone(), &(), &sink).await;
        if let Err(refusal) = handled {
            let position = context.position();
            drop(context);
            return match self.committer.durable(position).await {
                Ok(()) => Err(AggregateError::UserError(refusal)),
                Err(_) => Err(AggregateError::AggregateConflict),
            };
        }
        let events = sink.collect().await;
        let reply = context.aggregate().reply(&command, !events.is_empty());
        store.commit(events, context, metadata).await?;
        reply.ok_or_else(|| AggregateError::UnexpectedError("a command without an answer".into()))
    }

    async fn reply(&self, to: &Message, reply: &Reply) {
        let Some(inbox) = to.reply.clone() else { return };
        let sent = match serde_json::to_vec(reply) {
            Ok(json) => self.connection.client().publish(inbox, json.into()).await,
            Err(error) => return tracing::error!(%error, "a reply cannot be written"),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a reply was not sent; the caller will ask again");
        }
    }
}

/// What is to be decided again is counted then.
fn counted(reply: Option<Reply>, begun: Instant) -> Option<Reply> {
    let outcome = match &reply {
        None => return reply,
        Some(Reply::Problem(problem)) if problem.code.status() >= 500 => "failed",
        Some(Reply::Problem(_)) => "refused",
        Some(_) => "accepted",
    };
    metrics::ANSWERED.with_label_values(&[outcome]).inc();
    let seconds = begun.elapsed().as_secs_f64();
    metrics::SECONDS.with_label_values(&[outcome]).observe(seconds);
    reply
}
