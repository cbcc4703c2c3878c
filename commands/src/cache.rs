//! The conversations of a shard in its owner's memory.
//!
//! Memory covers every event behind the *floor*: whatever a conversation did since then is in its
//! entry. A conversation leaves memory only when the views have its last event, and the floor rises
//! to it; so a state loaded from views that have passed the floor is complete.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use lru::LruCache;
use parley_domain::{Conversation, ConversationId, Event};
use parley_nats::{
    Failure,
    event_store::{Held, States},
};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::{config::OwnerConfig, loader::Loader};

/// What an entry costs besides its state, in bytes.
const ENTRY_BYTES: usize = 256;
/// What an event that waits for its conversation's state costs, in bytes; about.
const REMEMBERED_BYTES: usize = 1_024;
/// How many of the least recently used are looked at to make room for one.
const CANDIDATES: usize = 32;

/// Bounded by bytes; see the module.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    loader: Loader,
    /// How far the views are, as last heard.
    checkpoint: watch::Receiver<u64>,
    config: OwnerConfig,
}

#[derive(Debug)]
struct Inner {
    entries: LruCache<ConversationId, Arc<Entry>>,
    bytes: usize,
    floor: u64,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<tokio::sync::Mutex<Slot>>,
    /// Copies of what the slot holds, readable without holding it.
    position: AtomicU64,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Slot {
    held: Held<Conversation>,
    /// Whether `held` has the events up to the floor; until then only those in `since` are here.
    loaded: bool,
    since: Vec<Event>,
}

/// A conversation that one command holds.
pub struct Guard {
    slot: OwnedMutexGuard<Slot>,
    entry: Arc<Entry>,
    cache: Arc<Cache>,
}

impl Cache {
    /// Empty, with memory of nothing up to `floor`.
    pub fn new(
        floor: u64,
        loader: Loader,
        checkpoint: watch::Receiver<u64>,
        config: OwnerConfig,
    ) -> Self {
        let inner = Inner { entries: LruCache::unbounded(), bytes: 0, floor };
        Self { inner: Mutex::new(inner), loader, checkpoint, config }
    }

    /// Takes in an event of the log's end, before the first command. Its conversation is completed
    /// when somebody asks for it.
    pub fn remember(&self, event: Event, position: u64) {
        let entry = self.entry(&event.subject);
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

    async fn check_out(self: &Arc<Self>, id: &str) -> Result<Guard, Failure> {
        let id = ConversationId::parse(id).map_err(|error| Failure::Views(error.to_string()))?;
        let entry = self.entry(&id);
        if self.bytes() > self.config.pinned_bytes {
            return Err(Failure::Overloaded("the views are too far behind"));
        }
        let mut slot = Arc::clone(&entry.slot).lock_owned().await;
        if !slot.loaded {
            let floor = self.inner().floor;
            let mut state = self.loader.load(&id, floor).await?;
            for event in &slot.since {
                state.evolve(event);
            }
            slot.since = Vec::new();
            slot.held.state = state;
            slot.loaded = true;
        }
        Ok(Guard { slot, entry, cache: Arc::clone(self) })
    }

    fn entry(&self, id: &ConversationId) -> Arc<Entry> {
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

    fn account(&self, entry: &Entry, bytes: usize) {
        let before = entry.bytes.swap(bytes, Ordering::Relaxed);
        if before != bytes {
            let mut inner = self.inner();
            inner.bytes = (inner.bytes + bytes).saturating_sub(before);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops what was used least, as far as the views have it and nobody holds it.
    fn make_room(&mut self, checkpoint: u64, limit: usize) {
        let candidates: Vec<(ConversationId, u64, usize)> = self
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

impl Deref for Guard {
    type Target = Held<Conversation>;

    fn deref(&self) -> &Self::Target {
        &self.slot.held
    }
}

impl DerefMut for Guard {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.slot.held
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.entry.position.fetch_max(self.slot.held.position, Ordering::Relaxed);
        self.cache.account(&self.entry, ENTRY_BYTES + self.slot.held.state.size_bytes());
    }
}

/// The cache as the event store sees it.
#[derive(Debug, Clone)]
pub struct SharedCache(pub Arc<Cache>);

impl States<Conversation> for SharedCache {
    type Guard = Guard;

    async fn check_out(&self, id: &str) -> Result<Guard, Failure> {
        self.0.check_out(id).await
    }
}
