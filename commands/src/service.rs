//! The service as a whole: its shards, and the NATS endpoints for backend services.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::service::ServiceExt;
use futures_util::{StreamExt, stream::FuturesUnordered};
use parley_nats::{
    Connection, Failure,
    lease::Leases,
    subjects::{COMMAND_QUEUE, command_subject},
    topology,
};
use parley_runtime::shutdown::Shutdown;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::Client,
    config::Config,
    keeper::Keeper,
    owner::Owner,
    rates::Limiter,
    tidy::Tidy,
    verbs::{Means, Verb, answer},
};

/// How often the views are asked how far they are.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);
/// Requests of one verb that an instance works on at once.
const REQUESTS_IN_FLIGHT: usize = 1_000;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Nats(#[from] Failure),
    #[error("the NATS service could not be announced: {0}")]
    Service(String),
    #[error("PostgreSQL is not usable: {0}")]
    Database(#[from] parley_projections::Failure),
}

/// Runs until `shutdown`; hands its shards over at its soft end.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let instance = Uuid::now_v7().simple().to_string();
    let connection =
        parley_nats::connect(&config.nats_url, &format!("parley commands {instance}")).await?;
    let deployment = topology::ensure(&connection, &config.topology).await?;
    let pool = parley_projections::connect(
        &config.database_url,
        "parley commands",
        config.database_connections,
    )?;
    let checkpoints = Checkpoints::watch(&pool, deployment.shards, shutdown.soft().clone());
    let ttl = config.topology.lease_ttl;
    let leases = Leases::open(&connection, &instance, config.topology.replicas, ttl).await?;
    let client = Client::new(connection.clone(), deployment.shards, config.client.clone());
    let make_owner = {
        let (connection, config, pool) = (connection.clone(), config.clone(), pool.clone());
        let tidy = Tidy {
            connection: connection.clone(),
            pool: pool.clone(),
            client: client.clone(),
            config: config.tidy,
        };
        move |shard| Owner {
            connection: connection.clone(),
            pool: pool.clone(),
            shard,
            checkpoint: checkpoints.of(shard),
            committer: config.committer.clone(),
            config: config.owner.clone(),
            tidy: tidy.clone(),
            limiter: Arc::new(Mutex::new(Limiter::new(config.owner.rate_windows))),
        }
    };
    let keeper =
        Keeper::new(connection.clone(), leases, ttl, deployment.shards, Box::new(make_owner));
    shutdown.spawn(keeper.run(shutdown.soft().clone()));
    serve_nats(connection, Means { client, pool }, shutdown).await
}

/// How far the views of each shard are.
struct Checkpoints {
    by_shard: Vec<watch::Receiver<Option<u64>>>,
}

impl Checkpoints {
    fn watch(pool: &PgPool, shards: u16, soft: CancellationToken) -> Self {
        let (senders, by_shard): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| watch::channel(None)).unzip();
        let pool = pool.clone();
        tokio::spawn(async move {
            let asking = async {
                loop {
                    match parley_projections::checkpoints(&pool, shards).await {
                        Ok(positions) => {
                            for (sender, position) in senders.iter().zip(positions) {
                                sender.send_if_modified(|known| {
                                    // Never back: what memory forgot once must stay covered.
                                    let newer = Some(position) > *known;
                                    if newer {
                                        *known = Some(position);
                                    }
                                    newer
                                });
                            }
                        }
                        Err(error) => tracing::debug!(%error, "the views cannot be asked"),
                    }
                    tokio::time::sleep(CHECKPOINT_INTERVAL).await;
                }
            };
            soft.run_until_cancelled(asking).await;
        });
        Self { by_shard }
    }

    fn of(&self, shard: u16) -> watch::Receiver<Option<u64>> {
        self.by_shard[usize::from(shard)].clone()
    }
}

async fn serve_nats(connection: Connection, means: Means, shutdown: Shutdown) -> Result<(), Error> {
    let announced = |error: async_nats::Error| Error::Service(error.to_string());
    let service = connection
        .client()
        .service_builder()
        .description("Commands of Parley: one endpoint a verb, the HTTP bodies plus conversationId")
        .queue_group(COMMAND_QUEUE)
        .start("parley", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(announced)?;
    for verb in Verb::all() {
        let mut endpoint = service
            .endpoint_builder()
            .name(verb.as_str().replace('.', "-"))
            .add(command_subject(verb.as_str()))
            .await
            .map_err(announced)?;
        let means = means.clone();
        let soft = shutdown.soft().clone();
        shutdown.spawn(async move {
            let mut working = FuturesUnordered::new();
            loop {
                tokio::select! {
                    biased;
                    Some(()) = working.next() => {}
                    () = soft.cancelled() => break,
                    request = endpoint.next(), if working.len() < REQUESTS_IN_FLIGHT => {
                        match request {
                            Some(request) => working.push(answer(verb, request, &means)),
                            None => break,
                        }
                    }
                }
            }
            if let Err(error) = endpoint.stop().await {
                tracing::debug!(%error, "an endpoint was gone already");
            }
            while working.next().await.is_some() {}
        });
    }
    shutdown.soft().cancelled().await;
    if let Err(error) = service.stop().await {
        tracing::debug!(%error, "the NATS service was gone already");
    }
    Ok(())
}
