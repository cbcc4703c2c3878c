//! The service: all of it in one process, any number of which share the work.

use std::sync::Arc;

use parley_commands::Client;
use parley_nats::Connection as Nats;
use parley_projections::elected::{Candidate, Role};
use parley_runtime::{
    clock::{Clock, SystemClock},
    shutdown::Shutdown,
};
use sqlx::PgPool;
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    channels::{CannotOpen, ChannelKind, Channels},
    config::{Config, NotifyConfig},
    dead_endpoints::Remover,
    decider::Decider,
    deliver::{Worker, compose::Composer},
    follow::Follower,
    presence::Presence,
    sweep,
    thread::store::Threads,
};

/// Deciders in one process: while one waits for the database, another works.
const DECIDERS: usize = 2;

/// Why notifying cannot go on; what may pass by itself is waited for instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Follow(#[from] parley_projections::Error),
    #[error(transparent)]
    Channels(#[from] CannotOpen),
}

impl From<parley_nats::Failure> for Error {
    fn from(failure: parley_nats::Failure) -> Self {
        Self::Follow(failure.into())
    }
}

impl From<parley_projections::Failure> for Error {
    fn from(failure: parley_projections::Failure) -> Self {
        Self::Follow(failure.into())
    }
}

/// Runs the notifier until `shutdown` begins; what is under way is finished.
///
/// # Errors
/// If NATS cannot be reached at the start, the deployment has another number of shards, a log was
/// replaced, or a channel cannot be opened. Anything that may pass by itself is waited for.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let Config { notify, channels, links } = config;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let nats = parley_nats::connect(&notify.nats_url, "parley-notifier").await?;
    if let Some(deployment) = parley_nats::topology::find(&nats).await?
        && deployment.shards != notify.shards
    {
        let (deployed, configured) = (deployment.shards, notify.shards);
        return Err(parley_nats::Failure::ShardsDiffer { deployed, configured }.into());
    }
    let pool = parley_projections::connect(
        &notify.database_url,
        "parley-notifier",
        notify.database_connections,
    )?;
    let channels = Arc::new(Channels::open(channels, Arc::clone(&clock))?);
    let composer = Arc::new(Composer::new(pool.clone(), links));
    let service = Service { config: Arc::new(notify), nats, pool, clock, shutdown };
    service.run(channels, composer).await
}

struct Service {
    config: Arc<NotifyConfig>,
    nats: Nats,
    pool: PgPool,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

impl Service {
    async fn run(self, channels: Arc<Channels>, composer: Arc<Composer>) -> Result<(), Error> {
        let Self { config, nats, pool, clock, shutdown } = &self;
        let delivers = Arc::new(Notify::new());
        let presence = Presence::new(nats.clone(), config.replicas, config.presence_lease);
        shutdown.spawn(presence.clone().run(shutdown.soft().clone()));
        for _ in 0..DECIDERS {
            let decider = Decider {
                config: Arc::clone(config),
                pool: pool.clone(),
                threads: Threads::new(pool.clone()),
                presence: presence.clone(),
                clock: Arc::clone(clock),
                delivers: Arc::clone(&delivers),
            };
            shutdown.spawn(decider.run(shutdown.soft().clone()));
        }
        for channel in ChannelKind::ALL {
            let worker = Worker {
                channel,
                config: config.deliver.clone(),
                pool: pool.clone(),
                channels: Arc::clone(&channels),
                composer: Arc::clone(&composer),
                clock: Arc::clone(clock),
                delivers: Arc::clone(&delivers),
            };
            shutdown.spawn(worker.run(shutdown.soft().clone()));
        }
        let remover = Remover {
            config: config.remove.clone(),
            pool: pool.clone(),
            commands: Client::new(nats.clone(), config.shards, config.remove.client.clone()),
            clock: Arc::clone(clock),
        };
        shutdown.spawn(remover.run(shutdown.soft().clone()));
        let sweeping = sweep::run(
            pool.clone(),
            Arc::clone(clock),
            config.decide.kept,
            shutdown.soft().clone(),
        );
        shutdown.spawn(sweeping);
        self.follow(presence).await
    }

    /// Until all followers have ended. If one of them cannot go on, the others are not left running
    /// alone.
    async fn follow(&self, presence: Presence) -> Result<(), Error> {
        let Self { config, nats, clock, shutdown, .. } = self;
        let stop = shutdown.soft().child_token();
        let mut followers = JoinSet::new();
        for shard in 0..config.shards {
            let candidate =
                Candidate::new(Role::Notifier, shard, &config.database_url, stop.clone())?;
            let follower = Follower {
                shard,
                config: Arc::clone(config),
                nats: nats.clone(),
                presence: presence.clone(),
                clock: Arc::clone(clock),
                stop: stop.clone(),
            };
            followers.spawn(candidate.run(follower));
        }
        let mut result = Ok(());
        while let Some(ended) = tokio::select! {
            ended = followers.join_next() => ended,
            () = shutdown.hard().cancelled() => None,
        } {
            let ended = ended.unwrap_or_else(|error| {
                Err(parley_projections::Error::Panicked(error.to_string()))
            });
            stop.cancel();
            result = result.and(ended);
        }
        shutdown.begin();
        Ok(result?)
    }
}
