//! Sockets: live delivery, resuming, and commands by WebSocket.
//!
//! Three layers, each ignorant of the one below it in this list:
//! - [`protocol`]: frames, read and written; [`token`]: sync positions;
//! - [`session`]: what a connection does, a state machine without I/O or clock;
//! - [`socket`]: the one loop that joins a session to a WebSocket, the database and the commands.
//!
//! Beside them the memory that all sessions share: [`hub`] (rings and registry), fed by the log's
//! tails in [`follow`] and read by each session through its [`feed`]; and catching up in [`sync`],
//! by [`pages`] of the views; [`poll`] and [`stream`] are the same for
//! plain HTTP.

pub mod config;
pub mod feed;
pub mod follow;
pub mod hub;
mod loading;
mod members;
pub mod pages;
mod past;
pub mod poll;
pub mod protocol;
mod redaction;
pub mod registry;
pub mod ring;
pub mod routing;
pub mod session;
pub mod socket;
pub mod stream;
pub mod sync;
pub mod token;
mod typing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parley_nats::{Connection, Failure, topology::Deployment};
use parley_runtime::{clock::Clock, shutdown::Shutdown};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::config::RealtimeConfig;
pub(crate) use self::registry::lock;
use self::{
    follow::Told,
    hub::Hub,
    loading::Loader,
    pages::Pages,
    protocol::Close,
    session::{SessionConfig, Who},
    token::Codec,
};
use crate::{
    accounts::Accounts,
    auth::Identity,
    devices::Devices,
    presence::{self, Presence},
    rates::Commands,
};

/// What the sockets work with.
pub struct Deps {
    pub nats: Connection,
    pub deployment: Deployment,
    /// Copies of what is kept in NATS.
    pub replicas: usize,
    pub commands: Commands,
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub shutdown: Shutdown,
}

/// Everything that sockets share; cheap to clone.
#[derive(Clone)]
pub struct Realtime(Arc<Shared>);

struct Shared {
    config: RealtimeConfig,
    session: Arc<SessionConfig>,
    hub: Arc<Hub>,
    devices: Arc<Devices>,
    accounts: Arc<Accounts>,
    pages: Pages,
    nats: Connection,
    commands: Commands,
    presence: Presence,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    sockets: TaskTracker,
    counters: SocketCounters,
}

/// For metrics.
#[derive(Debug, Default)]
pub struct SocketCounters {
    /// Sockets that are open now.
    pub open: AtomicU64,
    /// Ended by the server, in the order of [`Close::ALL`].
    pub closed: [AtomicU64; Close::ALL.len()],
}

impl Realtime {
    /// Finds out where the log ends and begins to follow it; needs NATS, but not PostgreSQL.
    ///
    /// The tails go on until the soft end *and* the last socket's.
    pub async fn start(config: RealtimeConfig, deps: Deps) -> Result<Self, Failure> {
        let Deps { nats, deployment, replicas, commands, pool, clock, shutdown } = deps;
        let shards = deployment.shards;
        let ends = follow::ends(&nats, shards).await?;
        let after: Vec<u64> =
            ends.iter().map(|end| end.saturating_sub(config.preload_events)).collect();
        let hub = Arc::new(Hub::new(Codec::new(deployment.epoch, shards), &after, config.hub));
        let devices = Arc::new(Devices::new(pool.clone(), &after, config.device_entries));
        let accounts = Arc::new(Accounts::new(pool.clone(), &after, config.account_entries));
        for (shard, end) in (0..).zip(&ends) {
            hub.set_target(shard, *end);
        }
        let end = CancellationToken::new();
        let deps = presence::Deps {
            nats: nats.clone(),
            replicas,
            pool: pool.clone(),
            hub: Arc::clone(&hub),
            accounts: Arc::clone(&accounts),
            clock: Arc::clone(&clock),
        };
        let presence = Presence::start(config.presence, deps, &shutdown, &end).await?;
        let realtime = Self(Arc::new(Shared {
            config,
            session: Arc::new(config.session),
            hub,
            devices,
            accounts,
            pages: Pages::new(pool, shards, config.page, config.pages_at_once),
            nats,
            commands,
            presence,
            clock,
            shutdown,
            sockets: TaskTracker::new(),
            counters: SocketCounters::default(),
        }));
        realtime.follow(shards, &end);
        Ok(realtime)
    }

    /// The tasks end, by `end`, after the last socket.
    fn follow(&self, shards: u16, end: &CancellationToken) {
        let Shared { hub, devices, nats, pages, shutdown, sockets, .. } = &*self.0;
        for shard in 0..shards {
            let told = Told {
                hub: Arc::clone(hub),
                devices: Arc::clone(devices),
                accounts: Arc::clone(&self.0.accounts),
                presence: self.0.presence.clone(),
            };
            let loader = Loader::new(pages.pool().clone(), nats.clone(), shard);
            shutdown.spawn(follow::shard(told, nats.clone(), loader, shard, end.clone()));
        }
        shutdown.spawn(Arc::clone(devices).settle(end.clone()));
        shutdown.spawn(follow::typing(Arc::clone(hub), nats.clone(), end.clone()));
        let (soft, hard) = (shutdown.soft().clone(), shutdown.hard().clone());
        let sockets = sockets.clone();
        let end = end.clone();
        shutdown.spawn(async move {
            soft.cancelled().await;
            sockets.close();
            tokio::select! {
                () = sockets.wait() => {}
                () = hard.cancelled() => {}
            }
            end.cancel();
        });
    }

    pub fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    pub fn presence(&self) -> &Presence {
        &self.0.presence
    }

    pub fn devices(&self) -> &Arc<Devices> {
        &self.0.devices
    }

    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Whether reconnects can be served from memory: the tails have reached the end that the log
    /// had at start.
    pub fn is_ready(&self) -> bool {
        self.0.hub.is_ready()
    }

    pub fn counters(&self) -> &SocketCounters {
        &self.0.counters
    }

    /// An identity in the terms of a session: its end as a moment of the monotonic clock.
    fn who(&self, identity: Identity) -> Who {
        let left = identity.expires_at.unix_millis().saturating_sub(self.0.clock.now_millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        let now = Instant::now();
        // A token for longer than the machine's clock can count is a token for a year.
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Who {
            user_id: identity.user_id,
            device_id: identity.device_id,
            registration: identity.registration,
            scope: identity.scope,
            expires_at: now + left.min(year),
        }
    }

    fn count_close(&self, close: Close) {
        let place = Close::ALL.iter().position(|other| *other == close);
        if let Some(counter) = place.and_then(|place| self.0.counters.closed.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}
