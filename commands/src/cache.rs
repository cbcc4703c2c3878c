//! The aggregates of one sort of a shard, in its owner's memory.
//!
//! Memory covers every event behind the *floor*: whatever an aggregate did since then is in its
//! entry. It leaves memory only when the views have its last event, and the floor rises to that; so
//! a state loaded from views that have passed the floor is complete.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use lru::LruCache;
use parley_domain::Event;
use parley_nats::{
    Failure,
    event_store::{Held, States},
};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::{config::CacheConfig, loader::Loader, served::Served};

/// What an entry costs besides its state, in bytes.
const ENTRY_BYTES: usize = 256;
/// What an event that waits for its aggregate's state costs, in bytes; about.
const REMEMBERED_BYTES: usize = 1_024;
/// How many of the least recently used are looked at to make room for one.
const CANDIDATES: usize = 32;

/// Bounded by bytes; see the module.
pub struct Cache<A: Served> {
    inner: Mutex<Inner<A>>,
    loader: Loader,
    /// How far the views are, as last heard.
    checkpoint: watch::Receiver<u64>,
    config: CacheConfig,
}

struct Inner<A: Served> {
    entries: LruCache<A::Id, Arc<Entry<A>>>,
    bytes: usize,
    floor: u64,
}

struct Entry<A> {
    slot: Arc<tokio::sync::Mutex<Slot<A>>>,
    /// Copies of what the slot holds, readable without holding it.
    position: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Slot<A> {
    held: Held<A>,
    /// Whether `held` has the events up to the floor; until then only those in `since` are here.
    loaded: bool,
    since: Vec<Event>,
}

/// An aggregate that one command holds.
pub struct Guard<A: Served> {
    slot: OwnedMutexGuard<Slot<A>>,
    entry: Arc<Entry<A>>,
    cache: Arc<Cache<A>>,
}

impl<A: Served> Cache<A> {
    /// Empty, with memory of nothing up to `floor`.
    pub fn new(
        floor: u64,
        loader: Loader,
        checkpoint: watch::Receiver<u64>,
        config: CacheConfig,
    ) -> Self {
        let inner = Inner { entries: LruCache::unbounded(), bytes: 0, floor };
        Self { inner: Mutex::new(inner), loader, checkpoint, config }
    }

    /// Takes in an event of the log's end, before the first command. Its aggregate is completed
    /// when somebody asks for it.
    pub fn remember(&self, id: &A::Id, event: Event, position: u64) {
        let entry = self.entry(id);
        entry.position.fetch_max(position, Ordering::Relaxed);
        if let Ok(mut slot) = entry.slot.try_lock() {
            slot.held.position = position;
            slot.since.push(event);
        }
        self.account(&entry, entry.bytes.load(Ordering::Relaxed) + REMEMBERED_BYTES);
    }

    /// What memory takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.inner().bytes
    }

    async fn check_out(self: &Arc<Self>, id: &str) -> Result<Guard<A>, Failure> {
        let id = A::parse_id(id).map_err(|error| Failure::Views(error.to_string()))?;
        let entry = self.entry(&id);
        if self.bytes() > self.config.pinned_bytes {
            return Err(Failure::Overloaded("the views are too far behind"));
        }
        let mut slot = Arc::clone(&entry.slot).lock_owned().await;
        if !slot.loaded {
            let floor = self.inner().floor;
            let mut state: A = self.loader.load(&id, floor).await?;
            for event in std::mem::take(&mut slot.since) {
                state.apply(event);
            }
            slot.held.state = state;
            slot.loaded = true;
        }
        Ok(Guard { slot, entry, cache: Arc::clone(self) })
    }

    fn entry(&self, id: &A::Id) -> Arc<Entry<A>> {
        let mut inner = self.inner();
        if let Some(entry) = inner.entries.get(id) {
            return Arc::clone(entry);
        }
        if inner.bytes > self.config.cache_bytes {
            inner.make_room(*self.checkpoint.borrow(), self.config.cache_bytes);
        }
        let entry = Arc::new(Entry {
            slot: Arc::default(),
            position: AtomicU64::new(0),
            bytes: AtomicUsize::new(ENTRY_BYTES),
        });
        inner.bytes += ENTRY_BYTES;
        inner.entries.put(id.clone(), Arc::clone(&entry));
        entry
    }

    fn account(&self, entry: &Entry<A>, bytes: usize) {
        let before = entry.bytes.swap(bytes, Ordering::Relaxed);
        if before != bytes {
            let mut inner = self.inner();
            inner.bytes = (inner.bytes + bytes).saturating_sub(before);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<A>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Served> Inner<A> {
    /// Drops what was used least, as far as the views have it and nobody holds it.
    fn make_room(&mut self, checkpoint: u64, limit: usize) {
        let candidates: Vec<(A::Id, u64, usize)> = self
            .entries
            .iter()
            .rev()
            .take(CANDIDATES)
            .filter(|(_, entry)| {
                // Clones are made under this lock, so one that is not shared stays so.
                Arc::strong_count(entry) == 1
                    && Arc::strong_count(&entry.slot) == 1
                    && entry.position.load(Ordering::Relaxed) <= checkpoint
            })
            .map(|(id, entry)| {
                let position = entry.position.load(Ordering::Relaxed);
                (id.clone(), position, entry.bytes.load(Ordering::Relaxed))
            })
            .collect();
        for (id, position, bytes) in candidates {
            if self.bytes <= limit {
                break;
            }
            self.entries.pop(&id);
            self.bytes = self.bytes.saturating_sub(bytes);
            self.floor = self.floor.max(position);
        }
    }
}

impl<A: Served> Deref for Guard<A> {
    type Target = Held<A>;

    fn deref(&self) -> &Self::Target {
        &self.slot.held
    }
}

impl<A: Served> DerefMut for Guard<A> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.slot.held
    }
}

impl<A: Served> Drop for Guard<A> {
    fn drop(&mut self) {
        self.entry.position.fetch_max(self.slot.held.position, Ordering::Relaxed);
        self.cache.account(&self.entry, ENTRY_BYTES + self.slot.held.state.size_bytes());
    }
}

/// The cache as the event store sees it.
pub struct SharedCache<A: Served>(pub Arc<Cache<A>>);

impl<A: Served> States<A> for SharedCache<A> {
    type Guard = Guard<A>;

    async fn check_out(&self, id: &str) -> Result<Guard<A>, Failure> {
        self.0.check_out(id).await
    }
}
