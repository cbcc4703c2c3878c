//! The recent past of one shard: its events, and who may read them.
//!
//! Architecture invariant: whoever is or was a member of a group while one of the events in the
//! ring came has that span in [`Members`]. So a group is let go only once the ring holds no event
//! of it, and if there is no room for both, the ring gives way.

use std::ops::ControlFlow;

use super::{
    members::{Members, Recipients},
    protocol::Frame,
    redaction::{edit_for, redacted},
    ring::{Given, Pulled, Ring, Stretch},
    routing::{Audience, Routed},
};

/// See the module.
#[derive(Debug)]
pub struct Past {
    ring: Ring,
    members: Members,
    max_member_bytes: usize,
}

impl Past {
    /// Empty; goes on behind `after`.
    pub fn new(after: u64, max_ring_bytes: usize, max_member_bytes: usize) -> Self {
        Self {
            ring: Ring::new(after, max_ring_bytes),
            members: Members::default(),
            max_member_bytes,
        }
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn members(&self) -> &Members {
        &self.members
    }

    pub fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    /// Takes the next event; of a group's, says who of those here it is for.
    pub fn take(
        &mut self,
        position: u64,
        event: &Routed<'_>,
        is_here: impl Fn(&str) -> bool,
    ) -> Recipients {
        if position <= self.ring.head() {
            return Recipients::default();
        }
        let Routed { audience, frame, masked, change, deletes, .. } = event;
        if let Some(seq) = deletes {
            self.redact(audience, *seq);
        }
        match (audience, masked) {
            (Audience::Both { users: [lo, hi], .. }, Some(masked)) => {
                let copy = |user: &str| match user == masked.from {
                    true => masked.frame.clone(),
                    false => frame.clone(),
                };
                self.ring.push(position, [([*lo], copy(lo)), ([*hi], copy(hi))]);
                Recipients::default()
            }
            (Audience::Both { users, .. }, None) => self.put(position, *users, frame),
            (Audience::One(user), _) => self.put(position, [*user], frame),
            (Audience::Members(group), _) => {
                self.put(position, [*group], frame);
                let place = (position, event.version);
                let mut recipients = self.members.apply(group, place, change.as_ref(), is_here);
                if let Some(sent_version) = event.edits {
                    recipients.unaware = self.members.here_since(group, sent_version);
                }
                recipients
            }
        }
    }

    /// What a deleted message said is not read out of the past either.
    fn redact(&mut self, audience: &Audience<'_>, seq: u64) {
        let (conversation, key) = match audience {
            Audience::Both { conversation, users: [lo, _] } => (*conversation, *lo),
            Audience::Members(group) => (*group, *group),
            Audience::One(_) => return,
        };
        self.ring.rewrite(key, |frame| redacted(frame, conversation, seq));
    }

    /// Something up to here was erased from the log before it was seen: what is held is not whole.
    pub fn forget(&mut self, through: u64) {
        self.ring.forget(through);
        self.members.forget_ended(self.ring.floor());
    }

    fn put<'a>(
        &mut self,
        position: u64,
        keys: impl IntoIterator<Item = &'a str>,
        frame: &Frame,
    ) -> Recipients {
        self.ring.push(position, [(keys, frame.clone())]);
        Recipients::default()
    }

    /// Passes a position that held nothing for anybody.
    pub fn skip(&mut self, position: u64) {
        self.ring.skip(position);
    }

    /// Lets go of what is over the bounds.
    pub fn trim(&mut self) {
        while self.members.bytes() > self.max_member_bytes
            && let Some(oldest) = self.members.oldest()
        {
            self.ring.forget(oldest);
            self.members.evict_oldest();
        }
        self.members.forget_ended(self.ring.floor());
    }

    /// As [`Ring::pull`]: all that this user may read.
    pub fn pull(
        &self,
        user: &str,
        after: u64,
        max_bytes: usize,
        mut take: impl FnMut(Given<'_>) -> ControlFlow<()>,
    ) -> Pulled {
        let take = |given: Given<'_>| match edit_for(given.frame, given.since) {
            Some(frame) => take(Given { frame: &frame, ..given }),
            None => take(given),
        };
        let stretches = std::iter::once(Stretch::all(user)).chain(self.members.stretches(user));
        self.ring.pull(stretches, after, max_bytes, take)
    }
}
