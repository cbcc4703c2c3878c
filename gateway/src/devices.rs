//! Whose session is over because its device was unlinked, without asking a database each time.
//!
//! A session names the registration of its device: the version of the account event that linked it.
//! What is known of a device is one number that only grows: sessions of registrations up to it are
//! over. The log's tails bring it ([`Devices::observe`]); for a device of which nothing is known,
//! the views are asked once. Whoever is connected holds a [`Watch`], which ends with the session.
//!
//! With PostgreSQL away, a session of which nothing is known is let in: availability counts more, and
//! every unlink since this gateway's start is known from the log. Such a question stays open and is
//! asked again until it is answered; if the answer is no, the session's sockets are closed then.
//!
//! Architecture invariant: what the table forgets, it forgets up to a position (its floor), and the
//! views' word counts only if they have passed that. So an unlink that was seen here is never
//! taken back by views that have not.

mod table;
mod watch;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use parley_domain::{AccountEvent, AccountId, DeviceId, Event, EventData, UserId};
use parley_nats::{
    subjects::{parse_event_subject, shard_of},
    tail::LogMessage,
};
use parley_projections::queries::{self, Standing};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::{table::Key, watch::Watch};
use self::{
    table::{Table, Told, Verdict},
    watch::Watches,
};
use crate::{
    auth::{AuthError, Identity},
    realtime::lock,
};

/// How long a caller waits for the views to say whether a device is linked.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long views that did not answer are left alone; also between two tries to settle what is open.
const PAUSE: Duration = Duration::from_secs(1);
/// Questions that are asked at the same time.
const AT_ONCE: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Devices {
    pool: PgPool,
    shards: u16,
    table: Mutex<Table>,
    watches: Watches,
    slots: Semaphore,
    away_until: Mutex<Option<Instant>>,
    /// Devices of which somebody was let in without an answer.
    open: Mutex<HashSet<Key>>,
    opened: Notify,
    max_open: usize,
}

impl Devices {
    /// `after`: for each shard the position behind which [`Self::observe`] is told everything.
    /// `entries`: how many devices are remembered.
    pub fn new(pool: PgPool, after: &[u64], entries: usize) -> Self {
        Self {
            pool,
            shards: u16::try_from(after.len()).unwrap_or(1),
            table: Mutex::new(Table::new(after, entries)),
            watches: Watches::default(),
            slots: Semaphore::new(AT_ONCE),
            away_until: Mutex::new(None),
            open: Mutex::default(),
            opened: Notify::new(),
            max_open: entries,
        }
    }

    /// Whether a caller may come in: not with a session whose device was unlinked since. A token
    /// that is bound to no registration is the marketplace's own word.
    pub async fn admit(&self, identity: &Identity) -> Result<(), AuthError> {
        let (Some(device), Some(registration)) = (&identity.device_id, identity.registration)
        else {
            return Ok(());
        };
        let key = Key::new(&identity.user_id, device);
        let mut verdict = lock(&self.table).verdict(&key, registration);
        if verdict == Verdict::Unknown {
            verdict = self.ask(&key, registration).await;
        }
        match verdict {
            Verdict::Stands => Ok(()),
            Verdict::Over => Err(AuthError::Unlinked),
            Verdict::Unknown => {
                self.leave_open(key);
                Ok(())
            }
        }
    }

    /// Ends once the session of this device is over; for those who have been admitted.
    pub fn watch(
        self: &Arc<Self>,
        user: &UserId,
        device: &DeviceId,
        registration: Option<u64>,
    ) -> Watch {
        let key = Key::new(user, device);
        let watch = self.watches.add(Arc::clone(self), key, registration);
        // It may have been unlinked between the admission and this.
        if let Some(registration) = registration
            && lock(&self.table).verdict(watch.key(), registration) == Verdict::Over
        {
            watch.end();
        }
        watch
    }

