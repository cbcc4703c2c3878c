//! Who may see whose presence: the one place that decides.
//!
//! Those who have a conversation in common; for two people, the one in which at least one message
//! was sent. Everybody else is told nothing, whether the person is there, is not, or does not
//! exist. What people wish of their own visibility is in their settings, which
//! [`Accounts`](crate::accounts::Accounts) knows; both have to agree.

use std::{
    collections::{HashSet, VecDeque},
    sync::Mutex,
};

use parley_domain::ConversationId;
use smol_str::SmolStr;

use crate::realtime::registry::lock;

/// Whether somebody may be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Not asked yet.
    Unknown,
    Allowed,
    /// Nothing in common: nothing is ever told, as if they did not exist.
    Denied,
}

/// So many pairs are remembered.
const REMEMBERED: usize = 100_000;

/// Pairs who have talked, told by the log's tail or by the database: they will have talked for
/// ever. Forgets the oldest over a bound.
#[derive(Debug)]
pub struct Acquainted {
    max: usize,
    inner: Mutex<(HashSet<SmolStr>, VecDeque<SmolStr>)>,
}

impl Default for Acquainted {
    fn default() -> Self {
        Self { max: REMEMBERED, inner: Mutex::default() }
    }
}

impl Acquainted {
    pub(super) fn contains(&self, conversation: &ConversationId) -> bool {
        lock(&self.inner).0.contains(conversation.as_str())
    }

    /// A message was sent in this conversation.
    pub fn insert(&self, conversation: &str) {
        let mut inner = lock(&self.inner);
        let (known, order) = &mut *inner;
        if known.contains(conversation) {
            return;
        }
        let conversation = SmolStr::new(conversation);
        known.insert(conversation.clone());
        order.push_back(conversation);
        if order.len() > self.max
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }

    /// What is known without asking, of the conversation that two people would have. Nobody has one
    /// with themselves: a person's own devices may see each other.
    pub(super) fn access(&self, conversation: Option<&ConversationId>) -> Access {
        match conversation {
            Some(conversation) if !self.contains(conversation) => Access::Unknown,
            Some(_) | None => Access::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ConversationId {
        ConversationId::parse(text).unwrap()
    }

    #[test]
    fn those_who_have_talked_and_oneself_may_be_watched() {
        let known = Acquainted { max: 2, inner: Mutex::default() };
        known.insert("d.a.b");
        assert_eq!(known.access(Some(&id("d.a.b"))), Access::Allowed);
        assert_eq!(known.access(None), Access::Allowed);
        assert_eq!(known.access(Some(&id("d.a.c"))), Access::Unknown);
    }

    #[test]
    fn acquaintances_are_bounded() {
        let known = Acquainted { max: 2, inner: Mutex::default() };
        for name in ["d.a.b", "d.a.c", "d.a.b", "d.a.d"] {
            known.insert(name);
        }
        assert!(!known.contains(&id("d.a.b")));
        assert!(known.contains(&id("d.a.c")) && known.contains(&id("d.a.d")));
    }
}
