//! Asks the database for those sessions that watch somebody of whom memory does not know enough:
//! many sessions a question, one question at a time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parley_domain::{ConversationId, UserId};
use parley_projections::{
    Failure,
    queries::{self, Acquaintance, Acquaintances, Pair},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Presence, Shared, Shown, Sight,
    access::{Access, Tie},
    watch::Watch,
};
use crate::{accounts, realtime::registry::lock};

/// Sessions a question; each asks about a hundred people at most.
const SESSIONS: usize = 64;
const RETRY: Duration = Duration::from_secs(1);

/// How soon the database is asked again that did not know of the log's last events yet.
const LAG: Duration = Duration::from_millis(50);
/// How often, for a request.
const LOOKS: usize = 20;

/// Until `end`.
pub(super) async fn run(shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let serve = async {
            let (watches, pairs) = shared.onlookers().queue.take(SESSIONS).await;
            let pause = match shared.serve(&watches, pairs).await {
                Served::All => return,
                Served::Behind => LAG,
                Served::Nothing => RETRY,
            };
            sleep(pause).await;
            for watch in watches.iter().filter(|watch| !watch.is_over()) {
                shared.onlookers().queue.push(watch);
            }
        };
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            () = serve => {}
        }
    }
}

/// What became of some questions.
enum Served {
    All,
    /// The database does not know of the log's last events about some of them.
    Behind,
    /// It did not answer.
    Nothing,
}

/// What is asked, and what of it is known.
struct Question {
    me: UserId,
    /// `None`: of oneself.
    conversation: Option<ConversationId>,
    user: UserId,
    access: Access,
}

impl Question {
    fn new(me: &UserId, user: UserId, access: Access) -> Self {
        Self { conversation: ConversationId::direct(me, &user).ok(), me: me.clone(), user, access }
    }
}

impl Shared {
    async fn serve(&self, watches: &[Arc<Watch>], pairs: Vec<ConversationId>) -> Served {
        let mut questions = Vec::new();
        let mut asking = Vec::new();
        for watch in watches.iter().filter(|watch| !watch.is_over()) {
            // First, so that whatever is watched from now on is asked about again.
            watch.unclaim();
            let round = watch.round();
            let me = watch.me();
            let unsettled = watch.unsettled(|user| self.knows(me, user));
            if unsettled.is_empty() {
                // Another question has found it out meanwhile, and nobody was told.
                watch.wake();
            }
            for (user, access) in unsettled {
                questions.push(Question::new(watch.me(), user, access));
                asking.push((watch, round));
            }
        }
        // Of those who type, only the ties are of interest, which are kept with any answer.
        for [me, user] in pairs.iter().filter_map(ConversationId::direct_members) {
            questions.push(Question::new(&me, user, Access::Unknown));
        }
        let answered = self.look_up(&mut questions).await;
        if let Err(failure) = &answered {
            tracing::debug!(%failure, "who may watch whom is not known yet");
        }
        for watch in watches {
            watch.guess(answered.is_err());
        }
        if answered.is_err() {
            return Served::Nothing;
        }
        self.onlookers().learned.notify_waiters();
        // Views that are behind what people wish are asked again, too.
        let is_settled = |question: &Question| {
            question.access != Access::Allowed
                || self.allows(&question.me, &question.user).is_some()
        };
        let mut served = match questions.iter().all(is_settled) {
            true => Served::All,
            false => Served::Behind,
        };
        for (Question { user, access, .. }, (watch, round)) in questions.iter().zip(asking) {
            match access {
                Access::Unknown => served = Served::Behind,
                Access::Allowed | Access::Denied => watch.decide(user.as_str(), *access, round),
            }
        }
        served
    }

    /// Finds out what these may be told; keeps what it learns. What stays unknown is to be asked
    /// again soon.
    async fn look_up(&self, questions: &mut [Question]) -> Result<(), Failure> {
        if questions.is_empty() {
            return Ok(());
        }
        self.counters.lookups.fetch_add(1, Ordering::Relaxed);
        let asked = questions.iter().map(|Question { me, conversation, user, .. }| Pair {
            conversation: conversation.as_ref(),
            me,
            user,
        });
        let asked: Vec<_> = asked.collect();
        let answer = queries::acquaintances(&self.pool, self.hub.shards(), &asked).await;
        let Acquaintances { checkpoints, found } = answer.inspect_err(|_| {
            self.counters.failed_lookups.fetch_add(1, Ordering::Relaxed);
        })?;
        let wishes: Vec<accounts::Pair> = questions
            .iter()
            .map(|Question { me, user, .. }| accounts::Pair { shown: user.clone(), to: me.clone() })
            .collect();
        self.accounts.learn(&wishes).await.inspect_err(|_| {
            self.counters.failed_lookups.fetch_add(1, Ordering::Relaxed);
        })?;
        let ties = &self.onlookers().ties;
        let mut table = lock(&self.table);
        for (question, found) in questions.iter_mut().zip(found) {
            let Question { me, conversation, user, access } = question;
            if let Some(conversation) = conversation {
                let tie = match found {
                    Acquaintance { is_blocked: true, .. } => Tie::Blocked,
                    Acquaintance { has_talked: true, .. } => Tie::Talked,
                    Acquaintance { .. } => Tie::Strangers,
                };
                if !ties.learn(conversation, [&*me, &*user], tie, &checkpoints) {
                    *access = Access::Unknown;
                    continue;
                }
            }
            *access = match ties.access(conversation.as_ref()) {
                // The ties alone do not allow it.
                Access::Unknown if found.shares_group => Access::Allowed,
                Access::Unknown => Access::Denied,
                known @ (Access::Allowed | Access::Denied) => known,
            };
            if *access == Access::Allowed {
                table.remember(user, found.last_seen_at.map(|at| at.unix_millis()));
            }
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
            let mut question = Question::new(me, user.clone(), Access::Unknown);
            question.access = shared.onlookers().ties.access(question.conversation.as_ref());
            question
        };
        let is_open = |question: &Question| match question.access {
            Access::Unknown => true,
            Access::Allowed => !shared.knows(me, &question.user),
            Access::Denied => false,
        };
        let (mut open, mut known): (Vec<_>, Vec<_>) = users.iter().map(question).partition(is_open);
        for look in 1..=LOOKS {
            if let Err(failure) = shared.look_up(&mut open).await {
                let is_open = |question: &Question| {
                    question.access == Access::Unknown
                        || shared.allows(me, &question.user).is_none()
                };
                if open.iter().any(is_open) {
                    return Err(failure);
                }
                tracing::debug!(%failure, "times of presence are left out");
                break;
            }
            if look == LOOKS || open.iter().all(|question| question.access != Access::Unknown) {
                break;
            }
            sleep(LAG).await;
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