    /// Takes what the tail of a shard brings, in its order.
    pub fn observe(&self, shard: u16, message: &LogMessage) {
        if !is_of_account(&message.subject) {
            return;
        }
        // What cannot be read, or is somebody else's, is said by those who write it down.
        let Ok(event) = Event::from_json(&message.payload) else { return };
        let EventData::Account(data) = &event.data else { return };
        let subject = parse_event_subject(&message.subject);
        if subject.is_none_or(|(_, about)| about != AccountId::of(&event.actor).into()) {
            return;
        }
        let position = message.position;
        let user = &event.actor;
        match data {
            AccountEvent::DeviceRegistered(registered) => {
                let key = Key::new(user, &registered.device_id);
                let over_through = event.version.saturating_sub(1);
                lock(&self.table).note(&key, over_through, Some((shard, position)));
            }
            AccountEvent::DeviceUnlinked(unlinked) => {
                let key = Key::new(user, &unlinked.device_id);
                lock(&self.table).note(&key, event.version, Some((shard, position)));
                self.watches.unlinked(&key, event.version);
            }
            AccountEvent::ContactAdded(_)
            | AccountEvent::ContactRemoved(_)
            | AccountEvent::ConversationMuted(_)
            | AccountEvent::ConversationUnmuted(_)
            | AccountEvent::ConversationPinned(_)
            | AccountEvent::ConversationUnpinned(_)
            | AccountEvent::ConversationArchived(_)
            | AccountEvent::ConversationUnarchived(_)
            | AccountEvent::DraftSaved(_)
            | AccountEvent::DraftCleared(_)
            | AccountEvent::PreferencesSet(_)
            | AccountEvent::EndpointAdded(_)
            | AccountEvent::EndpointRemoved(_)
            | AccountEvent::ChannelRead(_) => {}
        }
    }

    /// The owner of the account's shard says so: it is linked since `registration`.
    pub fn registered(&self, user: &UserId, device: &DeviceId, registration: u64) {
        let over_through = registration.saturating_sub(1);
        lock(&self.table).note(&Key::new(user, device), over_through, None);
    }

    /// The owner of the account's shard says so: at `version` it is not linked.
    pub fn unlinked(&self, user: &UserId, device: &DeviceId, version: u64) {
        let key = Key::new(user, device);
        lock(&self.table).note(&key, version, None);
        self.watches.unlinked(&key, version);
    }

    /// Asks again what was left open, until `end`.
    pub async fn settle(self: Arc<Self>, end: CancellationToken) {
        end.run_until_cancelled(async {
            loop {
                self.opened.notified().await;
                while let Some(key) = self.next_open() {
                    if self.consult(&key).await.is_some_and(|told| told.is_all) {
                        lock(&self.open).remove(&key);
                    } else {
                        sleep(PAUSE).await;
                    }
                }
            }
        })
        .await;
    }

    fn next_open(&self) -> Option<Key> {
        lock(&self.open).iter().next().cloned()
    }

    fn leave_open(&self, key: Key) {
        let mut open = lock(&self.open);
        if open.len() < self.max_open {
            open.insert(key);
        }
        drop(open);
        self.opened.notify_one();
    }

    /// Asks the views, for a caller who waits.
    async fn ask(&self, key: &Key, registration: u64) -> Verdict {
        if lock(&self.away_until).is_some_and(|until| Instant::now() < until) {
            return Verdict::Unknown;
        }
        let asked = async {
            // The semaphore is never closed.
            let _slot = self.slots.acquire().await.ok();
            // Somebody else may have asked the same meanwhile.
            match lock(&self.table).verdict(key, registration) {
                Verdict::Unknown => {}
                known @ (Verdict::Stands | Verdict::Over) => return known,
            }
            match self.consult(key).await {
                Some(told) if told.over_through >= registration => Verdict::Over,
                Some(told) if told.is_all => Verdict::Stands,
                Some(_) | None => Verdict::Unknown,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(verdict) => verdict,
            Err(_) => {
                self.note_away();
                Verdict::Unknown
            }
        }
    }

    /// Asks the views; `None` if they do not answer.
    async fn consult(&self, key: &Key) -> Option<Told> {
        let shard = shard_of(&AccountId::of(&key.user), self.shards);
        match queries::standing(&self.pool, shard, &key.user, &key.device).await {
            Ok(Standing { over_through, checkpoint }) => {
                let told = lock(&self.table).learn(key, over_through, (shard, checkpoint));
                self.watches.over(key, told.over_through);
                Some(told)
            }
            Err(failure) => {
                tracing::debug!(%failure, "the views cannot say whether a device is linked");
                self.note_away();
                None
            }
        }
    }

    fn note_away(&self) {
        *lock(&self.away_until) = Some(Instant::now() + PAUSE);
    }
}

/// Whether `dm.evt.<shard>.a.<userId>`; every event of the log passes here, so it only looks.
fn is_of_account(subject: &str) -> bool {
    subject.split('.').nth(3) == Some("a")
}

#[cfg(test)]
mod tests;
