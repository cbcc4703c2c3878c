//! Sending what was decided: workers that take deliveries which are due and hand them to the
//! channels, so many at once and no more.
//!
//! A delivery is marked as this process's before anything is done. If the process dies, it is sent
//! again under the same name when the mark is old enough. Just before an SMS goes out it is marked
//! once more: from there on the outcome is unknown until it is stored, and it is left alone, for a
//! person to look at.

pub mod compose;
pub mod queue;

use std::{sync::Arc, time::Duration};

use parley_domain::Timestamp;
use parley_projections::Failure;
use parley_runtime::clock::Clock;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    compose::{Composed, Composer},
    queue::{Delivery, Outcome},
};
use crate::{
    breaker::Room,
    channels::{ChannelKind, Channels, Failed},
    config::DeliverConfig,
    metrics,
    policy::later,
};

/// How often it is asked whether something is due.
const IDLE: Duration = Duration::from_millis(200);
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);
/// When what cannot be composed yet is tried again.
const NOT_YET: Duration = Duration::from_secs(1);
/// How long the end of a send is tried to be stored; then its mark tells.
const STORE_ATTEMPTS: u32 = 5;

/// A worker of one channel.
pub struct Worker {
    pub channel: ChannelKind,
    pub config: DeliverConfig,
    pub pool: PgPool,
    pub channels: Arc<Channels>,
    pub composer: Arc<Composer>,
    pub clock: Arc<dyn Clock>,
    pub delivers: Arc<Notify>,
}

