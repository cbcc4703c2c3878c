//! What one session watches, and how it is told: as a state that it looks at, not as a queue, so
//! that nothing piles up for a slow client and nothing is missed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
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
        })
    }

    pub fn me(&self) -> &UserId {
        &self.me
    }

    /// Replaces the set. Everybody's state is told (again).
    pub(super) fn replace(&self, users: impl IntoIterator<Item = (UserId, Access)>) {
        let people = users.into_iter().map(|(user, access)| Person {
            user,
            access,
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

    /// What is known now; whoever was allowed stays so.
    pub(super) fn decide(&self, user: &str, access: Access) {
        let mut people = lock(&self.people);
        for person in people.iter_mut().filter(|person| person.user.as_str() == user) {
            if person.access != Access::Allowed {
                person.access = access;
            }
            person.is_due = true;
        }
        drop(people);
        self.wake.notify_one();
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

    /// Resolves once there may be something to tell.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Frames for what has changed since the last time. `present`: what may be said of somebody
    /// now; if it is not known yet, there will be a touch once it is. Whoever does not wish to be
    /// seen any more is offline, and when they were there last is not told.
    pub(super) fn take(&self, present: impl Fn(&UserId) -> Sight, mut give: impl FnMut(Frame)) {
        for person in lock(&self.people).iter_mut() {
            if !person.is_due || person.access != Access::Allowed {
                continue;
            }
            let presence = match present(&person.user) {
                Sight::Unknown => continue,
                Sight::Seen(presence) => presence,
                Sight::Hidden if person.told.is_none() => {
                    person.is_due = false;
                    continue;
                }
                Sight::Hidden => Shown::Offline(None),
            };
            person.is_due = false;
            if person.told != Some(presence) {
                person.told = Some(presence);
                give(frame(&person.user, presence));
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
        watch.replace([(user("bob"), Access::Unknown), (user("eve"), Access::Unknown)]);
        let online = Some(Shown::Online);
        assert_eq!(told(&watch, online).len(), 0);
        watch.decide("bob", Access::Allowed);
        watch.decide("eve", Access::Denied);
        assert_eq!(told(&watch, None).len(), 0);
        let frame = r#"{"type":"presence","userId":"bob","state":"online"}"#;
        assert_eq!(told(&watch, online), [frame]);
        watch.touch("bob");
        watch.touch("eve");
        assert_eq!(told(&watch, online).len(), 0, "it flipped and flipped back");
        watch.touch("bob");
        let frame = r#"{"type":"presence","userId":"bob","state":"offline","lastSeenAt":"1970-01-01T00:00:00.007Z"}"#;
        assert_eq!(told(&watch, Some(Shown::Offline(Some(7)))), [frame]);
        // A denial that comes late does not take back what is known already.
        watch.decide("bob", Access::Denied);
        assert_eq!(told(&watch, online).len(), 1);
        // Once they have talked.
        watch.decide("eve", Access::Allowed);
        assert_eq!(told(&watch, online).len(), 1);
    }

    #[test]
    fn whoever_hides_is_offline_once_and_never_was_to_those_who_did_not_know() {
        let watch = Watch::new(user("me"));
        watch.replace([(user("bob"), Access::Allowed)]);
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
        watch.replace([(user("bob"), Access::Allowed), (user("eve"), Access::Unknown)]);
        let knows = Cell::new(false);
        let unsettled = || watch.unsettled(|_| knows.get()).len();
        assert_eq!(unsettled(), 2);
        knows.set(true);
        assert_eq!(unsettled(), 1);
        watch.decide("eve", Access::Denied);
        assert_eq!(unsettled(), 0);
        assert!(watch.claim() && !watch.claim());
        watch.unclaim();
        assert!(watch.claim());
    }
}
