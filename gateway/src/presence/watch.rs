//! What one session watches, and how it is told: as a state that it looks at, not as a queue, so
//! that nothing piles up for a slow client and nothing is missed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parley_domain::{Timestamp, UserId};
use tokio::sync::Notify;

use super::{Shown, Sight, access::Access};
use crate::realtime::{
    protocol::{self, Frame},
    registry::lock,
};

/// The people that one session watches.
#[derive(Debug)]
pub struct Watch {
    /// Who watches.
    me: UserId,
    wake: Notify,
    people: Mutex<Box<[Person]>>,
    /// Whether it waits for the database already.
    is_asked: AtomicBool,
    /// The database did not answer: what it alone knows is left out.
    may_guess: AtomicBool,
    is_over: AtomicBool,
    /// Grows whenever an event puts in doubt what was known; an answer to an earlier question does
    /// not count then. Changed only while `people` are locked.
    round: AtomicU64,
}

#[derive(Debug)]
struct Person {
    user: UserId,
    access: Access,
    told: Option<Shown>,
    /// There may be something to tell.
    is_due: bool,
}

impl Watch {
    pub(super) fn new(me: UserId) -> Arc<Self> {
        Arc::new(Self {
            me,
            wake: Notify::new(),
            people: Mutex::default(),
            is_asked: AtomicBool::new(false),
            may_guess: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            round: AtomicU64::new(0),
        })
    }

    pub fn me(&self) -> &UserId {
        &self.me
    }

    /// Replaces the set. Everybody's state is told (again), once it is known who may be seen.
    pub(super) fn replace(&self, users: impl IntoIterator<Item = UserId>) {
        let people = users.into_iter().map(|user| Person {
            user,
            access: Access::Unknown,
            told: None,
            is_due: true,
        });
        *lock(&self.people) = people.collect();
        self.wake.notify_one();
    }

    pub(super) fn users(&self) -> Vec<UserId> {
        lock(&self.people).iter().map(|person| person.user.clone()).collect()
    }

    /// Something may have changed with this user.
    pub(super) fn touch(&self, user: &str) {
        let mut people = lock(&self.people);
        for person in people.iter_mut().filter(|person| person.user.as_str() == user) {
            person.is_due = true;
        }
        drop(people);
        self.wake.notify_one();
    }

    pub(super) fn touch_all(&self) {
        for person in lock(&self.people).iter_mut() {
            person.is_due = true;
        }
        self.wake.notify_one();
    }

    /// Which questions are asked now: for [`Self::decide`].
    pub(super) fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }

    /// What the database knew when it was asked in this round.
    pub(super) fn decide(&self, user: &str, access: Access, round: u64) {
        let mut people = lock(&self.people);
        if self.round() != round {
            return;
        }
        for person in people.iter_mut().filter(|person| person.user.as_str() == user) {
            person.access = access;
            person.is_due = true;
        }
        drop(people);
        self.wake.notify_one();
    }

    /// An event has put in doubt what is known of this user, or of all: now it is this. Says
    /// whether there is something to ask.
    pub(super) fn reconsider(
        &self,
        user: Option<&str>,
        access: impl Fn(&UserId) -> Access,
    ) -> bool {
        let mut people = lock(&self.people);
        self.round.fetch_add(1, Ordering::AcqRel);
        let is_meant = |person: &&mut Person| user.is_none_or(|user| person.user.as_str() == user);
        for person in people.iter_mut().filter(is_meant) {
            person.access = access(&person.user);
            person.is_due = true;
        }
        // Also of those whose answers are under way, and do not count any more.
        let is_unknown = people.iter().any(|person| person.access == Access::Unknown);
        drop(people);
        self.wake.notify_one();
        is_unknown
    }

    /// Those of whom something has to be asked: with what is known of their access.
    pub(super) fn unsettled(&self, knows: impl Fn(&UserId) -> bool) -> Vec<(UserId, Access)> {
        let people = lock(&self.people);
        let unsettled = people.iter().filter(|person| match person.access {
            Access::Unknown => true,
            Access::Allowed => !knows(&person.user),
            Access::Denied => false,
        });
        unsettled.map(|person| (person.user.clone(), person.access)).collect()
    }

    /// Says whether nobody else has claimed to ask for this watch.
    pub(super) fn claim(&self) -> bool {
        !self.is_asked.swap(true, Ordering::AcqRel)
    }

    pub(super) fn unclaim(&self) {
        self.is_asked.store(false, Ordering::Release);
    }

    pub(super) fn may_guess(&self) -> bool {
        self.may_guess.load(Ordering::Acquire)
    }

    /// Whether the database answers.
    pub(super) fn guess(&self, may_guess: bool) {
        if self.may_guess.swap(may_guess, Ordering::AcqRel) != may_guess {
            self.wake.notify_one();
        }
    }

    pub(super) fn finish(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// What kept something from being told may be over.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves once there may be something to tell.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Frames for what has changed since the last time. `present`: what may be said of somebody
    /// now; if it is not known yet, there will be a touch once it is. Of somebody who may
    /// be seen no longer, it is told that there is nothing to be seen.
    pub(super) fn take(&self, present: impl Fn(&UserId) -> Sight, mut give: impl FnMut(Frame)) {
        for person in lock(&self.people).iter_mut() {
            if !person.is_due {
                continue;
            }
            let presence = match person.access {
                Access::Unknown => continue,
                Access::Allowed => match present(&person.user) {
                    Sight::Unknown => continue,
                    Sight::Hidden => None,
                    Sight::Seen(presence) => Some(presence),
                },
                Access::Denied => None,
            };
            person.is_due = false;
            if person.told != presence {
                person.told = presence;
                give(frame(&person.user, presence.unwrap_or(Shown::Offline(None))));
            }
        }
    }
}

