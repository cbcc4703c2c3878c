//! The recent past of one shard, in memory: what a device that was away for a moment has missed.
//!
//! Bounded in bytes. Each event is kept as the frame that sockets are sent, made once and shared.
//! An index by audience lets a reconnect read its own events only, however many others there are.
//!
//! An event's audience is one or two *keys*: for a direct conversation its two users, for a group
//! or a channel its id (which no userId can equal, as it holds a dot), pulled by each member beside
//! their own, as far as they were one. So an event is kept once, whoever may read it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    ops::ControlFlow,
};

use smol_str::SmolStr;

use super::protocol::Frame;

/// What an entry takes beside its frame: itself, its place in two indexes, the frame's header.
const ENTRY_BYTES: usize = size_of::<Entry>() + 2 * size_of::<u64>() + 64;
/// What a key takes beside its name and places: its slot and its place in the hash table.
const KEY_BYTES: usize = size_of::<Slot>() + 96;

/// Holds everything after [`Ring::floor`] up to [`Ring::head`].
#[derive(Debug)]
pub struct Ring {
    max_bytes: usize,
    bytes: usize,
    floor: u64,
    head: u64,
    entries: VecDeque<Entry>,
    /// How many entries have left the ring: an entry's *number* is this plus its index.
    gone: u64,
    /// Indexes into `slots`.
    keys: HashMap<SmolStr, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    position: u64,
    audience: [Option<u32>; 2],
    frame: Frame,
}

/// How far one stretch was read.
struct Reading<'a> {
    entries: &'a VecDeque<u64>,
    next: usize,
    since: u64,
    from: u64,
    until: u64,
}

/// The entries of one key, by their numbers, ascending.
#[derive(Debug, Default)]
struct Slot {
    name: SmolStr,
    entries: VecDeque<u64>,
}

/// What of a key somebody may read: from one position to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    pub key: &'a str,
    /// Of a group: the version of the event by which the reader came in; 0 if there is none.
    pub since: u64,
    /// 0: from the first on. An event *at* this position is the one by which the reader came in.
    pub from: u64,
    pub until: u64,
}

impl<'a> Stretch<'a> {
    /// All of a key.
    pub fn all(key: &'a str) -> Self {
        Self { key, since: 0, from: 0, until: u64::MAX }
    }
}

/// An event on its way to a reader.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub position: u64,
    pub frame: &'a Frame,
    /// It is the one by which the reader came in.
    pub is_joining: bool,
    /// [`Stretch::since`].
    pub since: u64,
}

/// What a reader was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// Everything up to the ring's head, which is this.
    All { head: u64 },
    /// Everything up to this position; there is more.
    Part { reached: u64 },
    /// The same, and the reader did not take what comes next.
    Stopped { reached: u64 },
    /// The reader stands before the ring's floor: it may have missed something.
    Lost,
}

