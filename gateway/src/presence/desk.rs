//! Asks the database for those sessions that watch somebody of whom memory does not know enough:
//! many sessions a question, one question at a time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parley_domain::{ConversationId, UserId};
use parley_projections::{Failure, queries};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Presence, Shared, Shown, Sight, access::Access, watch::Watch};
use crate::{accounts::Pair, realtime::registry::lock};

/// Sessions a question; each asks about a hundred people at most.
const SESSIONS: usize = 64;
const RETRY: Duration = Duration::from_secs(1);

/// Until `end`.
pub(super) async fn run(shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let serve = async {
            let watches = shared.queue.take(SESSIONS).await;
            if !shared.serve(&watches).await {
                sleep(RETRY).await;
                for watch in watches.iter().filter(|watch| !watch.is_over()) {
                    shared.queue.push(watch);
                }
            }
        };
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            () = serve => {}
        }
    }
}

/// What is asked, and what of it is known.
struct Question {
    me: UserId,
    /// `None`: of oneself.
    conversation: Option<ConversationId>,
    user: UserId,
    access: Access,
}

impl Shared {
    /// Says whether the database answered.
    async fn serve(&self, watches: &[Arc<Watch>]) -> bool {
        let mut questions = Vec::new();
        let mut asking = Vec::new();
        for watch in watches.iter().filter(|watch| !watch.is_over()) {
            // First, so that whatever is watched from now on is asked about again.
            watch.unclaim();
            let me = watch.me();
            for (user, access) in watch.unsettled(|user| self.knows(me, user)) {
                let conversation = ConversationId::direct(me, &user).ok();
                questions.push(Question { me: me.clone(), conversation, user, access });
                asking.push(watch);
            }
        }
        let answered = self.look_up(&mut questions).await;
        if let Err(failure) = &answered {
            tracing::debug!(%failure, "who may watch whom is not known yet");
        }
        for watch in watches {
            watch.guess(answered.is_err());
        }
        if answered.is_ok() {
            for (Question { conversation, user, access, .. }, watch) in questions.iter().zip(asking)
            {
                if *access == Access::Allowed
                    && let Some(conversation) = conversation
                {
                    self.hub.strangers().remove(conversation, watch);
                }
                watch.decide(user.as_str(), *access);
            }
        }
        // Views that are behind are asked again, too.
        let is_settled = |question: &Question| {
            question.access != Access::Allowed
                || self.allows(&question.me, &question.user).is_some()
        };
        answered.is_ok() && questions.iter().all(is_settled)
    }

    /// Finds out what these may be told; keeps what it learns.
    async fn look_up(&self, questions: &mut [Question]) -> Result<(), Failure> {
        if questions.is_empty() {
            return Ok(());
        }
        self.counters.lookups.fetch_add(1, Ordering::Relaxed);
        let pairs: Vec<_> = questions
            .iter()
            .map(|question| (question.conversation.clone(), question.user.clone()))
            .collect();
        let found = queries::acquaintances(&self.pool, &pairs).await.inspect_err(|_| {
            self.counters.failed_lookups.fetch_add(1, Ordering::Relaxed);
        })?;
        let wishes: Vec<Pair> = questions
            .iter()
            .map(|question| Pair { shown: question.user.clone(), to: question.me.clone() })
            .collect();
        self.accounts.learn(&wishes).await.inspect_err(|_| {
            self.counters.failed_lookups.fetch_add(1, Ordering::Relaxed);
        })?;
        let mut table = lock(&self.table);
        for (Question { conversation, user, access, .. }, found) in questions.iter_mut().zip(found)
        {
            // The log's tail may be ahead of the database, and by now of the question too.
            let is_allowed =
                || self.hub.acquainted().access(conversation.as_ref()) == Access::Allowed;
            if !found.is_known && !is_allowed() {
                *access = Access::Denied;
                continue;
            }
            *access = Access::Allowed;
            if let Some(conversation) = conversation {
                self.hub.acquainted().insert(conversation.as_str());
            }
            table.remember(user, found.last_seen_at.map(|at| at.unix_millis()));
        }
        Ok(())
    }
}

impl Presence {
    /// Of these people, those whom `me` may see. Errors if only the database knows whether somebody
    /// is among them, and it does not answer.
    pub async fn ask(
        &self,
        me: &UserId,
        users: &[UserId],
    ) -> Result<Vec<(UserId, Shown)>, Failure> {
        let shared = self.shared();
        let question = |user: &UserId| {
            let conversation = ConversationId::direct(me, user).ok();
            let access = shared.hub.acquainted().access(conversation.as_ref());
            Question { me: me.clone(), conversation, user: user.clone(), access }
        };
        let (mut open, mut known): (Vec<_>, Vec<_>) =
            users.iter().map(question).partition(|question| {
                question.access != Access::Allowed || !shared.knows(me, &question.user)
            });
        if let Err(failure) = shared.look_up(&mut open).await {
            let is_open = |question: &Question| {
                question.access == Access::Unknown || shared.allows(me, &question.user).is_none()
            };
            if open.iter().any(is_open) {
                return Err(failure);
            }
            tracing::debug!(%failure, "times of presence are left out");
        }
        known.append(&mut open);
        let allowed = known.into_iter().filter(|question| question.access == Access::Allowed);
        let shown = allowed.filter_map(|Question { user, .. }| match self.sight(me, &user, true) {
            Sight::Seen(shown) => Some((user, shown)),
            Sight::Hidden | Sight::Unknown => None,
        });
        Ok(shown.collect())
    }
}