fn frame(user: &UserId, presence: Shown) -> Frame {
    match presence {
        Shown::Online => protocol::presence(user, true, None),
        Shown::Offline(at) => protocol::presence(user, false, at.map(Timestamp::from_unix_millis)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn told(watch: &Watch, presence: Option<Shown>) -> Vec<String> {
        let mut frames = Vec::new();
        let sight = presence.map_or(Sight::Unknown, Sight::Seen);
        watch.take(|_| sight, |frame| frames.push(frame.to_string()));
        frames
    }

    #[test]
    fn only_a_change_is_told_and_only_to_those_who_may_know() {
        let watch = Watch::new(user("me"));
        watch.replace([user("bob"), user("eve")]);
        let online = Some(Shown::Online);
        assert_eq!(told(&watch, online).len(), 0);
        watch.decide("bob", Access::Allowed, 0);
        watch.decide("eve", Access::Denied, 0);
        assert_eq!(told(&watch, None).len(), 0);
        let frame = r#"{"type":"presence","userId":"bob","state":"online"}"#;
        assert_eq!(told(&watch, online), [frame]);
        watch.touch("bob");
        watch.touch("eve");
        assert_eq!(told(&watch, online).len(), 0, "it flipped and flipped back");
        watch.touch("bob");
        let frame = r#"{"type":"presence","userId":"bob","state":"offline","lastSeenAt":"1970-01-01T00:00:00.007Z"}"#;
        assert_eq!(told(&watch, Some(Shown::Offline(Some(7)))), [frame]);
        // Once they have talked.
        assert!(!watch.reconsider(Some("eve"), |_| Access::Allowed));
        assert_eq!(told(&watch, online).len(), 1);
        // A denial that comes late does not take back what is known already.
        watch.decide("eve", Access::Denied, 0);
        watch.touch("eve");
        assert_eq!(told(&watch, online).len(), 0);
    }

    #[test]
    fn who_may_be_seen_no_longer_is_shown_as_gone_without_a_time() {
        let watch = Watch::new(user("me"));
        watch.replace([user("bob")]);
        watch.decide("bob", Access::Allowed, 0);
        let online = Some(Shown::Online);
        assert_eq!(told(&watch, online).len(), 1);
        // In doubt: nothing is told until it is known.
        assert!(watch.reconsider(None, |_| Access::Unknown));
        assert_eq!(told(&watch, Some(Shown::Offline(Some(7)))).len(), 0);
        watch.decide("bob", Access::Denied, 1);
        let frame = r#"{"type":"presence","userId":"bob","state":"offline"}"#;
        assert_eq!(told(&watch, online), [frame]);
        watch.touch("bob");
        assert_eq!(told(&watch, online).len(), 0);
    }

    #[test]
    fn whoever_hides_is_offline_once_and_never_was_to_those_who_did_not_know() {
        let watch = Watch::new(user("me"));
        watch.replace([user("bob")]);
        watch.decide("bob", Access::Allowed, 0);
        let told = |sight| {
            watch.touch("bob");
            let mut frames = Vec::new();
            watch.take(|_| sight, |frame| frames.push(frame.to_string()));
            frames
        };
        assert_eq!(told(Sight::Hidden).len(), 0);
        assert_eq!(told(Sight::Seen(Shown::Online)).len(), 1);
        let frame = r#"{"type":"presence","userId":"bob","state":"offline"}"#;
        assert_eq!(told(Sight::Hidden), [frame]);
        assert_eq!(told(Sight::Hidden).len(), 0);
        assert_eq!(told(Sight::Seen(Shown::Online)).len(), 1);
    }

    #[test]
    fn only_what_is_not_known_is_asked() {
        let watch = Watch::new(user("me"));
        watch.replace([user("bob"), user("eve")]);
        watch.decide("bob", Access::Allowed, 0);
        let knows = Cell::new(false);
        let unsettled = || watch.unsettled(|_| knows.get()).len();
        assert_eq!(unsettled(), 2);
        knows.set(true);
        assert_eq!(unsettled(), 1);
        watch.decide("eve", Access::Denied, 0);
        assert_eq!(unsettled(), 0);
        assert!(watch.claim() && !watch.claim());
        watch.unclaim();
        assert!(watch.claim());
    }
}
