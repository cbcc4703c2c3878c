//! Who is, and lately was, a member of the groups and channels of one shard that had an event
//! lately: in memory, and kept right by the events of the very tail that is routed by it.
//!
//! Pure. A membership is a *span* of log positions: from the event that began it to the event that
//! ended it, both included, so that whoever is removed is told so and nothing after. A group is
//! brought here by its first event that is routed ([`super::loading`] finds out who was in it just
//! before), and stays as long as the ring holds an event of it at least; so everybody who may read
//! something in the ring has their spans here.

mod change;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use smol_str::SmolStr;

pub use self::change::Change;
use super::ring::Stretch;

/// What a group takes beside its members: its names, its places in two indexes.
const GROUP_BYTES: usize = size_of::<Group>() + 3 * size_of::<SmolStr>() + 160;
/// What a person takes beside their spans.
const PERSON_BYTES: usize = size_of::<(SmolStr, Vec<Span>)>() + 48;
/// What a membership takes: a span, the person's name at the group, and perhaps among those here.
const SPAN_BYTES: usize = size_of::<Span>() + 2 * size_of::<SmolStr>() + 16;

/// See the module.
#[derive(Debug, Default)]
pub struct Members {
    groups: HashMap<SmolStr, Group>,
    people: HashMap<SmolStr, Vec<Span>>,
    /// The groups by the position of their last event: the one that is let go first comes first.
    order: BTreeSet<(u64, SmolStr)>,
    /// Memberships that are over: when, whose, where.
    ended: VecDeque<(u64, SmolStr, SmolStr)>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Group {
    present: HashSet<SmolStr>,
    /// Those of them who are connected here; shared with whoever is delivering to them.
    here: Arc<HashSet<SmolStr>>,
    /// Of its last event here; 0 if it had none.
    last: u64,
}

#[derive(Debug)]
struct Span {
    group: SmolStr,
    /// Version of the event that began it; 0 if they saw the group begin.
    since: u64,
    from: u64,
    until: u64,
}

/// Whom an event of a group is for, of those who are connected here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    pub users: Arc<HashSet<SmolStr>>,
    /// The one of them who came in by this very event.
    pub joined: Option<SmolStr>,
    /// Those of them who came after the message that it edits.
    pub unaware: Vec<SmolStr>,
}

