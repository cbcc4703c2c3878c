//! Every event of the log passes here once: into its shard's ring, then to the sessions of its
//! audience. Memory only; [`super::follow`] feeds it.
//!
//! Architecture invariant: an event is in its ring before anybody is looked up to route it to, and
//! a shard's `routed` position moves only after everything up to it was routed. [`super::feed`]
//! relies on both.

use std::{
    borrow::Cow,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parley_domain::ConversationId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use super::{
    protocol::{self, Frame},
    redaction::redacted,
    registry::{Delivery, Registry, lock},
    ring::Ring,
    token::{Codec, Positions},
};
use crate::presence::{access::Acquainted, watchers::Strangers};

const MESSAGE_SENT: &str = "message.sent";
const MESSAGE_DELETED: &str = "message.deleted";

/// What a hub is made with.
#[derive(Debug, Clone, Copy)]
pub struct HubConfig {
    /// Memory for the recent past, over all shards.
    pub ring_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Hub {
    codec: Codec,
    shards: Box<[Shard]>,
    registry: Registry,
    strangers: Strangers,
    acquainted: Acquainted,
    counters: Counters,
    ready: Notify,
    /// Once true, [`Hub::is_ready`] need not look any more.
    was_ready: AtomicBool,
}

#[derive(Debug)]
struct Shard {
    ring: Mutex<Ring>,
    /// Everything up to here was routed.
    routed: AtomicU64,
    /// The ring's floor, readable without its lock.
    floor: AtomicU64,
    ring_bytes: AtomicU64,
    /// The log's end, as far as it was ever seen.
    end: AtomicU64,
    /// The end that the log had at start, which makes this gateway ready.
    target: AtomicU64,
    has_target: AtomicBool,
}

/// For metrics: all only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that passed.
    pub events: AtomicU64,
    /// Events put into a session's mailbox.
    pub deliveries: AtomicU64,
    /// Messages of the log that are no events: skipped.
    pub poison: AtomicU64,
    /// Syncs served from the rings alone.
    pub ring_hits: AtomicU64,
    /// Frames that are not in the log put into a session's mailbox, and those it had no room for.
    pub whispers: AtomicU64,
    pub whispers_dropped: AtomicU64,
    /// Syncs that needed the database.
    pub ring_misses: AtomicU64,
}

/// What a ring spans, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub floor: u64,
    pub routed: u64,
    pub bytes: u64,
}

/// A message of the log, as far as the hub needs it.
#[derive(Debug, Clone, Copy)]
pub struct Logged<'a> {
    pub position: u64,
    /// The NATS subject, `dm.evt.<shard>.<conversation or account>`.
    pub subject: &'a str,
    pub payload: &'a [u8],
}

/// An event on its way to its audience.
struct Routed<'a> {
    audience: Audience<'a>,
    /// Of a message: the conversation, `d.<lo>.<hi>`, and its two people.
    talked: Option<(&'a str, [&'a str; 2])>,
    /// The message that it deletes: its conversation, and its number there.
    deletes: Option<(&'a str, u64)>,
    frame: Frame,
}

/// Reading it checks that the whole payload is one JSON object, so that nothing else is ever put
/// into a frame.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Of an event about a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfMessage {
    conversation_seq: u64,
}

