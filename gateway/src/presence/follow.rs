//! Follows the bucket of presence into the table.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use parley_nats::presence::{PresenceTail, Reader};
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
    let beats_before = shared.beats.load(Ordering::Acquire);
    let me = shared.bucket.gateway();
    let mut reader = Reader::begin(me, beats_before, &mut lock(&shared.table), Instant::now());
    shared.wants_beat.notify_one();
    loop {
        // Nothing ends before everything that is in the bucket was seen.
        let expiry = if reader.is_caught_up() { lock(&shared.table).next_expiry() } else { None };
        let mut changed = Vec::new();
        tokio::select! {
            biased;
            () = until(expiry) => {
                lock(&shared.table).expire(Instant::now(), &mut changed);
            }
            seen = tail.next() => {
                let Some(seen) = seen else { return };
                let mut table = lock(&shared.table);
                let is_last = reader.read(&seen, &mut table, Instant::now(), &mut changed);
                drop(table);
                if is_last {
                    caught_up(shared);
                }
            }
        }
        shared.show(&changed);
    }
}

fn caught_up(shared: &Shared) {
    if !shared.is_ready.swap(true, Ordering::AcqRel) {
        tracing::debug!("presence is known");
        shared.onlookers().watchers.touch_all();
    }
    shared.wants_sweep.notify_one();
}

async fn until(expiry: Option<Instant>) {
    match expiry {
        Some(expiry) => sleep_until(expiry.into()).await,
        None => std::future::pending().await,
    }
}