impl Ring {
    /// An empty ring that goes on behind `after`.
    pub fn new(after: u64, max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            floor: after,
            head: after,
            entries: VecDeque::new(),
            gone: 0,
            keys: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Everything after this position is held.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// The position of the last event that came in.
    pub fn head(&self) -> u64 {
        self.head
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the next event, in as many copies as there are frames of it, each with its audience;
    /// an event that is known already changes nothing.
    pub fn push<'a, A: IntoIterator<Item = &'a str>>(
        &mut self,
        position: u64,
        copies: impl IntoIterator<Item = (A, Frame)>,
    ) {
        if position <= self.head {
            return;
        }
        for (audience, frame) in copies {
            let number = self.gone.saturating_add(self.entries.len() as u64);
            let mut audience = audience.into_iter();
            let audience = [audience.next(), audience.next()].map(|key| {
                let slot = self.slot(key?);
                self.slots.get_mut(slot as usize)?.entries.push_back(number);
                Some(slot)
            });
            self.bytes += ENTRY_BYTES + frame.len();
            self.entries.push_back(Entry { position, audience, frame });
        }
        self.head = position;
        while self.bytes > self.max_bytes && self.evict() {}
    }

    /// Passes a position that held nothing for anybody.
    pub fn skip(&mut self, position: u64) {
        self.head = self.head.max(position);
    }

    /// Lets everything up to this position go, also what is still to come.
    pub fn forget(&mut self, through: u64) {
        while self.entries.front().is_some_and(|entry| entry.position <= through) {
            self.evict();
        }
        self.floor = self.floor.max(through);
    }

    /// Puts other frames in the place of those of `key` for which there is one.
    pub fn rewrite(&mut self, key: &str, other: impl Fn(&Frame) -> Option<Frame>) {
        let Some(slot) = self.keys.get(key).and_then(|slot| self.slots.get(*slot as usize)) else {
            return;
        };
        for number in &slot.entries {
            let index = number.checked_sub(self.gone).and_then(|index| usize::try_from(index).ok());
            let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) else { continue };
            if let Some(frame) = other(&entry.frame) {
                self.bytes = (self.bytes + frame.len()).saturating_sub(entry.frame.len());
                entry.frame = frame;
            }
        }
    }

    /// Gives what the stretches hold after `after`, in order, to `take`, which may stop before any
    /// of it: at least one frame if there is one, then as many as fit into `max_bytes`. The
    /// stretches of one key do not overlap.
    pub fn pull<'a>(
        &self,
        stretches: impl IntoIterator<Item = Stretch<'a>>,
        after: u64,
        max_bytes: usize,
        mut take: impl FnMut(Given<'_>) -> ControlFlow<()>,
    ) -> Pulled {
        if after < self.floor {
            return Pulled::Lost;
        }
        let mut heads = BinaryHeap::new();
        let mut readings: Vec<Reading<'_>> = Vec::new();
        for stretch in stretches {
            let Some(mut reading) = self.reading(stretch, after) else { continue };
            if let Some(number) = self.next_of(&mut reading) {
                heads.push(Reverse((number, readings.len())));
                readings.push(reading);
            }
        }
        let (mut given, mut reached) = (0_usize, None);
        while let Some(Reverse((number, index))) = heads.pop() {
            let (Some(entry), Some(reading)) = (self.entry(number), readings.get_mut(index)) else {
                continue;
            };
            given = given.saturating_add(entry.frame.len());
            if let Some(reached) = reached
                && given > max_bytes
            {
                return Pulled::Part { reached };
            }
            let Entry { position, frame, .. } = entry;
            let (is_joining, since) = (*position == reading.from, reading.since);
            if take(Given { position: *position, frame, is_joining, since }).is_break() {
                return Pulled::Stopped { reached: position.saturating_sub(1) };
            }
            reached = Some(*position);
            if let Some(number) = self.next_of(reading) {
                heads.push(Reverse((number, index)));
            }
        }
        Pulled::All { head: self.head.max(after) }
    }

    /// A key's entries behind `after`, if there is such a key.
    fn reading(&self, stretch: Stretch<'_>, after: u64) -> Option<Reading<'_>> {
        let slot = self.slots.get(*self.keys.get(stretch.key)? as usize)?;
        let position = |number: u64| self.entry(number).map_or(0, |entry| entry.position);
        let behind = after.max(stretch.from.saturating_sub(1));
        let next = slot.entries.partition_point(|number| position(*number) <= behind);
        let Stretch { since, from, until, .. } = stretch;
        Some(Reading { entries: &slot.entries, next, since, from, until })
    }

    fn next_of(&self, reading: &mut Reading<'_>) -> Option<u64> {
        let number = *reading.entries.get(reading.next)?;
        reading.next += 1;
        (self.entry(number)?.position <= reading.until).then_some(number)
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let index = usize::try_from(number.checked_sub(self.gone)?).ok()?;
        self.entries.get(index)
    }

    fn slot(&mut self, key: &str) -> u32 {
        if let Some(slot) = self.keys.get(key) {
            return *slot;
        }
        let name = SmolStr::new(key);
        self.bytes += KEY_BYTES + name.len();
        let new = Slot { name: name.clone(), entries: VecDeque::new() };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot::default());
                // A ring of 4 billion keys would take half a terabyte.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = new;
        }
        self.keys.insert(name, slot);
        slot
    }

    /// Lets the oldest entry go; says whether there was one.
    fn evict(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(ENTRY_BYTES + entry.frame.len());
        self.floor = self.floor.max(entry.position);
        self.gone += 1;
        for index in entry.audience.into_iter().flatten() {
            let Some(slot) = self.slots.get_mut(index as usize) else { continue };
            // It is the oldest entry of each of its keys, too.
            slot.entries.pop_front();
            if slot.entries.is_empty() {
                let Slot { name, .. } = std::mem::take(slot);
                self.bytes = self.bytes.saturating_sub(KEY_BYTES + name.len());
                self.keys.remove(&name);
                self.free.push(index);
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