impl Hub {
    /// `after`: for each shard the position behind which its ring begins.
    pub fn new(codec: Codec, after: &[u64], config: HubConfig) -> Self {
        let max_bytes = config.ring_bytes / codec.shards().max(1);
        let shards = (0..codec.shards()).map(|shard| {
            let after = after.get(shard).copied().unwrap_or_default();
            Shard {
                ring: Mutex::new(Ring::new(after, max_bytes)),
                routed: AtomicU64::new(after),
                floor: AtomicU64::new(after),
                ring_bytes: AtomicU64::new(0),
                end: AtomicU64::new(after),
                target: AtomicU64::new(0),
                has_target: AtomicBool::new(false),
            }
        });
        Self {
            codec,
            shards: shards.collect(),
            registry: Registry::default(),
            strangers: Strangers::default(),
            acquainted: Acquainted::default(),
            counters: Counters::default(),
            ready: Notify::new(),
            was_ready: AtomicBool::new(false),
        }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who has talked with whom, as far as it is known in memory.
    pub fn acquainted(&self) -> &Acquainted {
        &self.acquainted
    }

    /// Who waits for a first message.
    pub fn strangers(&self) -> &Strangers {
        &self.strangers
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Something up to here was erased from the log before this gateway has seen it: what the ring
    /// holds is not whole. Who knows no more than that is served from the views.
    pub fn forget(&self, shard: u16, through: u64) {
        let Some(state) = self.shards.get(usize::from(shard)) else { return };
        let mut ring = lock(&state.ring);
        ring.forget(through);
        state.floor.store(ring.floor(), Ordering::Relaxed);
        state.ring_bytes.store(ring.bytes() as u64, Ordering::Relaxed);
    }

    /// Takes the next messages of a shard's log, in order. Only one task may do so for a shard.
    pub fn push<'a>(&self, shard: u16, messages: impl IntoIterator<Item = Logged<'a>>) {
        let Some(state) = self.shards.get(usize::from(shard)) else { return };
        let mut last = 0;
        // Copied out of the network buffers and made into frames before anything is locked.
        let batch: Vec<(u64, Option<Routed<'_>>)> = messages
            .into_iter()
            .map(|message| {
                last = message.position;
                (message.position, self.read(shard, &message))
            })
            .collect();
        {
            let mut ring = lock(&state.ring);
            for (position, event) in &batch {
                match event {
                    Some(event) => {
                        if let (Some((conversation, seq)), Some(key)) =
                            (event.deletes, event.audience.users().next())
                        {
                            ring.rewrite(key, |frame| redacted(frame, conversation, seq));
                        }
                        ring.push(*position, event.audience.users(), event.frame.clone())
                    }
                    None => ring.skip(*position),
                }
            }
            state.floor.store(ring.floor(), Ordering::Relaxed);
            state.ring_bytes.store(ring.bytes() as u64, Ordering::Relaxed);
        }
        let mut deliveries = 0;
        let mut events = 0;
        for (position, event) in batch {
            let Some(Routed { audience, talked, frame, .. }) = event else { continue };
            if let Some((conversation, users)) = talked {
                // In this order: who begins to watch looks at them in the other.
                self.acquainted.insert(conversation);
                self.strangers.talked(conversation, users);
            }
            let delivery = Delivery { place: Some((shard, position)), frame };
            for user in audience.users() {
                deliveries += self.registry.deliver(user, &delivery);
            }
            events += 1;
        }
        self.counters.events.fetch_add(events, Ordering::Relaxed);
        self.counters.deliveries.fetch_add(deliveries as u64, Ordering::Relaxed);
        self.arrive(state, last);
    }

    fn read<'a>(&self, shard: u16, message: &Logged<'a>) -> Option<Routed<'a>> {
        let audience = audience(message.subject);
        let event: Result<Envelope<'_>, _> = serde_json::from_slice(message.payload);
        let frame = protocol::event(message.payload);
        match (audience, event, frame) {
            (Some(audience), Ok(event), Some(frame)) => {
                let talked = match audience {
                    Audience::Both { conversation, users } => {
                        (event.r#type == MESSAGE_SENT).then_some((conversation, users))
                    }
                    Audience::One(_) => None,
                };
                Some(Routed { audience, talked, deletes: deletes(message.subject, &event), frame })
            }
            // What a later version adds for groups concerns nobody here yet.
            (None, Ok(_), Some(_)) => None,
            (_, Err(_), _) | (_, _, None) => {
                let position = message.position;
                tracing::warn!(shard, position, "a message of the log is no event: skipped");
                self.counters.poison.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn arrive(&self, shard: &Shard, position: u64) {
        shard.routed.fetch_max(position, Ordering::Release);
        shard.end.fetch_max(position, Ordering::Relaxed);
        self.announce_ready();
    }

    fn announce_ready(&self) {
        if !self.was_ready.load(Ordering::Relaxed) && self.is_ready() {
            self.was_ready.store(true, Ordering::Relaxed);
            self.ready.notify_waiters();
        }
    }

    /// Gives a frame that is not in the log to a user's sessions; it may be dropped.
    pub fn whisper(&self, user: &str, frame: Frame) {
        let offered = self.registry.offer(user, &Delivery { place: None, frame });
        self.counters.whispers.fetch_add(offered.taken as u64, Ordering::Relaxed);
        self.counters.whispers_dropped.fetch_add(offered.dropped as u64, Ordering::Relaxed);
    }

    pub(super) fn rings(&self) -> impl Iterator<Item = &Mutex<Ring>> {
        self.shards.iter().map(|shard| &shard.ring)
    }

    /// For each shard, the position up to which everything was routed.
    pub fn routed(&self) -> impl Iterator<Item = u64> {
        self.shards.iter().map(|shard| shard.routed.load(Ordering::Acquire))
    }

    /// Whether the rings hold everything after these positions.
    pub fn covers(&self, positions: &[u64]) -> bool {
        self.shards
            .iter()
            .zip(positions)
            .all(|(shard, position)| *position >= shard.floor.load(Ordering::Relaxed))
    }

    pub fn spans(&self) -> impl Iterator<Item = Span> {
        self.shards.iter().map(|shard| Span {
            floor: shard.floor.load(Ordering::Relaxed),
            routed: shard.routed.load(Ordering::Relaxed),
            bytes: shard.ring_bytes.load(Ordering::Relaxed),
        })
    }

    /// The shards whose log is not known to reach as far as these positions.
    pub fn beyond_end(&self, positions: &[u64]) -> Vec<u16> {
        (0..)
            .zip(self.shards.iter().zip(positions))
            .filter(|(_, (shard, position))| **position > shard.end.load(Ordering::Relaxed))
            .map(|(index, _)| index)
            .collect()
    }

    /// Notes how far a shard's log goes.
    pub fn note_end(&self, shard: u16, end: u64) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.end.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// Sets the end that this shard's log had at start.
    pub fn set_target(&self, shard: u16, end: u64) {
        self.note_end(shard, end);
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.target.store(end, Ordering::Relaxed);
            shard.has_target.store(true, Ordering::Release);
        }
        self.announce_ready();
    }

    /// Whether every shard was followed to the end that its log had at start.
    pub fn is_ready(&self) -> bool {
        self.was_ready.load(Ordering::Relaxed)
            || self.shards.iter().all(|shard| {
                shard.has_target.load(Ordering::Acquire)
                    && shard.routed.load(Ordering::Relaxed) >= shard.target.load(Ordering::Relaxed)
            })
    }

    /// Waits for [`Self::is_ready`].
    pub async fn until_ready(&self) {
        loop {
            let notified = self.ready.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_ready() {
                return;
            }
            notified.await;
        }
    }

    /// The position vector of now: everything up to it was routed.
    pub fn positions(&self) -> Positions {
        self.routed().collect()
    }
}

/// Whose sessions an event is for.
#[derive(Debug, Clone, Copy)]
enum Audience<'a> {
    /// The people of a direct conversation.
    Both { conversation: &'a str, users: [&'a str; 2] },
    /// The owner of an account.
    One([&'a str; 1]),
}

impl<'a> Audience<'a> {
    fn users(&self) -> impl Iterator<Item = &'a str> {
        match self {
            Self::Both { users, .. } => users.as_slice(),
            Self::One(user) => user.as_slice(),
        }
        .iter()
        .copied()
    }
}

/// The two people of `dm.evt.<shard>.d.<lo>.<hi>`, or the one of `dm.evt.<shard>.a.<userId>`. Only
/// Parley writes there, and what is no id names no session.
fn audience(subject: &str) -> Option<Audience<'_>> {
    let (_shard, about) = subject.strip_prefix("dm.evt.")?.split_once('.')?;
    if let Some(user) = about.strip_prefix("a.") {
        return Some(Audience::One([user]));
    }
    let (lo, hi) = about.strip_prefix("d.")?.split_once('.')?;
    Some(Audience::Both { conversation: about, users: [lo, hi] })
}

/// The message that an event deletes.
fn deletes<'a>(subject: &'a str, event: &Envelope<'_>) -> Option<(&'a str, u64)> {
    if event.r#type != MESSAGE_DELETED {
        return None;
    }
    let (_shard, conversation) = subject.strip_prefix("dm.evt.")?.split_once('.')?;
    let of: OfMessage = serde_json::from_str(event.data?.get()).ok()?;
    Some((conversation, of.conversation_seq))
}

/// Who is told that `by` types in this conversation.
pub fn listeners<'a>(conversation: &'a ConversationId, by: &'a str) -> Option<&'a str> {
    let (lo, hi) = conversation.direct_names()?;
    if lo == by {
        Some(hi)
    } else if hi == by {
        Some(lo)
    } else {
        None
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
