//! Which sessions watch whom.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use parley_domain::{ConversationId, UserId};
use smol_str::SmolStr;
use tokio::sync::Notify;

use super::{access::Access, watch::Watch};
use crate::realtime::registry::lock;

/// Sessions by the people that they watch.
#[derive(Debug, Default)]
pub struct Watchers {
    by_user: Mutex<HashMap<UserId, Vec<Arc<Watch>>>>,
    sessions: AtomicUsize,
}

impl Watchers {
    /// How many sessions watch somebody.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, watch: &Arc<Watch>, users: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user in users {
            by_user.entry(user.clone()).or_default().push(Arc::clone(watch));
        }
    }

    pub(super) fn remove(&self, watch: &Arc<Watch>, users: &[UserId]) {
        let mut by_user = lock(&self.by_user);
        for user in users {
            if let Some(watches) = by_user.get_mut(user) {
                watches.retain(|other| !Arc::ptr_eq(other, watch));
                if watches.is_empty() {
                    by_user.remove(user);
                }
            }
        }
    }

    pub(super) fn touch(&self, user: &str) {
        if let Some(watches) = lock(&self.by_user).get(user) {
            for watch in watches {
                watch.touch(user);
            }
        }
    }

    pub(super) fn touch_all(&self) {
        for watches in lock(&self.by_user).values() {
            for watch in watches {
                watch.touch_all();
            }
        }
    }
}

/// Sessions that watch somebody whom they have never talked with: the log's tail tells when they
/// do.
#[derive(Debug, Default)]
pub struct Strangers {
    waiting: Mutex<HashMap<SmolStr, Vec<Arc<Watch>>>>,
    /// Readable without the lock: nearly always none.
    count: AtomicUsize,
}

impl Strangers {
    pub(super) fn add(&self, conversation: &ConversationId, watch: &Arc<Watch>) {
        let mut waiting = lock(&self.waiting);
        waiting.entry(conversation.as_str().into()).or_default().push(Arc::clone(watch));
        self.count.store(waiting.len(), Ordering::Release);
    }

    pub(super) fn remove(&self, conversation: &ConversationId, watch: &Arc<Watch>) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut waiting = lock(&self.waiting);
        if let Some(watches) = waiting.get_mut(conversation.as_str()) {
            watches.retain(|other| !Arc::ptr_eq(other, watch));
            if watches.is_empty() {
                waiting.remove(conversation.as_str());
            }
        }
        self.count.store(waiting.len(), Ordering::Release);
    }

    /// A message was sent in the conversation of these two.
    pub fn talked(&self, conversation: &str, [lo, hi]: [&str; 2]) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let Some(watches) = waiting.remove(conversation) else { return };
        self.count.store(waiting.len(), Ordering::Release);
        drop(waiting);
        for watch in watches {
            let other = if watch.me().as_str() == lo { hi } else { lo };
            watch.decide(other, Access::Allowed);
        }
    }
}

/// Sessions that wait for the database: each is in it once, so sessions bound it.
#[derive(Debug, Default)]
pub struct Queue {
    watches: Mutex<VecDeque<Arc<Watch>>>,
    wake: Notify,
}

impl Queue {
    pub(super) fn push(&self, watch: &Arc<Watch>) {
        if watch.claim() {
            lock(&self.watches).push_back(Arc::clone(watch));
            self.wake.notify_one();
        }
    }

    /// Waits for the first, and takes at most `max`.
    pub(super) async fn take(&self, max: usize) -> Vec<Arc<Watch>> {
        loop {
            let taken: Vec<_> = {
                let mut watches = lock(&self.watches);
                let count = watches.len().min(max);
                watches.drain(..count).collect()
            };
            if !taken.is_empty() {
                return taken;
            }
            self.wake.notified().await;
        }
    }

    pub fn len(&self) -> usize {
        lock(&self.watches).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Shown, Sight},
        *,
    };

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn id(text: &str) -> ConversationId {
        ConversationId::parse(text).unwrap()
    }

    #[test]
    fn a_stranger_is_one_until_the_first_message() {
        let strangers = Strangers::default();
        let watch = Watch::new(user("bob"));
        watch.replace([(user("eve"), Access::Denied)]);
        strangers.add(&id("d.bob.eve"), &watch);
        let taken = || {
            let mut frames = 0;
            watch.take(|_| Sight::Seen(Shown::Online), |_| frames += 1);
            frames
        };
        strangers.talked("d.bob.eva", ["bob", "eva"]);
        assert_eq!(taken(), 0);
        strangers.talked("d.bob.eve", ["bob", "eve"]);
        assert_eq!(taken(), 1);
        assert_eq!(strangers.count.load(Ordering::Relaxed), 0);
        strangers.add(&id("d.bob.zoe"), &watch);
        strangers.remove(&id("d.bob.zoe"), &watch);
        assert!(lock(&strangers.waiting).is_empty());
    }

    #[test]
    fn watchers_of_a_user_are_reached_until_they_stop() {
        let watchers = Watchers::default();
        let watch = Watch::new(user("bob"));
        watchers.add(&watch, &[user("eve"), user("zoe")]);
        watchers.touch("eve");
        watchers.touch("nobody");
        watchers.remove(&watch, &[user("eve"), user("zoe")]);
        assert!(lock(&watchers.by_user).is_empty());
    }

    #[tokio::test]
    async fn a_session_waits_once_for_the_database() {
        let queue = Queue::default();
        let watch = Watch::new(user("bob"));
        queue.push(&watch);
        queue.push(&watch);
        assert_eq!(queue.take(8).await.len(), 1);
        assert!(queue.is_empty());
        watch.unclaim();
        queue.push(&watch);
        assert_eq!(queue.len(), 1);
    }
}
