//! Writes to the database when people were last seen: in batches, never more than one of a bounded
//! size at a time. While the database is away, what waits is bounded too.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parley_domain::{Timestamp, UserId};
use parley_projections::queries;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::realtime::registry::lock;

/// Between two batches: what comes within it is written together.
const GATHER: Duration = Duration::from_millis(250);
const BATCH: usize = 1_000;
const RETRY: Duration = Duration::from_secs(2);
/// People who wait to be written; over it, others are left out.
const MAX_WAITING: usize = 100_000;
/// How long an end may take.
const LAST: Duration = Duration::from_secs(2);

/// What waits to be written: one time a person.
#[derive(Debug, Default)]
pub struct Notes {
    waiting: HashMap<UserId, i64>,
}

impl Notes {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Says whether there was room.
    fn add(&mut self, user: &UserId, at_millis: i64) -> bool {
        if let Some(known) = self.waiting.get_mut(user) {
            *known = at_millis.max(*known);
            return true;
        }
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.waiting.insert(user.clone(), at_millis);
        true
    }

    fn batch(&self) -> Vec<(UserId, Timestamp)> {
        let first = self.waiting.iter().take(BATCH);
        first.map(|(user, at)| (user.clone(), Timestamp::from_unix_millis(*at))).collect()
    }

    /// These are written, unless there is news of them since.
    fn remove(&mut self, written: &[(UserId, Timestamp)]) {
        for (user, at) in written {
            if self.waiting.get(user) == Some(&at.unix_millis()) {
                self.waiting.remove(user);
            }
        }
    }
}

/// Until `end`, and then what is left, if it goes quickly.
pub(super) async fn write(shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let next = async {
            sleep(GATHER).await;
            if !shared.write_batch().await {
                sleep(RETRY).await;
            }
        };
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = next => {}
        }
    }
    let last = async { while lock(&shared.notes).len() > 0 && shared.write_batch().await {} };
    if timeout(LAST, last).await.is_err() {
        tracing::debug!("when some were last seen was not written");
    }
}

impl Shared {
    /// This user is, or was, online at this time.
    pub(super) fn note(&self, user: &UserId, at_millis: i64) {
        if !lock(&self.notes).add(user, at_millis) {
            self.counters.notes_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says whether the database took it. Cancelled, it is written again: that changes nothing.
    async fn write_batch(&self) -> bool {
        let batch = lock(&self.notes).batch();
        if batch.is_empty() {
            return true;
        }
        match queries::note_last_seen(&self.pool, &batch).await {
            Ok(()) => {
                lock(&self.notes).remove(&batch);
                self.counters.noted.fetch_add(batch.len() as u64, Ordering::Relaxed);
                true
            }
            Err(failure) => {
                tracing::debug!(%failure, "when people were last seen is not written yet");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_written_once_and_news_meanwhile_are_kept() {
        let mut notes = Notes::default();
        let user = |n: usize| UserId::parse(&format!("u{n}")).unwrap();
        for at in [5, 3] {
            assert!(notes.add(&user(0), at));
        }
        let batch = notes.batch();
        assert_eq!(batch, [(user(0), Timestamp::from_unix_millis(5))]);
        notes.add(&user(0), 9);
        notes.remove(&batch);
        assert_eq!(notes.batch(), [(user(0), Timestamp::from_unix_millis(9))]);
        for n in 1..MAX_WAITING {
            assert!(notes.add(&user(n), 1));
        }
        assert!(!notes.add(&user(MAX_WAITING), 1), "bounded");
        assert!(notes.add(&user(7), 2));
        assert_eq!(notes.batch().len(), BATCH);
    }
}
