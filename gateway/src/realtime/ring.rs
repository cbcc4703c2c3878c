//! The recent past of one shard, in memory: what a device that was away for a moment has missed.
//!
//! Bounded in bytes. Each event is kept as the frame that sockets are sent, made once and shared.
//! An index by audience lets a reconnect read its own events only, however many others there are.
//!
//! An event's audience is one or two *keys*: for a direct conversation its two users. A group will
//! be one key, its id (which no userId can equal, as it holds a dot), pulled by each member beside
//! their own.

use std::collections::{HashMap, VecDeque};

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

/// The entries of one key, by their numbers, ascending.
#[derive(Debug, Default)]
struct Slot {
    name: SmolStr,
    entries: VecDeque<u64>,
}

/// What a reader was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// Everything up to the ring's head, which is this.
    All { head: u64 },
    /// Everything up to this position; there is more.
    Part { reached: u64 },
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

    /// Takes the next event; one that is known already changes nothing.
    pub fn push<'a>(
        &mut self,
        position: u64,
        audience: impl IntoIterator<Item = &'a str>,
        frame: Frame,
    ) {
        if position <= self.head {
            return;
        }
        let number = self.gone.saturating_add(self.entries.len() as u64);
        let mut audience = audience.into_iter();
        let audience = [audience.next(), audience.next()].map(|key| {
            let slot = self.slot(key?);
            self.slots.get_mut(slot as usize)?.entries.push_back(number);
            Some(slot)
        });
        self.bytes += ENTRY_BYTES + frame.len();
        self.entries.push_back(Entry { position, audience, frame });
        self.head = position;
        while self.bytes > self.max_bytes && self.evict() {}
    }

    /// Passes a position that held nothing for anybody.
    pub fn skip(&mut self, position: u64) {
        self.head = self.head.max(position);
    }

    /// Lets everything up to here go: what is held of it may not be whole.
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

    /// Gives the frames of `key` after `after`, in order, to `take`: at least one if there is one,
    /// then as many as fit into `max_bytes`.
    pub fn pull(
        &self,
        key: &str,
        after: u64,
        max_bytes: usize,
        mut take: impl FnMut(&Frame),
    ) -> Pulled {
        if after < self.floor {
            return Pulled::Lost;
        }
        let Some(slot) = self.keys.get(key).and_then(|slot| self.slots.get(*slot as usize)) else {
            return Pulled::All { head: self.head.max(after) };
        };
        let position = |number: u64| self.entry(number).map_or(0, |entry| entry.position);
        let first = slot.entries.partition_point(|number| position(*number) <= after);
        let (mut given, mut reached) = (0_usize, None);
        for entry in slot.entries.range(first..).filter_map(|number| self.entry(*number)) {
            given = given.saturating_add(entry.frame.len());
            if let Some(reached) = reached
                && given > max_bytes
            {
                return Pulled::Part { reached };
            }
            take(&entry.frame);
            reached = Some(entry.position);
        }
        Pulled::All { head: self.head.max(after) }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    struct Pushed {
        step: u64,
        audience: Vec<String>,
        size: usize,
    }

    fn pushed() -> impl Strategy<Value = Pushed> {
        (1..4_u64, proptest::collection::btree_set("[a-f]", 0..=2), 0..400_usize).prop_map(
            |(step, audience, size)| Pushed {
                step,
                audience: audience.into_iter().collect(),
                size,
            },
        )
    }

    proptest! {
        /// Against a plain list: what is held is given, whole and in order; what may be missing is
        /// said to be lost.
        #[test]
        fn a_reader_misses_nothing_or_is_told(
            pushes in proptest::collection::vec(pushed(), 0..200),
            start in 0..5_u64,
            afters in proptest::collection::vec((0..600_u64, "[a-g]", 1..2_000_usize), 1..20),
        ) {
            let mut ring = Ring::new(start, 20_000);
            let mut all: Vec<(u64, Vec<String>, String)> = Vec::new();
            let mut position = start;
            for Pushed { step, audience, size } in pushes {
                position += step;
                let frame = format!("{position}:{}", "x".repeat(size));
                ring.push(position, audience.iter().map(String::as_str), frame.clone().into());
                ring.push(position, ["a"], "a double".into());
                all.push((position, audience, frame));
                prop_assert!(ring.bytes() <= 20_000);
            }
            prop_assert_eq!(ring.head(), position);
            for (mut after, key, max_bytes) in afters {
                let expected: Vec<&String> = all
                    .iter()
                    .filter(|(position, audience, _)| *position > after && audience.contains(&key))
                    .map(|(.., frame)| frame)
                    .collect();
                let lossy = all.iter().any(|(position, ..)| *position > after && *position <= ring.floor());
                let mut given: Vec<String> = Vec::new();
                let end = loop {
                    let before = given.len();
                    let pulled = ring.pull(&key, after, max_bytes, |frame| given.push(frame.to_string()));
                    match pulled {
                        Pulled::Part { reached } => {
                            prop_assert!(reached > after);
                            prop_assert!(given.len() > before);
                            after = reached;
                        }
                        end @ (Pulled::All { .. } | Pulled::Lost) => break end,
                    }
                };
                match end {
                    Pulled::Lost => prop_assert!(lossy || after < start),
                    Pulled::All { head } => {
                        prop_assert!(!lossy);
                        prop_assert_eq!(head, ring.head().max(after));
                        prop_assert_eq!(given.iter().collect::<Vec<_>>(), expected);
                    }
                    Pulled::Part { .. } => unreachable!(),
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_lost_to_its_readers() {
        let mut ring = Ring::new(0, 10_000);
        for position in 1..=4 {
            ring.push(position, ["a"], format!("{position}").into());
        }
        ring.forget(2);
        assert_eq!((ring.floor(), ring.len()), (2, 2));
        assert_eq!(ring.pull("a", 1, 100, |_| {}), Pulled::Lost);
        // Also what is still to come.
        ring.forget(6);
        ring.push(5, ["a"], "5".into());
        ring.push(7, ["a"], "7".into());
        let mut given = Vec::new();
        assert_eq!(ring.pull("a", 5, 100, |_| {}), Pulled::Lost);
        let pulled = ring.pull("a", 6, 100, |frame| given.push(frame.to_string()));
        assert_eq!((pulled, given), (Pulled::All { head: 7 }, vec!["7".to_owned()]));
        ring.forget(7);
        assert_eq!((ring.floor(), ring.bytes()), (7, 0));
    }

    #[test]
    fn a_frame_that_is_rewritten_is_another_for_all_its_readers() {
        let mut ring = Ring::new(0, 10_000);
        ring.push(1, ["a", "b"], "secret".into());
        ring.push(2, ["a", "b"], "public".into());
        let before = ring.bytes();
        ring.rewrite("b", |frame| (frame.as_str() == "secret").then(|| "-".into()));
        ring.rewrite("c", |_| Some("x".into()));
        assert_eq!(ring.bytes(), before - 5);
        for key in ["a", "b"] {
            let mut given = Vec::new();
            ring.pull(key, 0, 100, |frame| given.push(frame.to_string()));
            assert_eq!(given, ["-", "public"]);
        }
    }

    #[test]
    fn an_event_larger_than_the_ring_passes_through() {
        let mut ring = Ring::new(0, 1_000);
        ring.push(7, ["a"], "x".repeat(2_000).into());
        assert!(ring.is_empty());
        assert_eq!((ring.floor(), ring.head(), ring.bytes()), (7, 7, 0));
        assert_eq!(ring.pull("a", 6, 100, |_| {}), Pulled::Lost);
        assert_eq!(ring.pull("a", 7, 100, |_| {}), Pulled::All { head: 7 });
        // A reader that is ahead of this gateway's tail has missed nothing.
        assert_eq!(ring.pull("a", 9, 100, |_| {}), Pulled::All { head: 9 });
    }
}
