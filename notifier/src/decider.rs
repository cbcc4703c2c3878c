//! Deciding on the threads that are due. Any number of deciders share them.
//!
//! A decider locks some timers that are due, asks what is true now, and stores each decision as an
//! event. What follows from the events, deliveries and the next timers, is one transaction with the
//! locks. Should it die before that is committed, whoever finds the timers due again finds the
//! decisions made, and what follows from them missing.

mod effects;
mod facts;
mod timers;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use parley_domain::Timestamp;
use parley_projections::Failure;
use parley_runtime::clock::Clock;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{effects::Effects, facts::Gathered, timers::Timer};
use crate::{
    config::NotifyConfig,
    metrics,
    policy::{
        decide::Decision,
        later,
        timers::{Next, Trigger, next},
    },
    presence::Presence,
    thread::{
        ThreadEvent,
        store::{NotDecided, Threads},
    },
};

/// How often it is asked whether something is due.
const IDLE: Duration = Duration::from_millis(100);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// When a thread that cannot be decided on is tried again.
const LATER: Duration = Duration::from_secs(60);
/// Below the server's own end of a transaction that waits.
const BATCH_DEADLINE: Duration = Duration::from_secs(8);
/// People of a batch whose threads are decided on at the same time.
const AT_THE_SAME_TIME: usize = 4;

/// A decider.
pub struct Decider {
    pub config: Arc<NotifyConfig>,
    pub pool: PgPool,
    pub threads: Threads,
    pub presence: Presence,
    pub clock: Arc<dyn Clock>,
    /// There are deliveries.
    pub delivers: Arc<Notify>,
}

impl Decider {
    /// Until `stop`; a batch under way is finished.
    pub async fn run(self, stop: CancellationToken) {
        let mut is_failing = false;
        while !stop.is_cancelled() {
            let batch = tokio::time::timeout(BATCH_DEADLINE, self.batch());
            let pause = match batch.await.unwrap_or(Err(Failure::TimedOut(BATCH_DEADLINE))) {
                Ok(decided) => {
                    if std::mem::take(&mut is_failing) {
                        tracing::info!("decisions about notifications go on");
                    }
                    if decided > 0 { Duration::ZERO } else { IDLE }
                }
                Err(failure) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%failure, "decisions about notifications stand still");
                    }
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Decides on some of the threads that are due; says on how many.
    ///
    /// # Errors
    /// If PostgreSQL does not answer; what was decided is found again.
    pub async fn batch(&self) -> Result<usize, Failure> {
        if !self.presence.is_ready() {
            return Ok(0);
        }
        let now = Timestamp::from_unix_millis(self.clock.now_millis());
        let mut transaction = self.pool.begin().await?;
        let due = timers::lock(&mut transaction, now, self.config.decide.at_once).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (ready, behind) = timers::split(&mut transaction, due).await?;
        let mut effects = Effects::new(now);
        for (timer, next) in behind {
            effects.set(timer, next);
        }
        let gathered = facts::gather(&mut transaction, &ready, &self.config.policy, now).await?;
        let results = self.decide(ready, &gathered, now).await;
        let decided = results.len();
        for (timer, next, event) in results {
            effects.add(timer, next, event);
        }
        let delivers = effects.write(&mut transaction).await?;
        transaction.commit().await?;
        if delivers {
            self.delivers.notify_waiters();
        }
        Ok(decided)
    }

    /// The threads of one person one after the other: each counts for their caps.
    async fn decide(
        &self,
        timers: Vec<Timer>,
        gathered: &Gathered,
        now: Timestamp,
    ) -> Vec<(Timer, Next, Option<ThreadEvent>)> {
        let mut people: BTreeMap<String, Vec<Timer>> = BTreeMap::new();
        for timer in timers {
            people.entry(timer.user.clone()).or_default().push(timer);
        }
        stream::iter(people.into_values().map(|timers| self.decide_person(timers, gathered, now)))
            .buffer_unordered(AT_THE_SAME_TIME)
            .collect::<Vec<_>>()
            .await
            .concat()
    }

    async fn decide_person(
        &self,
        timers: Vec<Timer>,
        gathered: &Gathered,
        now: Timestamp,
    ) -> Vec<(Timer, Next, Option<ThreadEvent>)> {
        let mut decided = Vec::new();
        let mut told = BTreeMap::new();
        for timer in timers {
            let online = self.presence.is_online(&timer.user).unwrap_or_default();
            let result = match gathered.facts(&timer, &self.config.policy, online, &told, now) {
                Ok(facts) => self.threads.decide(&facts, &self.config.policy, now).await,
                Err(failure) => Err(NotDecided::Corrupt(failure.to_string())),
            };
            match result {
                Ok((thread, decision)) => {
                    count(&decision);
                    if let Decision::Event(ThreadEvent::Told(digest)) = &decision {
                        let mut channels: Vec<_> =
                            digest.targets.iter().map(|target| target.channel).collect();
                        channels.dedup();
                        for channel in channels {
                            *told.entry(channel).or_default() += 1;
                        }
                    }
                    let next = next(&thread, &decision, now);
                    let event = follows(timer.trigger, &decision, thread.last);
                    decided.push((timer, next, event));
                }
                Err(NotDecided::Conflict) => tracing::debug!("somebody else has decided"),
                // Its timer stays due.
                Err(NotDecided::Failed(error)) => tracing::debug!(error, "nothing was decided"),
                Err(NotDecided::Corrupt(error)) => {
                    tracing::error!(error, "a thread cannot be decided on; it is tried again");
                    let next = Next::At(timer.trigger, later(now, LATER));
                    decided.push((timer, next, None));
                }
            }
        }
        decided
    }
}

/// The event that something follows from: also one that was stored before, perhaps by somebody who
/// died before anything could follow, and whatever has come since. A timer that waits says that
/// everything has followed.
fn follows(
    trigger: Trigger,
    decision: &Decision,
    last: Option<ThreadEvent>,
) -> Option<ThreadEvent> {
    match (decision, trigger) {
        (Decision::Event(_), _) => last,
        (Decision::Known | Decision::Wait(_), Trigger::Open | Trigger::Read) => last,
        (Decision::Known | Decision::Wait(_), Trigger::Cooling | Trigger::Deferred) => None,
    }
}

fn count(decision: &Decision) {
    let labels = match decision {
        Decision::Event(ThreadEvent::Told(_)) => ["told", ""],
        Decision::Event(ThreadEvent::Skipped { reason, .. }) => ["skipped", reason.as_str()],
        Decision::Event(ThreadEvent::Deferred { reason, .. }) => ["deferred", reason.as_str()],
        Decision::Known | Decision::Wait(_) => return,
    };
    metrics::DECISIONS.with_label_values(&labels).inc();
}