impl Worker {
    /// Until `stop`; what is under way is finished.
    pub async fn run(self, stop: CancellationToken) {
        let worker = Arc::new(self);
        let permits = Arc::new(Semaphore::new(worker.config.concurrency(worker.channel)));
        let under_way = TaskTracker::new();
        let mut is_failing = false;
        loop {
            let most = match worker.channels.room(worker.channel) {
                Room::Any => worker.config.concurrency(worker.channel),
                Room::One => 1,
                // What waits for its provider stays where it is, and costs nothing.
                Room::None => 0,
            };
            // At most those that are free: none is claimed that cannot be sent at once.
            let free = tokio::select! {
                free = acquire(&permits, most) => free,
                () = stop.cancelled() => break,
            };
            if free.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => continue,
                    () = stop.cancelled() => break,
                }
            }
            let now = worker.now();
            let claimed =
                queue::claim(&worker.pool, worker.channel, free.len(), worker.config.lease(), now);
            let pause = match claimed.await {
                Ok(deliveries) => {
                    is_failing = false;
                    let is_idle = deliveries.len() < free.len();
                    for (delivery, permit) in deliveries.into_iter().zip(free) {
                        let worker = Arc::clone(&worker);
                        under_way.spawn(async move {
                            worker.deliver(delivery).await;
                            drop(permit);
                        });
                    }
                    if is_idle { IDLE } else { Duration::ZERO }
                }
                Err(failure) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let channel = worker.channel.as_str();
                        tracing::warn!(channel, %failure, "deliveries stand still");
                    }
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = worker.delivers.notified(), if !pause.is_zero() && !is_failing => {}
                () = stop.cancelled() => break,
            }
        }
        under_way.close();
        under_way.wait().await;
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now_millis())
    }

    async fn deliver(&self, delivery: Delivery) {
        let begun = Instant::now();
        let outcome = self.send(&delivery).await;
        let (channel, what) = (self.channel.as_str(), delivery.what.as_str());
        let seconds = begun.elapsed().as_secs_f64();
        metrics::DELIVERY_SECONDS.with_label_values(&[channel]).observe(seconds);
        metrics::DELIVERIES.with_label_values(&[channel, outcome.as_str()]).inc();
        match &outcome {
            Outcome::Sent | Outcome::Cancelled(_) | Outcome::EndpointDead(_) => {}
            Outcome::Again { reason, .. } => {
                tracing::debug!(channel, what, reason, "a delivery is tried again");
            }
            Outcome::Dead(reason) | Outcome::Unknown(reason) => {
                let delivery_id = delivery.delivery_id;
                tracing::warn!(channel, what, delivery_id, reason, "a delivery is given up");
            }
        }
        for attempt in 1..=STORE_ATTEMPTS {
            match queue::finish(&self.pool, &delivery, &outcome, self.now()).await {
                Ok(()) => return,
                Err(failure) => {
                    tracing::debug!(channel, attempt, %failure, "the end of a send was not stored");
                    tokio::time::sleep(PAUSE * attempt).await;
                }
            }
        }
    }

    async fn send(&self, delivery: &Delivery) -> Outcome {
        if later(delivery.created_at, self.config.give_up) < self.now() {
            let reason = "it has waited too long".to_owned();
            return Outcome::Dead(reason);
        }
        let composed = match self.composer.compose(delivery, self.now()).await {
            Ok(composed) => composed,
            Err(failure) => return self.not_composed(&failure),
        };
        let (endpoint, what) = match composed {
            Composed::Ready(endpoint, what) => (endpoint, what),
            Composed::NotYet => {
                let at = later(self.now(), NOT_YET);
                return Outcome::Again {
                    at,
                    reason: "not in the views yet".to_owned(),
                    counts: false,
                };
            }
            Composed::Later { until, reason } => {
                return Outcome::Again { at: until, reason: reason.to_owned(), counts: false };
            }
            Composed::Gone(reason) => return Outcome::Cancelled(reason),
        };
        if self.channel == ChannelKind::Sms {
            match queue::begin(&self.pool, delivery).await {
                Ok(true) => {}
                Ok(false) => return Outcome::Cancelled("another process has it"),
                Err(failure) => return self.not_composed(&failure),
            }
        }
        match timeout(self.config.send, self.channels.send(&endpoint, &what)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(failed)) => self.failed(failed, delivery),
            Err(_) => {
                self.failed(Failed::Unknown { reason: "no end in time".to_owned() }, delivery)
            }
        }
    }

    fn not_composed(&self, failure: &Failure) -> Outcome {
        let reason = failure.to_string();
        if failure.is_temporary() {
            Outcome::Again { at: later(self.now(), PAUSE), reason, counts: false }
        } else {
            Outcome::Dead(reason)
        }
    }

    fn failed(&self, failed: Failed, delivery: &Delivery) -> Outcome {
        let (reason, after) = match failed {
            Failed::GiveUp { reason } => return Outcome::Dead(reason),
            Failed::EndpointDead { reason } => return Outcome::EndpointDead(reason),
            Failed::Unknown { reason } if self.channel == ChannelKind::Sms => {
                return Outcome::Unknown(reason);
            }
            Failed::Unknown { reason } => (reason, None),
            Failed::Retry { reason, after } => (reason, after),
            Failed::Wait { reason, after } => {
                let at = later(self.now(), after + self.config.backoff.spread(&mut rand::rng()));
                return Outcome::Again { at, reason, counts: false };
            }
        };
        match self.config.backoff.wait(delivery.attempts, after, &mut rand::rng()) {
            Some(wait) => Outcome::Again { at: later(self.now(), wait), reason, counts: true },
            None => Outcome::Dead(reason),
        }
    }
}

/// All that are free, at most so many; waits for the first one.
async fn acquire(permits: &Arc<Semaphore>, most: usize) -> Vec<OwnedSemaphorePermit> {
    let mut taken = Vec::new();
    if most == 0 {
        return taken;
    }
    // It is never closed.
    if let Ok(permit) = Arc::clone(permits).acquire_owned().await {
        taken.push(permit);
    }
    while taken.len() < most
        && let Ok(permit) = Arc::clone(permits).try_acquire_owned()
    {
        taken.push(permit);
    }
    taken
}
