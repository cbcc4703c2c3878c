//! Who may see whose presence: the one place that decides.
//!
//! Two people who have talked, and the members of a common group; but never while one of two has
//! blocked the other. Channels make no acquaintances. What people wish of their own
//! visibility is in their settings, which [`Accounts`](crate::accounts::Accounts) knows; both have
//! to agree. Everybody else is told nothing, whether the
//! person is there, is not, or does not exist.
//!
//! What is between two people is known from the log's tail or from the database; who shares a group
//! is asked of the database alone. The tail takes back at once what an event puts in doubt, and an
//! answer counts only if the database knew of that event.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use parley_domain::{ConversationId, UserId};
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

/// What is between two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    Strangers,
    Talked,
    /// One of them, or each, blocks the other.
    Blocked,
}

/// So many pairs are remembered.
const REMEMBERED: usize = 100_000;
/// So many doubts: as many events as the database may be behind.
const DOUBTS: usize = 100_000;

/// The ties that are known, by the conversation that two people would have; forgets the oldest over
/// a bound.
#[derive(Debug)]
pub struct Ties {
    max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<SmolStr, Tie>,
    order: VecDeque<SmolStr>,
    /// Conversations and people of whom an event has put in doubt what was known: its place.
    doubts: HashMap<SmolStr, (u16, u64)>,
    doubted: VecDeque<SmolStr>,
}

impl Default for Ties {
    fn default() -> Self {
        Self { max: REMEMBERED, inner: Mutex::default() }
    }
}

impl Ties {
    /// What is known of two people; `None` if nothing is.
    pub fn get(&self, conversation: &str) -> Option<Tie> {
        lock(&self.inner).known.get(conversation).copied()
    }

    /// A message was sent by one to the other; says whether that is news. `is_free`: one that could
    /// not have been sent while they are blocked.
    pub fn talked(&self, conversation: &str, is_free: bool) -> bool {
        let mut inner = lock(&self.inner);
        match inner.known.get(conversation) {
            Some(Tie::Talked | Tie::Blocked) => false,
            // Whoever has not been told whether they are blocked is so before and after it.
            None if !is_free => true,
            Some(Tie::Strangers) | None => {
                inner.note(conversation, Tie::Talked, self.max);
                true
            }
        }
    }

    /// By the event at this place one blocks the other, or does so no more: then the other way
    /// round may still be so.
    pub fn blocking(&self, conversation: &str, is_blocked: bool, place: (u16, u64)) {
        let mut inner = lock(&self.inner);
        inner.doubt(conversation, place);
        if is_blocked {
            inner.note(conversation, Tie::Blocked, self.max);
        } else {
            inner.known.remove(conversation);
        }
    }

    /// By the event at this place somebody came into a group, or left it.
    pub fn moved(&self, user: &str, place: (u16, u64)) {
        lock(&self.inner).doubt(user, place);
    }

    /// Takes what the database knew of two people at these checkpoints; says whether it knew of all
    /// that has put it in doubt since.
    pub(super) fn learn(
        &self,
        conversation: &ConversationId,
        people: [&UserId; 2],
        tie: Tie,
        checkpoints: &[u64],
    ) -> bool {
        let mut inner = lock(&self.inner);
        let is_known = |(shard, position): &(u16, u64)| {
            checkpoints.get(usize::from(*shard)).is_some_and(|checkpoint| checkpoint >= position)
        };
        let [one, other] = people.map(UserId::as_str);
        let about = [conversation.as_str(), one, other];
        if !about.iter().all(|about| inner.doubts.get(*about).is_none_or(is_known)) {
            return false;
        }
        // What they said meanwhile is newer.
        if inner.known.get(conversation.as_str()).is_none_or(|known| *known == Tie::Strangers) {
            inner.note(conversation.as_str(), tie, self.max);
        }
        true
    }

