//! Who is online, as the gateways tell it in the bucket of presence.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parley_nats::{
    Connection, Failure,
    presence::{PresenceBucket, PresenceTail, Reader, Shown, Table, TableConfig},
};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const RETRY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the bucket's old entries may take.
const CATCH_UP: Duration = Duration::from_secs(15);
/// As the gateways' own bound; further people count as offline.
const MAX_USERS: usize = 10_000_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct Presence(Arc<Shared>);

struct Shared {
    bucket: PresenceBucket,
    connection: Connection,
    table: Mutex<Table>,
    is_ready: AtomicBool,
}

impl Presence {
    pub fn new(connection: Connection, replicas: usize, lease: Duration) -> Self {
        // To the gateways it is one of them that has nobody, and ends at once.
        let name = Uuid::now_v7().simple().to_string();
        // Who is not online is of no interest here.
        let config = TableConfig { lease, linger: lease, max_users: MAX_USERS, remembered: 0 };
        Self(Arc::new(Shared {
            table: Mutex::new(Table::new(&name, config)),
            bucket: PresenceBucket::new(connection.clone(), name, replicas),
            connection,
            is_ready: AtomicBool::new(false),
        }))
    }

    /// Whether somebody has an active session; `None` while it is not known yet.
    pub fn is_online(&self, user: &str) -> Option<bool> {
        let is_ready = self.0.is_ready.load(Ordering::Acquire);
        is_ready.then(|| lock(&self.0.table).presence(user) == Shown::Online)
    }

    /// Whether it is known who is online.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.load(Ordering::Acquire)
    }

    /// Follows the bucket until `end`. While NATS is away, what was true last stays so.
    pub async fn run(self, end: CancellationToken) {
        let mut beats = 0;
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                failed = self.0.follow(&mut beats) => if let Err(failure) = failed {
                    tracing::debug!(%failure, "presence cannot be followed yet");
                }
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = sleep(RETRY) => {}
            }
        }
    }
}

impl Shared {
    /// Until something may have been missed.
    async fn follow(&self, beats: &mut u64) -> Result<(), Failure> {
        self.connection.connected(PATIENCE).await;
        self.bucket.ensure().await?;
        let mut tail = self.bucket.tail().await?;
        let mut reader =
            Reader::begin(self.bucket.gateway(), *beats, &mut lock(&self.table), Instant::now());
        *beats += 1;
        self.bucket.beat(*beats).await?;
        let caught_up = tokio::time::timeout(CATCH_UP, async {
            while !reader.is_caught_up() {
                if !self.read(&mut tail, &mut reader).await {
                    return false;
                }
            }
            true
        });
        if !matches!(caught_up.await, Ok(true)) {
            return Err(Failure::jetstream(
                "follow the bucket of presence",
                "its entries end early",
            ));
        }
        self.is_ready.store(true, Ordering::Release);
        // The time is known now; nobody shall wait for this one.
        self.bucket.end().await?;
        loop {
            let expiry = lock(&self.table).next_expiry();
            tokio::select! {
                biased;
                () = until(expiry) => lock(&self.table).expire(Instant::now(), &mut Vec::new()),
                read = self.read(&mut tail, &mut reader) => if !read {
                    return Ok(());
                }
            }
        }
    }

    /// Whether there was an entry.
    async fn read(&self, tail: &mut PresenceTail, reader: &mut Reader) -> bool {
        let Some(seen) = tail.next().await else { return false };
        reader.read(&seen, &mut lock(&self.table), Instant::now(), &mut Vec::new());
        true
    }
}

async fn until(expiry: Option<Instant>) {
    match expiry {
        Some(expiry) => sleep_until(expiry.into()).await,
        None => std::future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
