//! The owner of one shard: decides its commands and writes their events.
//!
//! One *reign* goes from reading the log's end into memory until the writer is over: fenced by
//! another owner, or in doubt for too long. Everything in memory goes with it, and the commands
//! that nobody has answered yet are decided anew, in the order of their arrival, in the next.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventStore, event_sink::EventSink};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use parley_domain::{Action, Answer, Command, Conversation, Event, Refusal, Timestamp};
use parley_nats::{
    Connection, Failure,
    committer::{Committer, CommitterConfig, Ended},
    event_store::LogStore,
    read::read_to_end,
    subjects::{TRACEPARENT_HEADER, shard_subject},
};
use parley_runtime::clock::{Clock, SystemClock};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cache::{Cache, SharedCache},
    config::OwnerConfig,
    loader::Loader,
    problem::{Code, Problem},
    wire::{Reply, Request, Sealed},
};

/// How long what is under way may take when the shard is given away.
const HANDOVER: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// What an owner works with.
#[derive(Debug, Clone)]
pub struct Owner {
    pub connection: Connection,
    pub pool: PgPool,
    pub shard: u16,
    /// How far the views of this shard are; `None` until the database has said so.
    pub checkpoint: watch::Receiver<Option<u64>>,
    pub committer: CommitterConfig,
    pub config: OwnerConfig,
}

/// How owning a shard shall end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Takes no more, answers what it has, then ends.
    pub handover: CancellationToken,
    /// Ends at once: the shard is somebody else's.
    pub lost: CancellationToken,
}

/// A command in the order of its arrival.
struct Arrived {
    number: u64,
    message: Message,
}

/// The command itself, if it is to be decided again: the writer was over before it was durable.
type Outcome = Option<Arrived>;

/// Commands that wait for a state or for the log.
type Deciding<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>>;

impl Owner {
    /// Owns the shard until told to stop.
    pub async fn run(self, stop: Stop) {
        let mut intake: Option<Subscriber> = None;
        let mut arrivals = 0;
        let mut again = Vec::new();
        let mut backoff = FIRST_BACKOFF;
        while !stop.lost.is_cancelled() && !stop.handover.is_cancelled() {
            let recovered = tokio::select! {
                recovered = self.connection.unless_cut("show the log's end", self.recover()) => recovered,
                () = stop.lost.cancelled() => break,
                () = stop.handover.cancelled() => break,
            };
            let begun = match (recovered, intake.take()) {
                (Ok(reign), Some(subscriber)) => Ok((reign, subscriber)),
                (Ok(reign), None) => self.subscribe().await.map(|subscriber| (reign, subscriber)),
                (Err(failure), kept) => {
                    intake = kept;
                    Err(failure)
                }
            };
            let (reign, mut subscriber) = match begun {
                Ok(begun) => begun,
                Err(failure) => {
                    tracing::warn!(shard = self.shard, %failure, "a shard cannot be read yet");
                    tokio::select! {
                        () = tokio::time::sleep(backoff) => {}
                        () = stop.lost.cancelled() => {}
                        () = stop.handover.cancelled() => {}
                    }
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                    continue;
                }
            };
            backoff = FIRST_BACKOFF;
            again = reign.serve(&self, &mut subscriber, &mut arrivals, again, &stop).await;
            intake = Some(subscriber);
        }
        if let Some(mut subscriber) = intake
            && let Err(error) = subscriber.unsubscribe().await
        {
            tracing::debug!(shard = self.shard, %error, "a shard's subscription was gone already");
        }
    }

    async fn subscribe(&self) -> Result<Subscriber, Failure> {
        let client = self.connection.client();
        let subscriber = client
            .subscribe(shard_subject(self.shard))
            .await
            .map_err(|error| Failure::jetstream("subscribe to a shard", error))?;
        Ok(subscriber)
    }

    /// Reads the log from the views' checkpoint to its end into memory. Without a database nothing
    /// is known of the checkpoint: memory then begins at the log's end, and what is asked for is
    /// read from the log.
    #[tracing::instrument(name = "commands.shard.recover", skip_all, fields(shard = self.shard))]
    async fn recover(&self) -> Result<Reign, Failure> {
        let known = *self.checkpoint.borrow();
        let floor = match known {
            Some(checkpoint) => checkpoint,
            None => parley_nats::last_position(&self.connection, self.shard).await?,
        };
        let (sender, checkpoint) = watch::channel(floor);
        let loader = Loader::new(self.pool.clone(), self.connection.clone(), self.shard);
        let cache = Arc::new(Cache::new(floor, loader, checkpoint, self.config.clone()));
        let mut events = 0_u64;
        let end = read_to_end(&self.connection, self.shard, floor, |message| {
            events += 1;
            match Event::from_json(&message.payload) {
                Ok(event) => cache.remember(event, message.position),
                Err(error) => tracing::warn!(
                    shard = self.shard,
                    position = message.position,
                    %error,
                    "an event that cannot be read is left out"
                ),
            }
        })
        .await?;
        if end < floor {
            return Err(Failure::JetStream {
                what: "keep the log",
                why: format!("it ends at {end}, but the views have seen {floor}"),
            });
        }
        let committer = Committer::new(self.shard, end, self.committer.clone());
        tracing::info!(shard = self.shard, end, events, "a shard is owned");
        Ok(Reign { cache, committer, checkpoint: sender })
    }
}

