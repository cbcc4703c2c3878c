//! Presence: who is online, and who is told.
//!
//! - [`local`]: who is connected to this gateway, and what the others have yet to be told; pure;
//! - [`Table`]: who is connected anywhere, as the bucket of presence tells; pure;
//! - [`access`]: who may see whose presence; [`watch`], [`watcher`], [`watchers`]: who does;
//! - [`announce`] writes the bucket, [`follow`] reads it, [`desk`] asks the database, and
//!   [`last_seen`] writes there when people left.
//!
//! Without NATS, what was true last stays shown; without PostgreSQL, only who was acquainted in
//! this gateway's time is shown, and times are left out.

pub mod access;
mod announce;
pub mod config;
mod desk;
mod follow;
mod last_seen;
pub mod local;
pub mod watch;
pub mod watcher;
pub mod watchers;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parley_domain::UserId;
use parley_nats::{
    Connection, Failure,
    connection::START_PATIENCE,
    presence::{self, PresenceBucket, Table, TableConfig},
};
use parley_runtime::{clock::Clock, shutdown::Shutdown};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::{config::PresenceConfig, watcher::Watcher};
use self::{last_seen::Notes, local::Local, watchers::Onlookers};
pub use parley_nats::presence::Shown;

use crate::{
    accounts::{Accounts, Pair},
    realtime::{hub::Hub, registry::lock},
};

/// The most people that one session may watch, or one request may ask about.
pub const MAX_WATCHED: usize = 100;
/// People known to be offline who are remembered.
const REMEMBERED: usize = 100_000;
/// Entries are written again well before the server forgets them.
const REFRESH: Duration = Duration::from_secs(240);

/// What presence works with.
pub struct Deps {
    pub nats: Connection,
    /// Copies of the bucket.
    pub replicas: usize,
    pub pool: PgPool,
    pub hub: Arc<Hub>,
    pub accounts: Arc<Accounts>,
    pub clock: Arc<dyn Clock>,
}

/// Shared by all sessions; cheap to clone.
#[derive(Clone)]
pub struct Presence(Arc<Shared>);

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

/// What may be said of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// It is not known yet.
    Unknown,
    /// They do not wish to be seen.
    Hidden,
    Seen(Shown),
}

struct Shared {
    config: PresenceConfig,
    connection: Connection,
    bucket: PresenceBucket,
    pool: PgPool,
    hub: Arc<Hub>,
    accounts: Arc<Accounts>,
    clock: Arc<dyn Clock>,
    local: Mutex<Local>,
    /// There is something to tell, or an earlier time to do so.
    local_moved: Notify,
    table: Mutex<Table>,
    /// The table has been filled once.
    is_ready: AtomicBool,
    /// How many signs of life this gateway has given, or tried to.
    beats: AtomicU64,
    wants_beat: Notify,
    wants_sweep: Notify,
    notes: Mutex<Notes>,
    counters: Counters,
}

/// For metrics: all only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Entries written to the bucket.
    pub told: AtomicU64,
    /// People who came online or went offline, as this gateway saw it.
    pub changes: AtomicU64,
    /// Questions to the database, and those without an answer.
    pub lookups: AtomicU64,
    pub failed_lookups: AtomicU64,
    /// Rows of `last_seen` written, and given up.
    pub noted: AtomicU64,
    pub notes_dropped: AtomicU64,
}

/// What there is at the moment, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct Gauges {
    /// People connected here.
    pub here: usize,
    pub table: presence::Size,
    /// Sessions that watch somebody.
    pub watchers: usize,
    /// Of those, sessions that wait for the database.
    pub waiting: usize,
    /// Rows that wait to be written.
    pub notes: usize,
}

