//! How many files may be on their way at once, and how many of them a person's: nobody is to take
//! the places of all others by being slow.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One person has at most this part of all places.
const SHARE: usize = 8;

/// The places of a gateway; cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    most: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Slot {
    person: String,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

impl Slots {
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// `None` if all places are taken, or all that one person may have.
    pub fn take(&self, person: &str) -> Option<Slot> {
        let mut taken = lock(&self.taken);
        // No more entries than places.
        let all: usize = taken.values().sum();
        let own = taken.get(person).copied().unwrap_or_default();
        if all >= self.most || own >= (self.most / SHARE).max(1) {
            return None;
        }
        taken.insert(person.to_owned(), own + 1);
        Some(Slot { person: person.to_owned(), taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(own) = taken.get_mut(&self.person) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.person);
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_a_share_and_all_together_no_more_than_there_are() {
        let slots = Slots::new(16);
        let mut ann = vec![slots.take("ann").unwrap(), slots.take("ann").unwrap()];
        assert!(slots.take("ann").is_none());
        ann.pop();
        ann.push(slots.take("ann").unwrap());
        let people: Vec<String> = (0..7).map(|n| format!("p{n}")).collect();
        let others: Vec<Slot> =
            people.iter().chain(&people).map(|person| slots.take(person).unwrap()).collect();
        assert!(slots.take("zoe").is_none());
        drop((ann, others));
        assert!(lock(&slots.taken).is_empty());
        // However few there are, everybody may have one.
        let one = Slots::new(1);
        let taken = one.take("ann").unwrap();
        assert!(one.take("bob").is_none());
        drop(taken);
        assert!(one.take("bob").is_some());
    }
}