/// From one recovery to the end of its writer.
struct Reign {
    cache: Arc<Cache>,
    committer: Arc<Committer>,
    /// Tells the cache what the views have.
    checkpoint: watch::Sender<u64>,
}

impl Reign {
    /// Decides commands until the writer is over or the shard is given away; returns those that are
    /// to be decided again, in the order of their arrival.
    async fn serve(
        self,
        owner: &Owner,
        subscriber: &mut Subscriber,
        arrivals: &mut u64,
        again: Vec<Arrived>,
        stop: &Stop,
    ) -> Vec<Arrived> {
        let store = LogStore::new(
            owner.connection.clone(),
            owner.shard,
            Arc::clone(&self.committer),
            SharedCache(Arc::clone(&self.cache)),
        );
        let desk = Desk { store, committer: &self.committer, connection: &owner.connection };
        let mut writer = Writer::start(&self.committer, &owner.connection);
        let mut deciding = Deciding::new();
        let mut left = Vec::new();
        for arrived in again {
            left.extend(desk.begin(arrived, &mut deciding));
        }
        let mut checkpoint = owner.checkpoint.clone();
        let given_away = loop {
            tokio::select! {
                biased;
                () = stop.lost.cancelled() => break false,
                ended = &mut writer.task => {
                    let ended = ended.unwrap_or(Ended::Stopped);
                    tracing::warn!(shard = owner.shard, %ended, "a shard's writer is over");
                    break false;
                }
                () = stop.handover.cancelled() => break true,
                Some(outcome) = deciding.next() => left.extend(outcome),
                message = subscriber.next(), if deciding.len() < owner.config.commands => {
                    let Some(message) = message else { break false };
                    *arrivals += 1;
                    let arrived = Arrived { number: *arrivals, message };
                    left.extend(desk.begin(arrived, &mut deciding));
                }
                Ok(()) = checkpoint.changed() => {
                    if let Some(position) = *checkpoint.borrow_and_update() {
                        self.checkpoint.send_replace(position);
                    }
                }
            }
        };
        if given_away {
            let finished = desk.hand_over(subscriber, &mut deciding, arrivals);
            if tokio::time::timeout(HANDOVER, finished).await.is_err() {
                tracing::warn!(shard = owner.shard, "commands were left at the handover");
            }
        }
        // Everybody who still waits for the writer is told now, so this ends.
        self.committer.end(Ended::Stopped);
        while let Some(outcome) = deciding.next().await {
            left.extend(outcome);
        }
        left.sort_by_key(|arrived| arrived.number);
        left
    }
}

/// The committer at work in a task of its own, so that deciding and writing overlap.
struct Writer {
    task: tokio::task::JoinHandle<Ended>,
}

impl Writer {
    fn start(committer: &Arc<Committer>, connection: &Connection) -> Self {
        let (committer, connection) = (Arc::clone(committer), connection.clone());
        Self { task: tokio::spawn(async move { committer.run(&connection).await }) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where commands are decided and answered.
struct Desk<'a> {
    store: LogStore<SharedCache>,
    committer: &'a Committer,
    connection: &'a Connection,
}

impl<'a> Desk<'a> {
    /// Starts on a command. Polling it once right here is what keeps the order: it takes its place
    /// in the queue for its conversation, and mostly its place in the log, before the next command
    /// is looked at. (Unconstrained, or the runtime's budget would now and then let it take neither.)
    fn begin(&'a self, arrived: Arrived, deciding: &mut Deciding<'a>) -> Outcome {
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

    async fn hand_over(
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
        let reply = match self.execute(sealed.request).await {
            Ok(answer) => Reply::Answer(answer),
            Err(AggregateError::AggregateConflict) => return Some(arrived),
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
        };
        self.reply(&arrived.message, &reply).await;
        None
    }

    /// As the framework of cqrs-es does, with an answer. Whatever is answered speaks of a state
    /// that is durable, refusals too: the message that one speaks of might never come to be.
    async fn execute(&self, request: Request) -> Result<Answer, AggregateError<Refusal>> {
        let metadata = request
            .traceparent
            .into_iter()
            .map(|value| (TRACEPARENT_HEADER.to_owned(), value))
            .collect();
        let command = Command {
            conversation_id: request.conversation_id,
            actor: request.actor,
            time: Timestamp::from_unix_millis(SystemClock.now_millis()),
            event_id: Uuid::now_v7(),
            action: checked(request.action)?,
        };
        let mut context = self.store.load_aggregate(command.conversation_id.as_str()).await?;
        let sink = EventSink::<Conversation>::default();
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
        let answer = context.aggregate().answer(&command, !events.is_empty());
        self.store.commit(events, context, metadata).await?;
        answer.ok_or_else(|| AggregateError::UnexpectedError("a command without an answer".into()))
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

/// A body is validated where it enters the system; but anybody with the right to publish on the
/// shard's subject may have written this one.
fn checked(action: Action) -> Result<Action, AggregateError<Refusal>> {
    match action {
        Action::SendMessage { client_message_id, body, reply_to } => {
            let body = body
                .validated()
                .map_err(|error| AggregateError::UnexpectedError(Box::new(error)))?;
            Ok(Action::SendMessage { client_message_id, body, reply_to })
        }
        Action::MarkDelivered { .. } | Action::MarkRead { .. } => Ok(action),
    }
}
