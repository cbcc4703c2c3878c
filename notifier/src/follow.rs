//! Following a shard of the log: what opens windows and what cancels them, written in batches.

mod concerned;
mod flush;
mod members;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parley_domain::Timestamp;
use parley_nats::{
    Connection as Nats,
    tail::{Tail, TailOptions},
};
use parley_projections::{
    Failure,
    elected::{self, Halt, LOG_DEADLINE, Work},
};
use parley_runtime::clock::Clock;
use smol_str::SmolStr;
use sqlx::PgConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    concerned::Concerned,
    flush::{Added, Flush, Step},
    members::Members,
    read::{Seen, is_group, read},
};
use crate::{
    config::NotifyConfig,
    metrics,
    policy::{
        later,
        windows::{Key, Window, Windows},
    },
    presence::Presence,
};

/// How long a batch waits for more after its first event.
const LINGER: Duration = Duration::from_millis(20);
/// How often what was seen is written, if it asks for anything.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Over so many rows it is written at once.
const FLUSH_ROWS: usize = 5_000;
/// How often the checkpoint is written when nothing else is.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a write may take before its connection is given up.
const FLUSH_DEADLINE: Duration = Duration::from_secs(15);

/// The follower of one shard.
pub struct Follower {
    pub shard: u16,
    pub config: Arc<NotifyConfig>,
    pub nats: Nats,
    pub presence: Presence,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
}

impl Work for Follower {
    async fn work(&mut self, session: &mut PgConnection, mut begun: impl FnMut() + Send) -> Halt {
        let (checkpoint, end, concerned) = match self.begin(session).await {
            Ok(begun) => begun,
            Err(halt) => return halt,
        };
        begun();
        tracing::info!(shard = self.shard, checkpoint, "following the log for notifications");
        let mut following = Following {
            follower: self,
            checkpoint,
            read: checkpoint,
            seen: checkpoint,
            newest: Timestamp::default(),
            is_level: checkpoint >= end,
            windows: Windows::default(),
            members: Members::new(self.config.follow.members),
            held: Vec::new(),
            concerned,
            pending: Flush::default(),
            written_at: Instant::now(),
        };
        match following.run(session).await {
            Ok(()) => Halt::Stopped,
            Err(halt) => halt,
        }
    }
}

impl Follower {
    /// Where to go on from, where the log ends, and whom readings may concern.
    async fn begin(&self, session: &mut PgConnection) -> Result<(u64, u64, Concerned), Halt> {
        let begun = tokio::time::timeout(LOG_DEADLINE, flush::begin(session, self.shard));
        let checkpoint = begun.await.map_err(|_| Failure::TimedOut(LOG_DEADLINE))??;
        let end = elected::check_log(&self.nats, self.shard, checkpoint).await?;
        let most = self.config.follow.windows.saturating_mul(4);
        let loaded = Concerned::load(session, self.shard, most);
        let loaded = tokio::time::timeout(FLUSH_DEADLINE, loaded).await;
        Ok((checkpoint, end, loaded.map_err(|_| Failure::TimedOut(FLUSH_DEADLINE))??))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now_millis())
    }
}

/// One reign over the shard.
struct Following<'a> {
    follower: &'a Follower,
    checkpoint: u64,
    /// How far the log was read.
    read: u64,
    /// How far of that was taken in.
    seen: u64,
    /// The time of the newest event that was read.
    newest: Timestamp,
    /// Everything in the log was read a moment ago.
    is_level: bool,
    windows: Windows,
    members: Members,
    /// Read, but the views do not know yet who is in a group that it speaks of.
    held: Vec<(u64, Seen)>,
    concerned: Concerned,
    pending: Flush,
    written_at: Instant,
}

