//! The owner of one shard: decides its commands and writes their events.
//!
//! One *reign* goes from reading the log's end into memory until the writer is over: fenced by
//! another owner, or in doubt for too long. Everything in memory goes with it, and the commands
//! that nobody has answered yet are decided anew, in the order of their arrival, in the next.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::Subscriber;
use futures_util::StreamExt;
use parley_domain::{Account, Conversation, Event, Subject};
use parley_nats::{
    Connection, Failure,
    committer::{Committer, CommitterConfig, Ended},
    event_store::LogStore,
    read::read_to_end,
    subjects::shard_subject,
};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::{Cache, SharedCache},
    config::OwnerConfig,
    desk::{Arrived, Deciding, Desk},
    loader::Loader,
    metrics,
    rates::Limiter,
    served::Served,
    tidy::Tidy,
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
    /// What else is to be done for the shard as long as it is owned.
    pub tidy: Tidy,
    /// Outlives reigns.
    pub limiter: Arc<Mutex<Limiter>>,
}

/// How owning a shard shall end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Takes no more, answers what it has, then ends.
    pub handover: CancellationToken,
    /// Ends at once: the shard is somebody else's.
    pub lost: CancellationToken,
}

impl Owner {
    /// Owns the shard until told to stop.
    pub async fn run(self, stop: Stop) {
        let _owned = metrics::Owned::new(self.shard);
        let mut beside = JoinSet::new();
        // Ends with the set, wherever it is: whoever owns the shard next goes on.
        beside.spawn(self.tidy.clone().run(self.shard));
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
        let cache = self.config.cache;
        let conversations = Arc::new(Cache::<Conversation>::new(
            floor,
            loader.clone(),
            checkpoint.clone(),
            cache.conversations(),
        ));
        let accounts =
            Arc::new(Cache::<Account>::new(floor, loader.clone(), checkpoint, cache.accounts()));
        let mut events = 0_u64;
        let end = read_to_end(&self.connection, self.shard, floor, |message| {
            events += 1;
            match Event::from_json(&message.payload) {
                Ok(event) => match event.subject.clone() {
                    Subject::Conversation(id) => {
                        conversations.remember(&id, event, message.position);
                    }
                    Subject::Account(id) => accounts.remember(&id, event, message.position),
                },
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
        metrics::RECOVERED.with_label_values(&[&self.shard.to_string()]).inc();
        tracing::info!(shard = self.shard, end, events, "a shard is owned");
        Ok(Reign { conversations, accounts, committer, loader, checkpoint: sender })
    }
}

/// From one recovery to the end of its writer.
struct Reign {
    conversations: Arc<Cache<Conversation>>,
    accounts: Arc<Cache<Account>>,
    committer: Arc<Committer>,
    loader: Loader,
    /// Tells the caches what the views have.
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
        let desk = Desk {
            conversations: self.store(owner, &self.conversations),
            accounts: self.store(owner, &self.accounts),
            committer: &self.committer,
            loader: self.loader.clone(),
            connection: &owner.connection,
            limiter: &owner.limiter,
            masking: owner.config.masking,
        };
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

    /// One committer for all aggregates: the order of the log is the order of their commands.
    fn store<A: Served>(&self, owner: &Owner, cache: &Arc<Cache<A>>) -> LogStore<SharedCache<A>> {
        LogStore::new(
            owner.connection.clone(),
            owner.shard,
            Arc::clone(&self.committer),
            SharedCache(Arc::clone(cache)),
        )
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
