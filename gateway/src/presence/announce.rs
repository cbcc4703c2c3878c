//! Tells the other gateways who is connected to this one, and that it lives.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Shared, local::Tell};
use crate::realtime::registry::lock;

/// So many are told between two looks at anything else.
const BATCH: usize = 500;
/// How often it is checked that the bucket has what it should.
const SWEEP: Duration = Duration::from_secs(10);
/// Signs of life in a lease, so that one that fails does no harm.
const BEATS: u32 = 5;
/// How long the link may be down before it is looked at again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Until `end`; then says that this gateway has ended.
pub(super) async fn run(shared: Arc<Shared>, end: CancellationToken) {
    let mut beats = interval(shared.config.lease / BEATS);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = interval(SWEEP);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut teller = Teller { shared: &shared, told_epoch: 0, acknowledged_at: Instant::now() };
    loop {
        let is_up = shared.connection.link().connected;
        let due = lock(&shared.local).next_due(Instant::now());
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            _ = beats.tick(), if is_up => teller.beat().await,
            () = shared.wants_beat.notified(), if is_up => teller.beat().await,
            () = until(due) => teller.tell().await,
            () = shared.local_moved.notified() => {}
            () = shared.wants_sweep.notified() => teller.sweep().await,
            _ = sweeps.tick(), if is_up => teller.sweep().await,
            is_up = shared.connection.connected(PATIENCE), if !is_up => {
                if is_up {
                    teller.beat().await;
                }
            }
        }
    }
    teller.take_leave().await;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

struct Teller<'a> {
    shared: &'a Shared,
    /// Everybody has been told of in this epoch of the link.
    told_epoch: u64,
    /// When the last sign of life was acknowledged.
    acknowledged_at: Instant,
}

impl Teller<'_> {
    async fn tell(&mut self) {
        let due = lock(&self.shared.local).take_due(Instant::now(), BATCH);
        let is_up = self.shared.connection.link().connected;
        for tell in due {
            let now_millis = self.shared.clock.now_millis();
            let (user, at) = match &tell {
                // Should this process die, that is what will be known of them.
                Tell::Joined(user) => (user, now_millis),
                Tell::Left(user, at) => (user, *at),
            };
            self.shared.note(user, at);
            if !is_up {
                // Once the link is up, all are told again, and the sweep finds who has left.
                continue;
            }
            let told = match &tell {
                Tell::Joined(user) => self.shared.bucket.join(user.as_str()).await,
                Tell::Left(user, at) => self.shared.bucket.leave(user.as_str(), Some(*at)).await,
            };
            match told {
                Ok(()) => {
                    self.shared.counters.told.fetch_add(1, Ordering::Relaxed);
                }
                Err(failure) => tracing::debug!(%failure, "presence was not told"),
            }
        }
    }

    async fn beat(&mut self) {
        let beat = self.shared.beats.fetch_add(1, Ordering::AcqRel) + 1;
        let epoch = self.shared.connection.link().epoch;
        match self.shared.bucket.beat(beat).await {
            Ok(()) => {
                let was_silent = self.acknowledged_at.elapsed() > self.shared.config.lease;
                self.acknowledged_at = Instant::now();
                if epoch != self.told_epoch || was_silent {
                    self.told_epoch = epoch;
                    lock(&self.shared.local).tell_again();
                }
            }
            Err(failure) => {
                tracing::debug!(%failure, "a sign of life was not taken");
                self.restore().await;
            }
        }
    }

    /// The server may have lost the bucket with its memory.
    async fn restore(&mut self) {
        if !self.shared.connection.link().connected {
            return;
        }
        match self.shared.bucket.ensure().await {
            Ok(()) => {
                lock(&self.shared.local).tell_again();
                self.shared.wants_beat.notify_one();
            }
            Err(failure) => {
                tracing::debug!(%failure, "the bucket of presence is away");
                // No faster than signs of life are due anyway.
                tokio::time::sleep(self.shared.config.lease / BEATS).await;
            }
        }
    }

    /// Compares what the bucket has of this gateway with who is here.
    async fn sweep(&mut self) {
        if !self.shared.is_ready.load(Ordering::Acquire) {
            return;
        }
        let gone: Vec<_> = {
            let mut local = lock(&self.shared.local);
            let table = lock(&self.shared.table);
            local.sweep(Instant::now(), |user| table.has_here(user.as_str()));
            table.all_here().filter(|user| !local.contains(user.as_str())).cloned().collect()
        };
        for user in gone {
            // Since when is in the database, or still on its way.
            if let Err(failure) = self.shared.bucket.leave(user.as_str(), None).await {
                tracing::debug!(%failure, "presence was not told");
                return;
            }
        }
    }

    async fn take_leave(&mut self) {
        let users: Vec<_> = lock(&self.shared.local).users().cloned().collect();
        let now_millis = self.shared.clock.now_millis();
        for user in &users {
            self.shared.note(user, now_millis);
        }
        let ended = tokio::time::timeout(PATIENCE, self.shared.bucket.end()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::debug!("this gateway's end was not told; its lease will run out");
        }
    }
}
