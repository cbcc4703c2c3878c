//! Every event of the log passes here once: into its shard's ring, then to the sessions of its
//! audience. Memory only; [`super::follow`] feeds it.
//!
//! Architecture invariant: an event is in its ring before anybody is looked up to route it to, and
//! a shard's `routed` position moves only after everything up to it was routed. [`super::feed`]
//! relies on both.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parley_domain::UserId;
use smol_str::SmolStr;
use tokio::sync::Notify;

use super::{
    members::Recipients,
    past::Past,
    protocol::Frame,
    redaction::edit_for,
    registry::{Delivery, Mailbox, Registry, lock},
    routing::{self, Audience, Logged, Masked, NotRouted, Routed, Tie},
    token::{Codec, Positions},
    typing::Wanted,
};
use crate::presence::watchers::Onlookers;

/// What a hub is made with.
#[derive(Debug, Clone, Copy)]
pub struct HubConfig {
    /// Memory for the recent past, over all shards.
    pub ring_bytes: usize,
    /// Memory for who is in the groups of the recent past, over all shards.
    pub member_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Hub {
    codec: Codec,
    shards: Box<[Shard]>,
    registry: Registry,
    onlookers: Onlookers,
    counters: Counters,
    ready: Notify,
    /// Once true, [`Hub::is_ready`] need not look any more.
    was_ready: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) past: Mutex<Past>,
    pub(super) wanted: Wanted,
    /// Everything up to here was routed.
    pub(super) routed: AtomicU64,
    /// The ring's floor, readable without its lock.
    floor: AtomicU64,
    ring_bytes: AtomicU64,
    member_bytes: AtomicU64,
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
    pub member_bytes: u64,
}

/// Messages of a shard's log that were read, and not routed yet.
#[derive(Debug)]
pub struct Batch<'a> {
    shard: u16,
    events: Vec<(u64, Option<Routed<'a>>)>,
    /// The position of the last one.
    last: u64,
}

/// A group whose members have to be known before an event of it is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub group: SmolStr,
    /// They are wanted as they are just before this position.
    pub position: u64,
    /// Of the event there, if it is one of the group.
    pub version: Option<u64>,
}

/// Who was in a group when its first event since came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub group: SmolStr,
    /// Each with the version of the event that made them one.
    pub members: Vec<(SmolStr, u64)>,
}

impl Shard {
    /// Notes what may be read without the lock.
    fn measure(&self, past: &Past) {
        self.floor.store(past.ring().floor(), Ordering::Relaxed);
        self.ring_bytes.store(past.ring().bytes() as u64, Ordering::Relaxed);
        self.member_bytes.store(past.members().bytes() as u64, Ordering::Relaxed);
    }
}

impl Hub {
    /// `after`: for each shard the position behind which its ring begins.
    pub fn new(codec: Codec, after: &[u64], config: HubConfig) -> Self {
        let share = |bytes: usize| bytes / codec.shards().max(1);
        let shards = (0..codec.shards()).map(|shard| {
            let after = after.get(shard).copied().unwrap_or_default();
            Shard {
                past: Mutex::new(Past::new(
                    after,
                    share(config.ring_bytes),
                    share(config.member_bytes),
                )),
                wanted: Wanted::default(),
                routed: AtomicU64::new(after),
                floor: AtomicU64::new(after),
                ring_bytes: AtomicU64::new(0),
                member_bytes: AtomicU64::new(0),
                end: AtomicU64::new(after),
                target: AtomicU64::new(0),
                has_target: AtomicBool::new(false),
            }
        });
        Self {
            codec,
            shards: shards.collect(),
            registry: Registry::default(),
            onlookers: Onlookers::default(),
            counters: Counters::default(),
            ready: Notify::new(),
            was_ready: AtomicBool::new(false),
        }
    }

    pub(super) fn shard(&self, shard: u16) -> Option<&Shard> {
        self.shards.get(usize::from(shard))
    }

    /// How many there are.
    pub fn shards(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who watches whom, and who may.
    pub fn onlookers(&self) -> &Onlookers {
        &self.onlookers
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Something up to here was erased from the log before this gateway has seen it: what the past
    /// holds is not whole. Who knows no more than that is served from the views.
    pub fn forget(&self, shard: u16, through: u64) {
        let Some(state) = self.shards.get(usize::from(shard)) else { return };
        let mut past = lock(&state.past);
        past.forget(through);
        state.measure(&past);
    }

    /// Reads the next messages of a shard's log: copied out of the network buffers and made into
    /// frames before anything is locked.
    pub fn read<'a>(
        &self,
        shard: u16,
        messages: impl IntoIterator<Item = Logged<'a>>,
    ) -> Batch<'a> {
        let mut last = 0;
        let events = messages
            .into_iter()
            .map(|message| {
                last = message.position;
                (message.position, self.routed_of(shard, &message))
            })
            .collect();
        Batch { shard, events, last }
    }

    /// The groups of a batch whose members are not known, each with its first event.
    pub fn unknown(&self, batch: &Batch<'_>) -> Vec<Unknown> {
        let Some(state) = self.shards.get(usize::from(batch.shard)) else { return Vec::new() };
        let mut seen = HashSet::new();
        let groups = batch.events.iter().filter_map(|(position, event)| {
            let event = event.as_ref()?;
            let Audience::Members(group) = event.audience else { return None };
            seen.insert(group).then_some((group, *position, event.version))
        });
        let groups: Vec<_> = groups.collect();
        if groups.is_empty() {
            return Vec::new();
        }
        let past = lock(&state.past);
        let unknown = groups.into_iter().filter(|(group, ..)| !past.members().knows(group));
        unknown
            .map(|(group, position, version)| Unknown {
                group: group.into(),
                position,
                version: Some(version),
            })
            .collect()
    }

