//! The servers that `parley up` runs on: private ones, unless it was given others.

use std::path::Path;
use std::sync::Arc;

use parley_runtime::engines::EngineError;
use parley_runtime::engines::nats::{NatsOptions, NatsServer};
use parley_runtime::engines::postgres::{Postgres, PostgresOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Where NATS and PostgreSQL are, and the private ones among them.
pub struct Engines {
    pub nats_url: String,
    pub database_url: String,
    nats: Option<Arc<NatsServer>>,
    postgres: Option<Arc<Postgres>>,
    supervisors: JoinSet<()>,
    stop: CancellationToken,
}

impl Engines {
    /// Starts what is not given, both at once, and returns when they answer.
    pub async fn start(
        dir: &Path,
        nats_url: Option<String>,
        database_url: Option<String>,
    ) -> Result<Self, EngineError> {
        let nats = async {
            match nats_url {
                Some(url) => Ok((url, None)),
                None => NatsServer::start(dir, NatsOptions::default())
                    .await
                    .map(|server| (server.url(), Some(Arc::new(server)))),
            }
        };
        let postgres = async {
            match database_url {
                Some(url) => Ok((url, None)),
                None => Postgres::start(dir, PostgresOptions::default())
                    .await
                    .map(|server| (server.url(), Some(Arc::new(server)))),
            }
        };
        let ((nats_url, nats), (database_url, postgres)) = tokio::try_join!(nats, postgres)?;
        let mut engines = Self {
            nats_url,
            database_url,
            nats,
            postgres,
            supervisors: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        engines.supervise();
        Ok(engines)
    }

    fn supervise(&mut self) {
        if let Some(nats) = self.nats.clone() {
            let stop = self.stop.clone();
            self.supervisors.spawn(async move { nats.supervise(stop).await });
        }
        if let Some(postgres) = self.postgres.clone() {
            let stop = self.stop.clone();
            self.supervisors.spawn(async move { postgres.supervise(stop).await });
        }
    }

    /// Stops the private engines cleanly.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.supervisors.join_next().await.is_some() {}
    }
}