    /// What is known without asking, of the conversation that two people would have. Nobody has one
    /// with themselves: a person's own devices may see each other.
    pub(super) fn access(&self, conversation: Option<&ConversationId>) -> Access {
        let Some(conversation) = conversation else { return Access::Allowed };
        match self.get(conversation.as_str()) {
            Some(Tie::Talked) => Access::Allowed,
            Some(Tie::Blocked) => Access::Denied,
            // They may share a group.
            Some(Tie::Strangers) | None => Access::Unknown,
        }
    }
}

impl Inner {
    fn note(&mut self, conversation: &str, tie: Tie, max: usize) {
        let name = SmolStr::new(conversation);
        if self.known.insert(name.clone(), tie).is_none() {
            self.order.push_back(name);
        }
        // What was taken back is in the order still; it goes by the same bound.
        while self.order.len() > max {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    fn doubt(&mut self, about: &str, place: (u16, u64)) {
        let name = SmolStr::new(about);
        if self.doubts.insert(name.clone(), place).is_none() {
            self.doubted.push_back(name);
        }
        while self.doubted.len() > DOUBTS {
            if let Some(oldest) = self.doubted.pop_front() {
                self.doubts.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ConversationId {
        ConversationId::parse(text).unwrap()
    }

    fn access(ties: &Ties, conversation: &str) -> Access {
        ties.access(Some(&id(conversation)))
    }

    #[test]
    fn those_who_have_talked_and_oneself_may_be_watched() {
        let ties = Ties::default();
        assert!(ties.talked("d.a.b", true) && !ties.talked("d.a.b", true));
        assert_eq!(access(&ties, "d.a.b"), Access::Allowed);
        assert_eq!(ties.access(None), Access::Allowed);
        assert_eq!(access(&ties, "d.a.c"), Access::Unknown);
        // A service's message passes a block, so it proves nothing.
        assert!(ties.talked("d.a.c", false));
        assert_eq!(access(&ties, "d.a.c"), Access::Unknown);
    }

    #[test]
    fn a_block_counts_at_once_and_its_end_is_asked_for() {
        let ties = Ties::default();
        let people = ["a", "b"].map(|name| UserId::parse(name).unwrap());
        let [a, b] = &people;
        ties.talked("d.a.b", true);
        ties.blocking("d.a.b", true, (1, 7));
        ties.talked("d.a.b", true);
        assert_eq!(access(&ties, "d.a.b"), Access::Denied);
        ties.blocking("d.a.b", false, (1, 9));
        assert_eq!(access(&ties, "d.a.b"), Access::Unknown);
        assert!(!ties.learn(&id("d.a.b"), [a, b], Tie::Blocked, &[20, 8]));
        assert_eq!(access(&ties, "d.a.b"), Access::Unknown);
        assert!(ties.learn(&id("d.a.b"), [a, b], Tie::Talked, &[0, 9]));
        assert_eq!(access(&ties, "d.a.b"), Access::Allowed);
    }

    #[test]
    fn whoever_moves_between_groups_is_in_doubt_until_the_database_knows() {
        let ties = Ties::default();
        let people = ["a", "b"].map(|name| UserId::parse(name).unwrap());
        let [a, b] = &people;
        ties.moved("b", (0, 5));
        assert!(!ties.learn(&id("d.a.b"), [a, b], Tie::Strangers, &[4]));
        assert!(ties.learn(&id("d.a.b"), [a, b], Tie::Strangers, &[5]));
        assert_eq!(access(&ties, "d.a.b"), Access::Unknown);
        // They talk, and an older answer comes.
        assert!(ties.talked("d.a.b", true));
        assert!(ties.learn(&id("d.a.b"), [a, b], Tie::Strangers, &[5]));
        assert_eq!(access(&ties, "d.a.b"), Access::Allowed);
    }

    #[test]
    fn ties_are_bounded() {
        let ties = Ties { max: 2, inner: Mutex::default() };
        for name in ["d.a.b", "d.a.c", "d.a.b", "d.a.d"] {
            ties.talked(name, true);
        }
        assert_eq!(ties.get("d.a.b"), None);
        assert!(ties.get("d.a.c").is_some() && ties.get("d.a.d").is_some());
    }
}