impl Presence {
    /// Makes the bucket, if it is not there; needs NATS, but not PostgreSQL. The tasks go on until
    /// `end`, and then take this gateway's leave.
    pub async fn start(
        config: PresenceConfig,
        deps: Deps,
        shutdown: &Shutdown,
        end: &CancellationToken,
    ) -> Result<Self, Failure> {
        let Deps { nats, replicas, pool, hub, accounts, clock } = deps;
        // A name of this process: what an earlier one left in the bucket is not its own.
        let gateway = Uuid::new_v4().simple().to_string();
        let table = TableConfig {
            lease: config.lease,
            linger: config.linger,
            max_users: config.max_users,
            remembered: REMEMBERED,
        };
        let shared = Arc::new(Shared {
            table: Mutex::new(Table::new(&gateway, table)),
            bucket: PresenceBucket::new(nats.clone(), gateway, replicas),
            local: Mutex::new(Local::new(config.linger, REFRESH)),
            config,
            connection: nats.clone(),
            pool,
            hub,
            accounts,
            clock,
            local_moved: Notify::new(),
            is_ready: AtomicBool::new(false),
            beats: AtomicU64::new(0),
            wants_beat: Notify::new(),
            wants_sweep: Notify::new(),
            notes: Mutex::default(),
            counters: Counters::default(),
        });
        let ensure = || shared.bucket.ensure();
        nats.persist("create the bucket of presence", START_PATIENCE, ensure).await?;
        let announced = CancellationToken::new();
        let writer = last_seen::write(Arc::clone(&shared), announced.clone());
        shutdown.spawn(writer);
        let (announcing, until) = (Arc::clone(&shared), end.clone());
        shutdown.spawn(async move {
            announce::run(announcing, until).await;
            announced.cancel();
        });
        shutdown.spawn(follow::run(Arc::clone(&shared), end.clone()));
        shutdown.spawn(desk::run(Arc::clone(&shared), end.clone()));
        Ok(Self(shared))
    }

    fn shared(&self) -> &Shared {
        &self.0
    }

    /// A connection of this user is open for as long as the answer is kept.
    pub fn arrive(&self, user: &UserId) -> Arrival {
        if lock(&self.0.local).opened(user) {
            self.0.local_moved.notify_one();
        }
        Arrival { presence: self.clone(), user: user.clone() }
    }

    /// For one session of this user.
    pub fn watcher(&self, me: UserId) -> Watcher {
        Watcher::new(self.clone(), me)
    }

    /// Whether anything may be said at all.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.load(Ordering::Acquire)
    }

    /// What may be said of somebody to `me`. `may_guess`: without what only the database knows, but
    /// never without what the person wishes.
    fn sight(&self, me: &UserId, user: &UserId, may_guess: bool) -> Sight {
        if !self.is_ready() {
            return Sight::Unknown;
        }
        match self.0.allows(me, user) {
            None => return Sight::Unknown,
            Some(false) => return Sight::Hidden,
            Some(true) => {}
        }
        let table = lock(&self.0.table);
        if may_guess || table.knows(user.as_str()) {
            Sight::Seen(table.presence(user.as_str()))
        } else {
            Sight::Unknown
        }
    }

    /// Who may see this person may have changed.
    pub fn reconsider(&self, user: &UserId) {
        self.0.onlookers().watchers.touch(user.as_str());
    }

    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub fn gauges(&self) -> Gauges {
        Gauges {
            here: lock(&self.0.local).len(),
            table: lock(&self.0.table).size(),
            watchers: self.0.onlookers().watchers.sessions(),
            waiting: self.0.onlookers().queue.len(),
            notes: lock(&self.0.notes).len(),
        }
    }
}

impl Shared {
    fn onlookers(&self) -> &Onlookers {
        self.hub.onlookers()
    }

    /// Whether all is known that has to be, to say to `me` whether this person is online.
    fn knows(&self, me: &UserId, user: &UserId) -> bool {
        lock(&self.table).knows(user.as_str()) && self.allows(me, user).is_some()
    }

    fn allows(&self, me: &UserId, user: &UserId) -> Option<bool> {
        self.accounts.allows(&Pair { shown: user.clone(), to: me.clone() })
    }

    /// Has everybody told who watches one of these.
    fn show(&self, changed: &[UserId]) {
        self.counters.changes.fetch_add(changed.len() as u64, Ordering::Relaxed);
        for user in changed {
            self.onlookers().watchers.touch(user.as_str());
        }
    }
}

/// An open connection of a user.
#[derive(Debug)]
pub struct Arrival {
    presence: Presence,
    user: UserId,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let shared = self.presence.shared();
        let now_millis = shared.clock.now_millis();
        if lock(&shared.local).closed(&self.user, Instant::now(), now_millis) {
            shared.local_moved.notify_one();
        }
    }
}
