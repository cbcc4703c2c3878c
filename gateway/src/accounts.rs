//! What this gateway knows of accounts without asking a database each time: how far they have come,
//! and what their owners show of themselves.
//!
//! The log's tails bring every change ([`Accounts::observe`]); the views are asked for what was
//! before. All of it is bounded, and forgetting costs a question.

mod privacy;

use std::{num::NonZeroUsize, sync::Mutex, time::Duration};

use lru::LruCache;
use parley_domain::{AccountId, ConversationId, Event, EventData, Kind, UserId};
use parley_nats::{
    subjects::{parse_event_subject, shard_of},
    tail::LogMessage,
};
use parley_projections::{
    Failure,
    queries::{self, ShownTo},
};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

pub use self::privacy::Pair;
use self::privacy::Privacy;
use crate::realtime::lock;

/// How long the views may take to show what this gateway knows to have happened.
const PATIENCE: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Accounts {
    pool: PgPool,
    /// By shard: the tails bring everything behind these positions.
    after: Box<[u64]>,
    versions: Mutex<LruCache<UserId, Versions>>,
    privacy: Mutex<Privacy>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Versions {
    /// That there is.
    newest: u64,
    /// That the views have.
    shown: u64,
    /// That last said what is shown to whom.
    wished: u64,
}

impl Accounts {
    /// `after`: for each shard the position behind which [`Self::observe`] is told everything.
    /// `entries`: of how many accounts something is remembered.
    pub fn new(pool: PgPool, after: &[u64], entries: usize) -> Self {
        let entries = NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN);
        Self {
            pool,
            after: after.into(),
            versions: Mutex::new(LruCache::new(entries)),
            privacy: Mutex::new(Privacy::new(entries)),
        }
    }

    /// Takes what the tail of a shard brings, in its order. Says whose presence others may see now,
    /// or may not any more.
    pub fn observe(&self, message: &LogMessage) -> Option<UserId> {
        // Every event of the log passes here, so it only looks.
        if message.subject.split('.').nth(3) != Some("a") {
            return None;
        }
        // What cannot be read, or is somebody else's, is said by those who write it down.
        let event = Event::from_json(&message.payload).ok()?;
        let (_, about) = parse_event_subject(&message.subject)?;
        let EventData::Account(data) = &event.data else { return None };
        if !about.account().is_some_and(|account| account.is_of(&event.actor)) {
            return None;
        }
        self.saw(&event.actor, event.version);
        if !lock(&self.privacy).observe(&event.actor, event.version, data) {
            return None;
        }
        if let Some(known) = lock(&self.versions).get_mut(&event.actor) {
            known.wished = known.wished.max(event.version);
        }
        Some(event.actor)
    }

    /// There is this version of the account.
    pub fn saw(&self, user: &UserId, version: u64) {
        let mut versions = lock(&self.versions);
        let known = versions.get_or_insert_mut(user.clone(), Versions::default);
        known.newest = known.newest.max(version);
    }

    /// Waits, a moment at most, until the views show what is known to have happened: whoever has
    /// just changed something shall see it.
    ///
    /// # Errors
    /// If the views do not answer.
    pub async fn settled(&self, user: &UserId) -> Result<(), Failure> {
        let known = lock(&self.versions).peek(user).copied().unwrap_or_default();
        if known.shown >= known.newest {
            return Ok(());
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = queries::account_version(&self.pool, user).await?;
            if shown >= known.newest || Instant::now() >= until {
                if let Some(versions) = lock(&self.versions).get_mut(user) {
                    versions.shown = versions.shown.max(shown);
                }
                return Ok(());
            }
            sleep(LAG).await;
        }
    }

    /// Whether the one of a pair lets the other see whether they are online; `None` if that has to
    /// be asked first.
    pub fn allows(&self, pair: &Pair) -> Option<bool> {
        lock(&self.privacy).allows(pair)
    }

    /// Asks what is not known of these.
    ///
    /// # Errors
    /// If the views do not answer.
    pub async fn learn(&self, pairs: &[Pair]) -> Result<(), Failure> {
        let open: Vec<&Pair> = pairs.iter().filter(|pair| self.allows(pair).is_none()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = open.iter().map(|pair| self.question(pair)).collect();
        let found = queries::shown_to(&self.pool, &asked).await?;
        for (pair, found) in open.into_iter().zip(&found) {
            self.keep(pair, found);
        }
        Ok(())
    }

    fn question<'a>(&self, pair: &'a Pair) -> (u16, &'a UserId, &'a UserId) {
        (self.shard(&pair.shown), &pair.shown, &pair.to)
    }

    fn shard(&self, user: &UserId) -> u16 {
        let shards = u16::try_from(self.after.len()).unwrap_or(1);
        shard_of(&AccountId::of(user), shards)
    }

    /// Unless the views lack something that the tails have brought, or will not bring.
    fn keep(&self, pair: &Pair, found: &ShownTo) {
        let wished = lock(&self.versions).peek(&pair.shown).map_or(0, |known| known.wished);
        let after = self.after.get(usize::from(self.shard(&pair.shown))).copied();
        if found.version >= wished && found.checkpoint >= after.unwrap_or_default() {
            lock(&self.privacy).learn(pair, found);
        }
    }

    /// Whether a person's cursors in this conversation are nobody else's to see: there is no such
    /// wish in a group, where being read is what everybody goes by.
    pub async fn is_discreet(&self, user: &UserId, conversation: &ConversationId) -> bool {
        match conversation.kind() {
            Kind::Direct => !self.shows_receipts(user).await,
            Kind::Group | Kind::Channel => false,
        }
    }

    /// Whether this person lets others see how far they have read in direct conversations. Asks the
    /// views if need be; if they do not answer, it is not shown: what was kept to oneself once is
    /// not given away because a database is away.
    pub async fn shows_receipts(&self, user: &UserId) -> bool {
        if let Some(shows) = lock(&self.privacy).shows_receipts(user) {
            return shows;
        }
        let pair = Pair { shown: user.clone(), to: user.clone() };
        match queries::shown_to(&self.pool, &[self.question(&pair)]).await {
            Ok(found) => {
                for found in &found {
                    self.keep(&pair, found);
                }
                let asked = found.first().is_some_and(|found| found.read_receipts);
                lock(&self.privacy).shows_receipts(user).unwrap_or(asked)
            }
            Err(failure) => {
                tracing::debug!(%failure, "whether somebody shows receipts is not known");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
