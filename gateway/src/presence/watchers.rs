//! Which sessions watch whom, and what the log's tail changes for them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use parley_domain::{ConversationId, UserId};
use smol_str::SmolStr;
use tokio::sync::Notify;

use super::{access::Ties, watch::Watch};
use crate::realtime::registry::lock;

/// Pairs of whom it is asked for the sake of who types; more are asked for by the next time.
const MAX_PAIRS: usize = 1_000;

/// What the hub and presence share: who watches whom, and who may.
#[derive(Debug, Default)]
pub struct Onlookers {
    pub ties: Ties,
    pub watchers: Watchers,
    pub queue: Queue,
    /// Something was found out that somebody who types may wait for.
    pub learned: Notify,
}

impl Onlookers {
    /// A message was sent between two people; `is_free`: not while one blocks the other.
    pub fn talked(&self, conversation: &str, [lo, hi]: [&str; 2], is_free: bool) {
        if self.ties.talked(conversation, is_free) {
            self.reconsider_pair(lo, hi);
        }
    }

    /// One of two blocks the other, or does so no more, by the event at this place.
    pub fn blocking(
        &self,
        conversation: &str,
        [lo, hi]: [&str; 2],
        is_blocked: bool,
        place: (u16, u64),
    ) {
        self.ties.blocking(conversation, is_blocked, place);
        self.reconsider_pair(lo, hi);
    }

    /// Somebody came into a group or left it, by the event at this place.
    pub fn moved(&self, user: &str, place: (u16, u64)) {
        self.ties.moved(user, place);
        for watch in self.watchers.of(user) {
            self.reconsider(&watch, Some(user));
        }
        for watch in self.watchers.by(user) {
            self.reconsider(&watch, None);
        }
    }

    fn reconsider_pair(&self, lo: &str, hi: &str) {
        for (me, user) in [(lo, hi), (hi, lo)] {
            for watch in self.watchers.by(me) {
                self.reconsider(&watch, Some(user));
            }
        }
    }

    /// What is known of whom a session watches, or of one of them, is what the ties say.
    pub(super) fn reconsider(&self, watch: &Arc<Watch>, user: Option<&str>) {
        let access = |user: &UserId| {
            self.ties.access(ConversationId::direct(watch.me(), user).ok().as_ref())
        };
        if watch.reconsider(user, access) {
            self.queue.push(watch);
        }
    }
}

/// Sessions that watch somebody, by whom they watch and by whose they are.
#[derive(Debug, Default)]
pub struct Watchers {
    of: Mutex<HashMap<UserId, Vec<Arc<Watch>>>>,
    by: Mutex<HashMap<UserId, Vec<Arc<Watch>>>>,
    /// Readable without the locks: often none.
    sessions: AtomicUsize,
}

impl Watchers {
    /// How many sessions watch somebody.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Acquire)
    }

    pub(super) fn opened(&self, watch: &Arc<Watch>) {
        add(&self.by, watch, [watch.me()]);
        self.sessions.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn closed(&self, watch: &Arc<Watch>) {
        self.sessions.fetch_sub(1, Ordering::AcqRel);
        remove(&self.by, watch, [watch.me()]);
    }

    pub(super) fn add(&self, watch: &Arc<Watch>, users: &[UserId]) {
        add(&self.of, watch, users);
    }

    pub(super) fn remove(&self, watch: &Arc<Watch>, users: &[UserId]) {
        remove(&self.of, watch, users);
    }

    pub(super) fn touch(&self, user: &str) {
        for watch in self.of(user) {
            watch.touch(user);
        }
    }

    pub(super) fn touch_all(&self) {
        for watches in lock(&self.by).values() {
            for watch in watches {
                watch.touch_all();
            }
        }
    }

    /// The sessions that watch this user.
    fn of(&self, user: &str) -> Vec<Arc<Watch>> {
        self.find(&self.of, user)
    }

    /// Those of this user's sessions that watch somebody.
    fn by(&self, user: &str) -> Vec<Arc<Watch>> {
        self.find(&self.by, user)
    }

    fn find(&self, index: &Mutex<HashMap<UserId, Vec<Arc<Watch>>>>, user: &str) -> Vec<Arc<Watch>> {
        if self.sessions() == 0 {
            return Vec::new();
        }
        lock(index).get(user).cloned().unwrap_or_default()
    }
}

fn add<'a>(
    index: &Mutex<HashMap<UserId, Vec<Arc<Watch>>>>,
    watch: &Arc<Watch>,
    users: impl IntoIterator<Item = &'a UserId>,
) {
    let mut index = lock(index);
    for user in users {
        index.entry(user.clone()).or_default().push(Arc::clone(watch));
    }
}

