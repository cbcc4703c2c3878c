//! When people were last seen who are not online, as far as memory goes.

use std::collections::{HashMap, VecDeque};

use parley_domain::UserId;

/// Forgets the oldest over a bound.
#[derive(Debug)]
pub(super) struct Recent {
    max: usize,
    /// `None`: the database has nothing of them.
    seen: HashMap<UserId, Option<i64>>,
    order: VecDeque<UserId>,
}

impl Recent {
    pub(super) fn new(max: usize) -> Self {
        Self { max, seen: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, user: &str) -> Option<Option<i64>> {
        self.seen.get(user).copied()
    }

    /// Never moves back.
    pub(super) fn note(&mut self, user: &UserId, at_millis: Option<i64>) {
        if let Some(known) = self.seen.get_mut(user) {
            *known = (*known).max(at_millis);
            return;
        }
        while self.order.len() >= self.max.max(1) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.seen.remove(&oldest);
        }
        self.order.push_back(user.clone());
        self.seen.insert(user.clone(), at_millis);
    }
}