    /// Routes a batch, with the members of the groups that were [`Self::unknown`]. Only one task may
    /// do so for a shard, in the log's order.
    pub fn push(&self, batch: Batch<'_>, loaded: Vec<Loaded>) {
        let Some(state) = self.shards.get(usize::from(batch.shard)) else { return };
        let recipients = self.remember(state, &batch.events, loaded);
        let (mut deliveries, mut events) = (0, 0);
        for ((position, event), recipients) in batch.events.into_iter().zip(recipients) {
            let Some(event) = event else { continue };
            let place = (batch.shard, position);
            self.tell(place, &event);
            deliveries += self.deliver(place, event, &recipients);
            events += 1;
        }
        self.counters.events.fetch_add(events, Ordering::Relaxed);
        self.counters.deliveries.fetch_add(deliveries as u64, Ordering::Relaxed);
        self.arrive(state, batch.last);
    }

    /// Puts events into the past; says of each whom among those here it is for, if it is a group's.
    pub(super) fn remember(
        &self,
        state: &Shard,
        events: &[(u64, Option<Routed<'_>>)],
        loaded: Vec<Loaded>,
    ) -> Vec<Recipients> {
        let is_here = |user: &str| self.registry.is_connected(user);
        let mut past = lock(&state.past);
        for Loaded { group, members } in loaded {
            past.members_mut().insert(&group, members, is_here);
        }
        let take = |(position, event): &(u64, Option<Routed<'_>>)| match event {
            Some(event) => past.take(*position, event, is_here),
            None => {
                past.skip(*position);
                Recipients::default()
            }
        };
        let recipients = events.iter().map(take).collect();
        past.trim();
        state.measure(&past);
        recipients
    }

    /// Tells those who watch presence what an event changes for them.
    fn tell(&self, place: (u16, u64), event: &Routed<'_>) {
        match (event.audience, event.tie, &event.change) {
            (Audience::Both { conversation, users }, Some(Tie::Talked { is_free }), _) => {
                self.onlookers.talked(conversation, users, is_free);
            }
            (Audience::Both { conversation, users }, Some(Tie::Blocking { begins }), _) => {
                self.onlookers.blocking(conversation, users, begins, place);
            }
            // Channels make no acquaintances.
            (Audience::Members(group), _, Some(change)) if group.starts_with("g.") => {
                for user in change.users() {
                    self.onlookers.moved(user, place);
                }
            }
            (Audience::Both { .. } | Audience::One(_) | Audience::Members(_), _, _) => {}
        }
    }

    fn deliver(&self, place: (u16, u64), event: Routed<'_>, recipients: &Recipients) -> usize {
        let delivery = |frame: Frame| Delivery { place: Some(place), frame, is_joining: false };
        match event.audience {
            Audience::One(user) => self.registry.deliver(user, &delivery(event.frame)),
            Audience::Both { users, .. } => {
                let frame = delivery(event.frame);
                let masked = event.masked.map(|Masked { from, frame }| (from, delivery(frame)));
                let to = |user: &str| match &masked {
                    Some((from, masked)) if *from == user => self.registry.deliver(user, masked),
                    Some(_) | None => self.registry.deliver(user, &frame),
                };
                users.into_iter().map(to).sum()
            }
            Audience::Members(_) => {
                let unaware = &recipients.unaware;
                let masked =
                    if unaware.is_empty() { None } else { edit_for(&event.frame, u64::MAX) };
                let masked = masked.map(delivery);
                let frame = delivery(event.frame);
                let to = |user: &SmolStr| match &recipients.joined {
                    _ if unaware.contains(user) => {
                        masked.as_ref().map_or(0, |masked| self.registry.deliver(user, masked))
                    }
                    Some(joined) if joined == user => {
                        let joining = Delivery { is_joining: true, ..frame.clone() };
                        self.registry.deliver(user, &joining)
                    }
                    Some(_) | None => self.registry.deliver(user, &frame),
                };
                recipients.users.iter().map(to).sum()
            }
        }
    }

    fn routed_of<'a>(&self, shard: u16, message: &Logged<'a>) -> Option<Routed<'a>> {
        match routing::read(message) {
            Ok(routed) => Some(routed),
            // What a later version adds concerns nobody here yet.
            Err(NotRouted::Unknown) => None,
            Err(NotRouted::Poison) => {
                let position = message.position;
                tracing::warn!(shard, position, "a message of the log is no event: skipped");
                self.counters.poison.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// From now on the session with this mailbox is given what concerns its user.
    pub fn attach(&self, user: &UserId, mailbox: &Arc<Mailbox>) {
        // In this order: who looks for those who are here finds them in one of the two.
        self.registry.register(user, mailbox);
        for shard in &self.shards {
            lock(&shard.past).members_mut().arrived(user.as_str());
        }
    }

    pub fn detach(&self, user: &UserId, mailbox: &Arc<Mailbox>) {
        self.registry.unregister(user, mailbox);
        for shard in &self.shards {
            let mut past = lock(&shard.past);
            // Another session of theirs may have come meanwhile.
            if !self.registry.is_connected(user.as_str()) {
                past.members_mut().gone(user.as_str());
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
        let offered =
            self.registry.offer(user, &Delivery { place: None, frame, is_joining: false });
        self.counters.whispers.fetch_add(offered.taken as u64, Ordering::Relaxed);
        self.counters.whispers_dropped.fetch_add(offered.dropped as u64, Ordering::Relaxed);
    }

    pub(super) fn pasts(&self) -> impl Iterator<Item = &Mutex<Past>> {
        self.shards.iter().map(|shard| &shard.past)
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
            member_bytes: shard.member_bytes.load(Ordering::Relaxed),
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

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