fn remove<'a>(
    index: &Mutex<HashMap<UserId, Vec<Arc<Watch>>>>,
    watch: &Arc<Watch>,
    users: impl IntoIterator<Item = &'a UserId>,
) {
    let mut index = lock(index);
    for user in users {
        if let Some(watches) = index.get_mut(user) {
            watches.retain(|other| !Arc::ptr_eq(other, watch));
            if watches.is_empty() {
                index.remove(user);
            }
        }
    }
}

/// What waits for the database: sessions, each once, so that sessions bound it; and pairs of people
/// of whom it is not known whether one blocks the other.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    watches: VecDeque<Arc<Watch>>,
    pairs: HashSet<SmolStr>,
}

impl Queue {
    pub(super) fn push(&self, watch: &Arc<Watch>) {
        if watch.claim() {
            lock(&self.inner).watches.push_back(Arc::clone(watch));
            self.wake.notify_one();
        }
    }

    /// Has it asked what is between the two people of a direct conversation.
    pub fn want(&self, conversation: &ConversationId) {
        let mut inner = lock(&self.inner);
        if inner.pairs.len() < MAX_PAIRS && inner.pairs.insert(conversation.as_str().into()) {
            self.wake.notify_one();
        }
    }

    /// Waits for the first, and takes at most `max` sessions, and the pairs.
    pub(super) async fn take(&self, max: usize) -> (Vec<Arc<Watch>>, Vec<ConversationId>) {
        loop {
            {
                let mut inner = lock(&self.inner);
                let count = inner.watches.len().min(max);
                let watches: Vec<_> = inner.watches.drain(..count).collect();
                let pairs = std::mem::take(&mut inner.pairs);
                if !watches.is_empty() || !pairs.is_empty() {
                    let pairs = pairs.iter().filter_map(|pair| ConversationId::parse(pair).ok());
                    return (watches, pairs.collect());
                }
            }
            self.wake.notified().await;
        }
    }

    /// How many sessions wait.
    pub fn len(&self) -> usize {
        lock(&self.inner).watches.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Shown, Sight, access::Access},
        *,
    };

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn shown(watch: &Watch) -> usize {
        let mut frames = 0;
        watch.take(|_| Sight::Seen(Shown::Online), |_| frames += 1);
        frames
    }

    #[tokio::test]
    async fn a_stranger_is_one_until_the_first_message() {
        let onlookers = Onlookers::default();
        let watch = Watch::new(user("bob"));
        onlookers.watchers.opened(&watch);
        watch.replace([user("eve")]);
        onlookers.watchers.add(&watch, &[user("eve")]);
        watch.decide("eve", Access::Denied, watch.round());
        onlookers.talked("d.bob.eva", ["bob", "eva"], true);
        assert_eq!(shown(&watch), 0);
        onlookers.talked("d.bob.eve", ["bob", "eve"], true);
        assert_eq!(shown(&watch), 1);
        onlookers.blocking("d.bob.eve", ["bob", "eve"], true, (0, 1));
        // It is told once that there is nothing to be seen any more.
        assert_eq!((shown(&watch), shown(&watch)), (1, 0));
        onlookers.watchers.remove(&watch, &[user("eve")]);
        onlookers.watchers.closed(&watch);
        assert!(lock(&onlookers.watchers.of).is_empty() && lock(&onlookers.watchers.by).is_empty());
    }

    #[tokio::test]
    async fn who_leaves_a_group_is_asked_about_again() {
        let onlookers = Onlookers::default();
        let (watch, own) = (Watch::new(user("bob")), Watch::new(user("eve")));
        for (watch, whom) in [(&watch, "eve"), (&own, "bob")] {
            onlookers.watchers.opened(watch);
            watch.replace([user(whom)]);
            onlookers.watchers.add(watch, &[user(whom)]);
            watch.decide(whom, Access::Allowed, watch.round());
            assert_eq!(shown(watch), 1);
        }
        let answered_before = own.round();
        onlookers.moved("eve", (0, 9));
        let (asked, _) = onlookers.queue.take(8).await;
        assert_eq!(asked.len(), 2);
        // An answer to what was asked before counts no more.
        own.decide("bob", Access::Allowed, answered_before);
        own.touch("bob");
        assert_eq!((shown(&watch), shown(&own)), (0, 0));
        own.decide("bob", Access::Denied, own.round());
        assert_eq!(shown(&own), 1);
    }

    #[tokio::test]
    async fn a_session_waits_once_for_the_database() {
        let queue = Queue::default();
        let watch = Watch::new(user("bob"));
        queue.push(&watch);
        queue.push(&watch);
        let pair = ConversationId::parse("d.a.b").unwrap();
        queue.want(&pair);
        queue.want(&pair);
        let (watches, pairs) = queue.take(8).await;
        assert_eq!((watches.len(), pairs), (1, vec![pair]));
        assert!(queue.is_empty());
        watch.unclaim();
        queue.push(&watch);
        assert_eq!(queue.len(), 1);
    }
}
