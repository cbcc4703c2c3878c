//! What is known of devices: bounded, and never wrong by forgetting.

use std::num::NonZeroUsize;

use lru::LruCache;
use parley_domain::{DeviceId, UserId};

/// A device of a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub user: UserId,
    pub device: DeviceId,
}

impl Key {
    pub fn new(user: &UserId, device: &DeviceId) -> Self {
        Self { user: user.clone(), device: device.clone() }
    }
}

/// What the table says of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Stands,
    Over,
    /// Nothing is known of its device.
    Unknown,
}

/// What is known of a device once the views were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Sessions of registrations up to this version are over.
    pub over_through: u64,
    /// No others are.
    pub is_all: bool,
}

#[derive(Debug)]
struct Known {
    /// Sessions of registrations up to this version are over, and no others.
    over_through: u64,
    /// Shard and position of the event that said so last, if one did.
    place: Option<(u16, u64)>,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    known: LruCache<Key, Known>,
    /// By shard: what was forgotten was known by events up to here.
    floors: Box<[u64]>,
}

impl Table {
    pub fn new(after: &[u64], entries: usize) -> Self {
        let entries = NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        Self { known: LruCache::new(entries), floors: after.into() }
    }

    pub fn verdict(&mut self, key: &Key, registration: u64) -> Verdict {
        match self.known.get(key) {
            None => Verdict::Unknown,
            Some(known) if known.over_through >= registration => Verdict::Over,
            Some(_) => Verdict::Stands,
        }
    }

    /// Notes what an event says, or somebody who has just read the account's newest.
    pub fn note(&mut self, key: &Key, over_through: u64, place: Option<(u16, u64)>) {
        if let Some(known) = self.known.get_mut(key) {
            known.over_through = known.over_through.max(over_through);
            known.place = known.place.max(place);
            return;
        }
        let forgotten = self.known.push(key.clone(), Known { over_through, place });
        if let Some((_, Known { place: Some((shard, position)), .. })) = forgotten
            && let Some(floor) = self.floors.get_mut(usize::from(shard))
        {
            *floor = position.max(*floor);
        }
    }

    /// Notes what the views say at `checkpoint`, unless they are behind what was known here once,
    /// which may be more.
    pub fn learn(&mut self, key: &Key, over_through: u64, (shard, checkpoint): (u16, u64)) -> Told {
        let floor = self.floors.get(usize::from(shard)).copied().unwrap_or_default();
        if checkpoint >= floor || self.known.contains(key) {
            self.note(key, over_through, None);
        }
        match self.known.peek(key) {
            Some(known) => Told { over_through: known.over_through, is_all: true },
            None => Told { over_through, is_all: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> Key {
        let text = format!("u{n}");
        Key { user: UserId::parse(&text).unwrap(), device: DeviceId::parse("d").unwrap() }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Register(u8),
        Unlink(u8),
        Project,
        Ask(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..5_u8).prop_map(Step::Register),
            (0..5_u8).prop_map(Step::Unlink),
            Just(Step::Project),
            (0..5_u8).prop_map(Step::Ask),
        ]
    }

    proptest! {
        /// Against the whole truth: nobody is turned away wrongly, and nobody is let in by a table
        /// that says it knows.
        #[test]
        fn what_it_says_is_true_however_little_it_remembers(
            steps in prop::collection::vec(step(), 0..200), entries in 1..4_usize
        ) {
            let mut table = Table::new(&[0], entries);
            // Version of the last registration, and through which version sessions are over.
            let mut truth = [(0_u64, 0_u64); 5];
            let mut views = truth;
            let (mut position, mut checkpoint) = (0, 0);
            for step in steps {
                match step {
                    Step::Register(n) => {
                        position += 1;
                        truth[usize::from(n)] = (position, position - 1);
                        table.note(&key(n), position - 1, Some((0, position)));
                    }
                    Step::Unlink(n) => {
                        position += 1;
                        truth[usize::from(n)].1 = position;
                        table.note(&key(n), position, Some((0, position)));
                    }
                    Step::Project => (views, checkpoint) = (truth, position),
                    Step::Ask(n) => {
                        let (registration, over_through) = truth[usize::from(n)];
                        let mut verdict = table.verdict(&key(n), registration);
                        if verdict == Verdict::Unknown {
                            let told = views[usize::from(n)].1;
                            table.learn(&key(n), told, (0, checkpoint));
                            verdict = table.verdict(&key(n), registration);
                        }
                        match verdict {
                            Verdict::Stands => prop_assert!(over_through < registration),
                            Verdict::Over => prop_assert!(over_through >= registration),
                            Verdict::Unknown => prop_assert!(checkpoint < position),
                        }
                    }
                }
            }
        }
    }
}
