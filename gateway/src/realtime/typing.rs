//! Who is told that somebody types, and who may say so: decided in memory, and never waited for.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use parley_domain::{ConversationId, Kind, UserId};
use parley_nats::subjects::shard_of;
use smol_str::SmolStr;
use tokio::{sync::Notify, time::timeout};

use super::{
    hub::{Hub, Loaded, Unknown},
    protocol::Frame,
    registry::lock,
    routing::listener,
};
use crate::presence::access::Tie;

/// Groups whose members are wanted at the same time; more are asked for again by who types on.
const MAX_WANTED: usize = 1_000;

/// Whether somebody may say that they type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayType {
    /// To the others of the conversation.
    Told,
    /// Nobody is told.
    Unheard,
    /// For them there is no such conversation.
    Stranger,
    /// It is being asked.
    Unknown,
}

/// How long somebody who types is kept waiting for an answer; then it is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Groups of one shard in which somebody types, and whose members are not here.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    groups: Mutex<HashSet<SmolStr>>,
    wake: Notify,
}

impl Wanted {
    fn push(&self, group: &str) {
        let mut groups = lock(&self.groups);
        if groups.len() < MAX_WANTED && groups.insert(SmolStr::new(group)) {
            self.wake.notify_one();
        }
    }

    /// Waits for the first, and takes all.
    async fn take(&self) -> HashSet<SmolStr> {
        loop {
            let groups = std::mem::take(&mut *lock(&self.groups));
            if !groups.is_empty() {
                return groups;
            }
            self.wake.notified().await;
        }
    }
}

impl Hub {
    /// For the session of somebody who says that they type.
    pub fn may_type(&self, conversation: &ConversationId, user: &UserId) -> MayType {
        match conversation.kind() {
            Kind::Direct if listener(conversation, user.as_str()).is_none() => MayType::Stranger,
            Kind::Direct => match self.onlookers().ties.get(conversation.as_str()) {
                Some(Tie::Strangers | Tie::Talked) => MayType::Told,
                Some(Tie::Blocked) => MayType::Unheard,
                None => {
                    self.onlookers().queue.want(conversation);
                    MayType::Unknown
                }
            },
            Kind::Group => match self.is_member(conversation, user) {
                Some(false) => MayType::Stranger,
                Some(true) => MayType::Told,
                None => MayType::Unknown,
            },
            // There may be any number of readers.
            Kind::Channel => MayType::Unheard,
        }
    }

    /// The same, once it is known; bounded in time.
    pub async fn may_type_soon(&self, conversation: &ConversationId, user: &UserId) -> MayType {
        let known = async {
            loop {
                let learned = self.onlookers().learned.notified();
                tokio::pin!(learned);
                learned.as_mut().enable();
                match self.may_type(conversation, user) {
                    MayType::Unknown => learned.await,
                    known @ (MayType::Told | MayType::Unheard | MayType::Stranger) => return known,
                }
            }
        };
        timeout(PATIENCE, known).await.unwrap_or(MayType::Unknown)
    }

    /// Passes on to those who are connected here that somebody types.
    pub fn pass_typing(
        &self,
        conversation: &ConversationId,
        by: &UserId,
        frame: impl FnOnce() -> Frame,
    ) {
        match conversation.kind() {
            Kind::Direct => {
                if self.onlookers().ties.get(conversation.as_str()) == Some(Tie::Blocked) {
                    return;
                }
                let listener = listener(conversation, by.as_str());
                if let Some(listener) = listener.filter(|user| self.registry().is_connected(user)) {
                    self.whisper(listener, frame());
                }
            }
            Kind::Group if self.is_member(conversation, by) == Some(true) => {
                let here = self.members_here(conversation);
                let frame = frame();
                for user in here.iter().filter(|user| user.as_str() != by.as_str()) {
                    self.whisper(user, frame.clone());
                }
            }
            Kind::Group | Kind::Channel => {}
        }
    }

    /// Whether somebody is a member of a group now; if it is not known, it will be soon.
    fn is_member(&self, group: &ConversationId, user: &UserId) -> Option<bool> {
        let shard = self.shard(shard_of(group, self.shards()))?;
        let known = lock(&shard.past).members().is_member(group.as_str(), user.as_str());
        if known.is_none() {
            shard.wanted.push(group.as_str());
        }
        known
    }

    fn members_here(&self, group: &ConversationId) -> Arc<HashSet<SmolStr>> {
        let shard = self.shard(shard_of(group, self.shards()));
        shard.and_then(|shard| lock(&shard.past).members().here(group.as_str())).unwrap_or_default()
    }

    /// Waits until the members of some groups are wanted as they are at this shard's position.
    pub async fn wanted(&self, shard: u16) -> Vec<Unknown> {
        let Some(state) = self.shard(shard) else { return std::future::pending().await };
        let groups = state.wanted.take().await;
        let position = state.routed.load(Ordering::Acquire) + 1;
        let unknown = groups.into_iter().map(|group| Unknown { group, position, version: None });
        unknown.collect()
    }

    /// Brings the members of groups that were [`Self::wanted`]; nothing may have been routed since.
    pub fn bring(&self, shard: u16, loaded: Vec<Loaded>) {
        let Some(state) = self.shard(shard) else { return };
        self.remember(state, &[], loaded);
        self.onlookers().learned.notify_waiters();
    }
}
