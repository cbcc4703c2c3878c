//! Who is connected here, and the mailbox of each of their sessions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use parley_domain::UserId;
use tokio::sync::Notify;

use super::protocol::Frame;

/// Locks of the registry, so that attaching thousands of sessions does not hold up the routing.
const PARTS: usize = 64;

/// A frame on its way to one session.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Shard and position of an event; `None` for what is not in the log and may be dropped.
    pub place: Option<(u16, u64)>,
    pub frame: Frame,
    /// It is the event by which this user came into the group.
    pub is_joining: bool,
}

/// What the hub has for a session that the session has not taken yet: bounded in bytes.
///
/// It owns no memory while it is empty.
#[derive(Debug)]
pub struct Mailbox {
    max_bytes: usize,
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    deliveries: Vec<Delivery>,
    bytes: usize,
    overflowed: bool,
}

/// The bound of a mailbox was passed: the session has lost events and must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflowed;

impl Mailbox {
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, inner: Mutex::default(), wake: Notify::new() }
    }

    /// Says whether it was taken.
    pub fn push(&self, delivery: Delivery) -> bool {
        let mut inner = lock(&self.inner);
        if inner.overflowed {
            return false;
        }
        let bytes = inner.bytes.saturating_add(size_of::<Delivery>() + delivery.frame.len());
        // What is not in the log gives way early.
        if delivery.place.is_none() && bytes > self.max_bytes / 8 {
            return false;
        }
        if bytes > self.max_bytes {
            *inner = Inner { overflowed: true, ..Inner::default() };
            self.wake.notify_one();
            return false;
        }
        inner.bytes = bytes;
        let first = inner.deliveries.is_empty();
        inner.deliveries.push(delivery);
        drop(inner);
        if first {
            self.wake.notify_one();
        }
        true
    }

    /// Everything that came since the last time, in order.
    pub fn take(&self) -> Result<Vec<Delivery>, Overflowed> {
        let mut inner = lock(&self.inner);
        if inner.overflowed {
            return Err(Overflowed);
        }
        inner.bytes = 0;
        Ok(std::mem::take(&mut inner.deliveries))
    }

    pub fn has_overflowed(&self) -> bool {
        lock(&self.inner).overflowed
    }

    /// Forgets what is in it, and that it overflowed.
    pub fn clear(&self) {
        *lock(&self.inner) = Inner::default();
    }

    /// Resolves once something has come since the last [`Self::take`]; may do so early.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// How many sessions took a frame, and how many had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offered {
    pub taken: usize,
    pub dropped: usize,
}

type Sessions = HashMap<UserId, Vec<Arc<Mailbox>>>;

/// The sessions of this gateway, by user.
#[derive(Debug)]
pub struct Registry {
    parts: Box<[Mutex<Sessions>]>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }
}

impl Registry {
    pub fn register(&self, user: &UserId, mailbox: &Arc<Mailbox>) {
        lock(self.part(user.as_str())).entry(user.clone()).or_default().push(Arc::clone(mailbox));
    }

    pub fn unregister(&self, user: &UserId, mailbox: &Arc<Mailbox>) {
        let mut part = lock(self.part(user.as_str()));
        if let Some(mailboxes) = part.get_mut(user.as_str()) {
            mailboxes.retain(|other| !Arc::ptr_eq(other, mailbox));
            if mailboxes.is_empty() {
                part.remove(user.as_str());
            }
        }
    }

    /// Puts a frame into the mailbox of each of the user's sessions; says into how many.
    pub fn deliver(&self, user: &str, delivery: &Delivery) -> usize {
        self.offer(user, delivery).taken
    }

    /// As [`Self::deliver`], with those that did not take it.
    pub fn offer(&self, user: &str, delivery: &Delivery) -> Offered {
        let part = lock(self.part(user));
        let Some(mailboxes) = part.get(user) else { return Offered::default() };
        let taken = mailboxes.iter().filter(|mailbox| mailbox.push((*delivery).clone())).count();
        Offered { taken, dropped: mailboxes.len() - taken }
    }

    pub fn is_connected(&self, user: &str) -> bool {
        lock(self.part(user)).contains_key(user)
    }

    fn part(&self, user: &str) -> &Mutex<Sessions> {
        let hash = user
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        // `parts` is never empty, and the remainder is below its length.
        &self.parts[hash as usize % self.parts.len()]
    }
}

/// Nothing here is left half-done by a panic, so a poisoned lock is as good as another.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: u64, size: usize) -> Delivery {
        Delivery { place: Some((0, position)), frame: "x".repeat(size).into(), is_joining: false }
    }

    #[test]
    fn every_tab_of_a_user_is_reached_until_it_goes() {
        let registry = Registry::default();
        let user = UserId::parse("alice").unwrap();
        let tabs: Vec<_> = (0..3).map(|_| Arc::new(Mailbox::new(1_000))).collect();
        for tab in &tabs {
            registry.register(&user, tab);
        }
        assert_eq!(registry.deliver("alice", &event(1, 10)), 3);
        assert_eq!(registry.deliver("bob", &event(2, 10)), 0);
        registry.unregister(&user, &tabs[1]);
        assert_eq!(registry.deliver("alice", &event(3, 10)), 2);
        assert_eq!(tabs[1].take().unwrap().len(), 1);
        assert_eq!(tabs[0].take().unwrap().len(), 2);
        registry.unregister(&user, &tabs[0]);
        registry.unregister(&user, &tabs[2]);
        assert!(!registry.is_connected("alice"));
    }

    #[test]
    fn a_full_mailbox_says_so_and_holds_nothing() {
        let mailbox = Mailbox::new(1_000);
        assert!(mailbox.push(event(1, 500)));
        // What may be dropped is dropped first, without harm.
        assert!(!mailbox.push(Delivery { place: None, frame: "typing".into(), is_joining: false }));
        assert!(!mailbox.push(event(2, 500)));
        assert!(!mailbox.push(event(3, 1)));
        assert_eq!(mailbox.take().err(), Some(Overflowed));
        mailbox.clear();
        assert!(mailbox.push(event(4, 1)));
        assert_eq!(mailbox.take().unwrap().len(), 1);
    }

    #[test]
    fn under_load_typing_is_dropped_first_and_events_are_not() {
        let registry = Registry::default();
        let user = UserId::parse("alice").unwrap();
        let (slow, fast) = (Arc::new(Mailbox::new(8_000)), Arc::new(Mailbox::new(8_000)));
        registry.register(&user, &slow);
        registry.register(&user, &fast);
        for position in 1..=4 {
            assert_eq!(registry.deliver("alice", &event(position, 400)), 2);
        }
        fast.take().unwrap();
        let typing = Delivery { place: None, frame: "typing".into(), is_joining: false };
        assert_eq!(registry.offer("alice", &typing), Offered { taken: 1, dropped: 1 });
        assert_eq!(registry.deliver("alice", &event(5, 400)), 2);
        assert_eq!((slow.take().unwrap().len(), fast.take().unwrap().len()), (5, 2));
        assert_eq!(registry.offer("alice", &typing), Offered { taken: 2, dropped: 0 });
    }
}
