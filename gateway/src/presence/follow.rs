//! Follows the bucket of presence into the table.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use parley_domain::UserId;
use parley_nats::presence::{PresenceTail, Seen, Sign};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::realtime::registry::lock;

const RETRY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(1);

/// Until `end`.
pub(super) async fn run(shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let opened = async {
            shared.connection.connected(PATIENCE).await;
            shared.bucket.tail().await
        };
        let opened = tokio::select! {
            biased;
            () = end.cancelled() => return,
            opened = opened => opened,
        };
        match opened {
            Ok(tail) => tokio::select! {
                biased;
                () = end.cancelled() => return,
                () = follow(&shared, tail) => {}
            },
            Err(failure) => tracing::debug!(%failure, "presence cannot be followed yet"),
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = sleep(RETRY) => {}
        }
    }
}

/// Until something may have been missed.
async fn follow(shared: &Shared, mut tail: PresenceTail) {
    lock(&shared.table).begin(Instant::now());
    let mut reader = Reader {
        shared,
        beats_before: shared.beats.load(Ordering::Acquire),
        replay: Some(HashMap::new()),
    };
    shared.wants_beat.notify_one();
    loop {
        // Nothing ends before everything that is in the bucket was seen.
        let expiry = if reader.replay.is_none() { lock(&shared.table).next_expiry() } else { None };
        tokio::select! {
            biased;
            () = until(expiry) => {
                let mut changed = Vec::new();
                lock(&shared.table).expire(Instant::now(), &mut changed);
                shared.show(&changed);
            }
            seen = tail.next() => match seen {
                Some(seen) => reader.read(&seen),
                None => return,
            },
        }
    }
}

async fn until(expiry: Option<Instant>) {
    match expiry {
        Some(expiry) => sleep_until(expiry.into()).await,
        None => std::future::pending().await,
    }
}

struct Reader<'a> {
    shared: &'a Shared,
    /// This gateway's own signs of life up to here are from before the tail.
    beats_before: u64,
    /// When each gateway last gave a sign of life, by the server's clock; until one of this
    /// gateway's own comes, which tells what the server's clock shows now.
    replay: Option<HashMap<String, i64>>,
}

impl Reader<'_> {
    fn read(&mut self, seen: &Seen) {
        let now = Instant::now();
        let mut changed = Vec::new();
        match &seen.sign {
            Sign::Alive { gateway, beat } => {
                self.alive(gateway, *beat, seen.at_millis, now, &mut changed);
            }
            Sign::Ended { gateway } => lock(&self.shared.table).ended(gateway, now),
            Sign::Joined { gateway, user } => {
                if let Ok(user) = UserId::parse(user) {
                    lock(&self.shared.table).joined(gateway, &user, now, &mut changed);
                }
            }
            Sign::Left { gateway, user, at_millis } => {
                if let Ok(user) = UserId::parse(user) {
                    lock(&self.shared.table).left(gateway, &user, *at_millis, &mut changed);
                }
            }
        }
        self.shared.show(&changed);
    }

    fn alive(
        &mut self,
        gateway: &str,
        beat: u64,
        at_millis: i64,
        now: Instant,
        changed: &mut Vec<UserId>,
    ) {
        let Some(replay) = &mut self.replay else {
            return lock(&self.shared.table).alive(
                gateway,
                Duration::ZERO,
                at_millis,
                now,
                changed,
            );
        };
        replay.insert(gateway.to_owned(), at_millis);
        if gateway != self.shared.bucket.gateway() || beat <= self.beats_before {
            return;
        }
        let mut table = lock(&self.shared.table);
        for (gateway, heard_millis) in self.replay.take().unwrap_or_default() {
            let ago = u64::try_from(at_millis.saturating_sub(heard_millis)).unwrap_or_default();
            table.alive(&gateway, Duration::from_millis(ago), heard_millis, now, changed);
        }
        table.caught_up(now);
        drop(table);
        if !self.shared.is_ready.swap(true, Ordering::AcqRel) {
            tracing::debug!("presence is known");
            self.shared.onlookers().watchers.touch_all();
        }
        self.shared.wants_sweep.notify_one();
    }
}