impl Members {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn knows(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Whether somebody is a member now; `None` if the group is not here.
    pub fn is_member(&self, group: &str, user: &str) -> Option<bool> {
        Some(self.groups.get(group)?.present.contains(user))
    }

    /// The members who are connected here; `None` if the group is not here.
    pub fn here(&self, group: &str) -> Option<Arc<HashSet<SmolStr>>> {
        Some(Arc::clone(&self.groups.get(group)?.here))
    }

    /// Brings a group with those who are members now, each with the version of the event that made
    /// them one, before any event of it is in the ring.
    pub fn insert(
        &mut self,
        group: &str,
        members: impl IntoIterator<Item = (SmolStr, u64)>,
        is_here: impl Fn(&str) -> bool,
    ) {
        if self.knows(group) {
            return;
        }
        let name = SmolStr::new(group);
        self.bytes += GROUP_BYTES + name.len();
        self.order.insert((0, name.clone()));
        self.groups.insert(name.clone(), Group::default());
        for (user, since) in members {
            self.enter(&name, &user, (0, since), &is_here);
        }
    }

    /// Takes the next event of a group that is here, and says whom it is for.
    pub fn apply(
        &mut self,
        group: &str,
        // Where it is in the log, and its number in the group.
        (position, version): (u64, u64),
        change: Option<&Change>,
        is_here: impl Fn(&str) -> bool,
    ) -> Recipients {
        let Some((name, last)) =
            self.groups.get_key_value(group).map(|(name, group)| (name.clone(), group.last))
        else {
            return Recipients::default();
        };
        self.order.remove(&(last, name.clone()));
        self.order.insert((position, name.clone()));
        if let Some(group) = self.groups.get_mut(group) {
            group.last = position;
        }
        match change {
            None => Recipients { users: self.here_of(group), ..Recipients::default() },
            Some(Change::Created(users)) => {
                // Nothing came before it, so it brings nobody in the middle of anything.
                for user in users {
                    self.enter(&name, user, (0, 0), &is_here);
                }
                Recipients { users: self.here_of(group), ..Recipients::default() }
            }
            Some(Change::Joined(user)) => {
                let is_new = self.enter(&name, user, (position, version), &is_here);
                let users = self.here_of(group);
                let joined = (is_new && users.contains(user)).then(|| user.clone());
                Recipients { users, joined, ..Recipients::default() }
            }
            Some(Change::Left(user)) => {
                let users = self.here_of(group);
                self.leave(&name, user, position);
                Recipients { users, ..Recipients::default() }
            }
        }
    }

    /// Those of the members here who came with the event of this version, or later.
    pub fn here_since(&self, group: &str, version: u64) -> Vec<SmolStr> {
        let came = |user: &SmolStr| {
            let mut spans = self.people.get(user).into_iter().flatten();
            spans.any(|span| span.is_open() && span.group == group && span.since >= version)
        };
        self.here_of(group).iter().filter(|user| came(user)).cloned().collect()
    }

    /// What somebody may read of the groups.
    pub fn stretches<'a>(&'a self, user: &str) -> impl Iterator<Item = Stretch<'a>> {
        self.people.get(user).into_iter().flatten().map(|span| Stretch {
            key: &span.group,
            since: span.since,
            from: span.from,
            until: span.until,
        })
    }

    /// Somebody is connected here from now on.
    pub fn arrived(&mut self, user: &str) {
        for span in self.people.get(user).into_iter().flatten().filter(|span| span.is_open()) {
            if let Some(group) = self.groups.get_mut(&span.group)
                && !group.here.contains(user)
            {
                Arc::make_mut(&mut group.here).insert(SmolStr::new(user));
            }
        }
    }

    /// Somebody is not connected here any more.
    pub fn gone(&mut self, user: &str) {
        for span in self.people.get(user).into_iter().flatten() {
            if let Some(group) = self.groups.get_mut(&span.group)
                && group.here.contains(user)
            {
                Arc::make_mut(&mut group.here).remove(user);
            }
        }
    }

    /// Forgets memberships that ended at or before this position, of which nobody reads any more.
    pub fn forget_ended(&mut self, through: u64) {
        while let Some((until, ..)) = self.ended.front()
            && *until <= through
            && let Some((until, user, group)) = self.ended.pop_front()
        {
            self.remove_spans(&user, |span| span.until == until && span.group == group);
        }
    }

    /// The position of the last event of the group that would be let go next: the ring must not
    /// hold it any longer.
    pub fn oldest(&self) -> Option<u64> {
        self.order.first().map(|(last, _)| *last)
    }

    /// Lets that group go.
    pub fn evict_oldest(&mut self) {
        let Some((last, name)) = self.order.pop_first() else { return };
        self.forget_ended(last);
        let Some(group) = self.groups.remove(&name) else { return };
        self.bytes = self.bytes.saturating_sub(GROUP_BYTES + name.len());
        for user in &group.present {
            self.remove_spans(user, |span| span.group == name);
        }
    }

    fn here_of(&self, group: &str) -> Arc<HashSet<SmolStr>> {
        self.here(group).unwrap_or_default()
    }

    /// Says whether they were not in already.
    fn enter(
        &mut self,
        group: &SmolStr,
        user: &SmolStr,
        (from, since): (u64, u64),
        is_here: impl Fn(&str) -> bool,
    ) -> bool {
        let Some(known) = self.groups.get_mut(group) else { return false };
        if !known.present.insert(user.clone()) {
            return false;
        }
        if is_here(user) {
            Arc::make_mut(&mut known.here).insert(user.clone());
        }
        let spans = self.people.entry(user.clone()).or_insert_with(|| {
            self.bytes += PERSON_BYTES;
            Vec::with_capacity(1)
        });
        spans.push(Span { group: group.clone(), since, from, until: u64::MAX });
        self.bytes += SPAN_BYTES;
        true
    }

    fn leave(&mut self, group: &SmolStr, user: &SmolStr, until: u64) {
        let Some(known) = self.groups.get_mut(group) else { return };
        if !known.present.remove(user) {
            return;
        }
        if known.here.contains(user) {
            Arc::make_mut(&mut known.here).remove(user);
        }
        let spans = self.people.get_mut(user).into_iter().flatten();
        for span in spans.filter(|span| span.is_open() && span.group == *group) {
            span.until = until;
        }
        self.ended.push_back((until, user.clone(), group.clone()));
    }

    fn remove_spans(&mut self, user: &SmolStr, is_over: impl Fn(&Span) -> bool) {
        let Some(spans) = self.people.get_mut(user) else { return };
        let before = spans.len();
        spans.retain(|span| !is_over(span));
        self.bytes = self.bytes.saturating_sub((before - spans.len()) * SPAN_BYTES);
        if spans.is_empty() {
            self.people.remove(user);
            self.bytes = self.bytes.saturating_sub(PERSON_BYTES);
        }
    }
}

impl Span {
    fn is_open(&self) -> bool {
        self.until == u64::MAX
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
