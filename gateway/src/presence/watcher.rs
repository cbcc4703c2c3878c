//! A session's hold on whom it watches; letting go of it ends the watching.

use std::{collections::HashSet, sync::Arc};

use parley_domain::UserId;

use super::{Presence, watch::Watch};
use crate::realtime::protocol::Frame;

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    presence: Presence,
    watch: Arc<Watch>,
}

impl Watcher {
    pub(super) fn new(presence: Presence, me: UserId) -> Self {
        let watch = Watch::new(me);
        presence.shared().onlookers().watchers.opened(&watch);
        Self { presence, watch }
    }

    /// Watches these people instead. Each whom it may see is told of, as soon as that is known.
    pub fn replace(&self, users: Vec<UserId>) {
        self.let_go();
        let shared = self.presence.shared();
        let mut named = HashSet::with_capacity(users.len());
        let users: Vec<UserId> =
            users.into_iter().filter(|user| named.insert(user.clone())).collect();
        // Waiting first and looking then, so that no event is missed between.
        self.watch.replace(users.iter().cloned());
        shared.onlookers().watchers.add(&self.watch, &users);
        shared.onlookers().reconsider(&self.watch, None);
        self.ask();
    }

    /// Resolves once there may be something to [`Self::take`].
    pub async fn woken(&self) {
        self.watch.woken().await;
    }

    /// Frames for what has changed.
    pub fn take(&self, give: impl FnMut(Frame)) {
        let may_guess = self.watch.may_guess();
        self.watch.take(|user| self.presence.sight(self.watch.me(), user, may_guess), give);
        self.ask();
    }

    /// Has the database asked, if there is something that only it knows.
    fn ask(&self) {
        let shared = self.presence.shared();
        if !self.watch.unsettled(|user| shared.knows(self.watch.me(), user)).is_empty() {
            shared.onlookers().queue.push(&self.watch);
        }
    }

    fn let_go(&self) {
        let shared = self.presence.shared();
        let users = self.watch.users();
        shared.onlookers().watchers.remove(&self.watch, &users);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watch.finish();
        self.let_go();
        self.presence.shared().onlookers().watchers.closed(&self.watch);
    }
}
