//! A session's hold on whom it watches; letting go of it ends the watching.

use std::{collections::HashSet, sync::Arc};

use parley_domain::{ConversationId, UserId};

use super::{Presence, access::Access, watch::Watch};
use crate::realtime::protocol::Frame;

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    presence: Presence,
    watch: Arc<Watch>,
}

impl Watcher {
    pub(super) fn new(presence: Presence, me: UserId) -> Self {
        presence.shared().watchers.opened();
        Self { presence, watch: Watch::new(me) }
    }

    /// Watches these people instead. Each whom it may see is told of, as soon as that is known.
    pub fn replace(&self, users: Vec<UserId>) {
        self.let_go();
        let shared = self.presence.shared();
        let mut named = HashSet::with_capacity(users.len());
        let mut people = Vec::with_capacity(users.len());
        for user in users {
            if !named.insert(user.clone()) {
                continue;
            }
            // Waiting first and looking then, so that a first message is not missed between.
            let conversation = ConversationId::direct(self.watch.me(), &user).ok();
            if let Some(conversation) = &conversation {
                shared.hub.strangers().add(conversation, &self.watch);
            }
            let access = shared.hub.acquainted().access(conversation.as_ref());
            if let Some(conversation) = conversation
                && access == Access::Allowed
            {
                shared.hub.strangers().remove(&conversation, &self.watch);
            }
            people.push((user, access));
        }
        let users: Vec<UserId> = people.iter().map(|(user, _)| user.clone()).collect();
        self.watch.replace(people);
        shared.watchers.add(&self.watch, &users);
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
            shared.queue.push(&self.watch);
        }
    }

    fn let_go(&self) {
        let shared = self.presence.shared();
        let users = self.watch.users();
        shared.watchers.remove(&self.watch, &users);
        for user in &users {
            if let Ok(conversation) = ConversationId::direct(self.watch.me(), user) {
                shared.hub.strangers().remove(&conversation, &self.watch);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watch.finish();
        self.let_go();
        self.presence.shared().watchers.closed();
    }
}