impl Following<'_> {
    async fn run(&mut self, session: &mut PgConnection) -> Result<(), Halt> {
        let Follower { shard, config, nats, stop, .. } = self.follower;
        let most = config.follow.batch_events;
        let options = TailOptions {
            name: Some(format!("notifier-{shard}")),
            prefetch_messages: most.saturating_mul(2),
        };
        let mut tail = Tail::open(nats, *shard, self.checkpoint, options);
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Over the bound the log waits until some windows have ended.
            let has_room = self.windows.len() < config.follow.windows && self.held.is_empty();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    let held = std::mem::take(&mut self.held);
                    self.take_in(session, held).await?;
                    self.flush(session).await?;
                }
                batch = tail.next_batch(most, LINGER), if has_room => {
                    self.is_level = batch.len() < most;
                    self.read = batch.last().map_or(self.read, |last| last.position);
                    let batch = batch.iter().filter_map(|message| Some((message.position, read(message)?)));
                    self.take_in(session, batch.collect()).await?;
                    if self.pending.len() > FLUSH_ROWS {
                        self.flush(session).await?;
                    }
                }
            }
        }
    }

    /// Takes a batch in, or holds it back until the views know enough; nothing further is read
    /// before.
    async fn take_in(
        &mut self,
        session: &mut PgConnection,
        batch: Vec<(u64, Seen)>,
    ) -> Result<(), Halt> {
        self.members.trim();
        if !self.learn(session, &batch).await? {
            self.held = batch;
            return Ok(());
        }
        for (position, seen) in batch {
            match seen {
                Seen::Message { conversation, from, at } => {
                    self.newest = self.newest.max(at);
                    self.message(position, &conversation, &from, at);
                }
                Seen::Read(key) => self.read(key, position),
                Seen::Created { group, members } => self.members.created(group, members),
                Seen::Joined { group, user } => self.members.joined(&group, user),
                Seen::Left { group, user } => self.members.left(&group, &user),
                Seen::Endpoint { user, endpoint_id, channel } => {
                    self.pending.added.push(Added { user, endpoint_id, channel });
                }
            }
        }
        self.seen = self.read;
        Ok(())
    }

    /// Asks for the members of the groups that a batch speaks of; says whether all are known.
    async fn learn(
        &mut self,
        session: &mut PgConnection,
        batch: &[(u64, Seen)],
    ) -> Result<bool, Halt> {
        let mut made = BTreeSet::new();
        // Where each was first heard of in the batch: what it says of members comes on top.
        let mut first = BTreeMap::new();
        let mut unknown = BTreeMap::new();
        let mut through = 0;
        for (position, seen) in batch {
            match seen {
                Seen::Message { conversation, .. }
                    if is_group(conversation)
                        && !self.members.knows(conversation)
                        && !made.contains(conversation) =>
                {
                    let first = *first.entry(conversation).or_insert(*position);
                    unknown.entry(conversation.clone()).or_insert(first);
                    through = *position;
                }
                Seen::Created { group, .. } => drop(made.insert(group)),
                Seen::Joined { group, .. } | Seen::Left { group, .. } => {
                    first.entry(group).or_insert(*position);
                }
                Seen::Message { .. } | Seen::Read(_) | Seen::Endpoint { .. } => {}
            }
        }
        if unknown.is_empty() {
            return Ok(true);
        }
        let learnt = self.members.learn(session, self.follower.shard, unknown, through);
        let learnt = tokio::time::timeout(FLUSH_DEADLINE, learnt).await;
        Ok(learnt.map_err(|_| Failure::TimedOut(FLUSH_DEADLINE))??)
    }

    fn message(&mut self, position: u64, conversation: &SmolStr, from: &SmolStr, at: Timestamp) {
        // Who writes has read.
        self.read(Key { user: from.clone(), conversation: conversation.clone() }, position);
        let config = &self.follower.config;
        if later(at, config.follow.oldest) < self.follower.now() {
            return;
        }
        let due = later(at, config.policy.grace);
        for user in recipients(conversation, from, &self.members) {
            let presence = &self.follower.presence;
            let window = |key: &Key| {
                let was_away = presence.is_online(&key.user) == Some(false);
                Window { position, due, was_away }
            };
            let conversation = conversation.clone();
            self.windows.message(Key { user, conversation }, window);
        }
    }

    fn read(&mut self, key: Key, position: u64) {
        if self.windows.read(&key).is_some_and(|window| window.was_away) {
            self.pending.cancelled.push(key.clone());
        }
        if self.concerned.contains(&key) {
            self.pending.reads.insert(key, position);
        }
    }

    async fn flush(&mut self, session: &mut PgConnection) -> Result<(), Halt> {
        let shard = self.follower.shard.to_string();
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        metrics::POSITION.with_label_values(&[&shard]).set(number(self.seen));
        metrics::WINDOWS.with_label_values(&[&shard]).set(number(self.windows.len() as u64));
        let now = self.follower.now();
        // Far behind, the log's own time counts: a reading that comes next in it was in time.
        let is_level = self.is_level && self.held.is_empty();
        let clock = if is_level { now } else { self.newest };
        self.pending.ended.extend(self.windows.take_ended(clock));
        let settled = self.windows.oldest().map_or(self.seen, |oldest| oldest.saturating_sub(1));
        let to = settled.max(self.checkpoint);
        let is_due = self.written_at.elapsed() >= CHECKPOINT_INTERVAL;
        if self.pending.is_empty() && to == self.checkpoint {
            if is_due {
                self.written_at = Instant::now();
                elected::keep(session).await?;
            }
            return Ok(());
        }
        if self.pending.is_empty() && !is_due {
            return Ok(());
        }
        let step = Step { shard: self.follower.shard, from: self.checkpoint, to, seen: self.seen };
        let pending = std::mem::take(&mut self.pending);
        for key in pending.reads.keys() {
            self.concerned.remove(key);
        }
        for key in pending.cancelled.iter().chain(pending.ended.iter().map(|(key, _)| key)) {
            self.concerned.add(key);
        }
        let written = pending.write(session, step, now);
        let written = tokio::time::timeout(FLUSH_DEADLINE, written).await;
        if !written.map_err(|_| Failure::TimedOut(FLUSH_DEADLINE))?? {
            let shard = self.follower.shard;
            tracing::warn!(shard, "another notifier has written: standing by");
            return Err(Halt::Superseded);
        }
        self.checkpoint = to;
        self.written_at = Instant::now();
        Ok(())
    }
}

/// Everybody whom a message reaches but who wrote it.
fn recipients(conversation: &SmolStr, from: &SmolStr, members: &Members) -> Vec<SmolStr> {
    match conversation.strip_prefix("d.").and_then(|people| people.split_once('.')) {
        Some((lo, hi)) => {
            [lo, hi].into_iter().filter(|user| user != from).map(SmolStr::new).collect()
        }
        None => members.of(conversation).iter().filter(|user| *user != from).cloned().collect(),
    }
}
