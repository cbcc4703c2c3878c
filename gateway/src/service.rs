//! The gateway as a service: everything wired together.

use std::{net::SocketAddr, sync::Arc};

use parley_commands::Client;
use parley_nats::{Connection, topology};
use parley_runtime::{
    clock::{Clock, SystemClock},
    shutdown::Shutdown,
};
use tokio::net::TcpListener;

use crate::{
    attachments::{Attachments, janitor::Janitor},
    auth::AuthenticatorConfig,
    auth::{
        Authenticator, Origins, Sessions, dev::DevTokens, jwks::Jwks, keys::KeyError,
        origin::InvalidOrigin,
    },
    config::{AuthConfig, Config, PublicUrl},
    metrics::Metrics,
    rates::Commands,
    realtime::{Deps, Realtime},
    routes,
    search::Searches,
    server,
    state::{AppState, Parts},
};

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Log(#[from] parley_nats::Failure),
    #[error(transparent)]
    Views(#[from] parley_projections::Failure),
    #[error("cannot listen on {address}: {why}")]
    Listen { address: SocketAddr, why: std::io::Error },
    #[error("a secret cannot be used: {0}")]
    Secret(#[from] KeyError),
    #[error("{0}")]
    Origin(#[from] InvalidOrigin),
    #[error("the system's root certificates cannot be read: {0}")]
    Roots(std::io::Error),
    #[error("the directory of attachments cannot be used: {0}")]
    Attachments(std::io::Error),
    #[error("a metric has no valid name: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the interface's description is not JSON: {0}")]
    Description(#[from] serde_json::Error),
}

/// Runs until `shutdown` ends it softly; what is in flight then is among the tasks of `shutdown`.
///
/// PostgreSQL may be down at the start: history is answered once it is up.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let gateway = Box::pin(Gateway::bind(config, shutdown)).await?;
    gateway.serve().await;
    Ok(())
}

/// A gateway that has its ports, and is about to serve.
pub struct Gateway {
    state: AppState,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    router: axum::Router,
}

impl Gateway {
    /// Connects, and listens; nothing is answered before [`Self::serve`].
    pub async fn bind(config: Config, shutdown: Shutdown) -> Result<Self, Error> {
        let listener = listen(config.listen).await?;
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let nats = parley_nats::connect(&config.nats_url, "parley-gateway").await?;
        let serves_metrics = metrics_listener.is_none();
        let state = state(config, nats, &listener, serves_metrics, shutdown);
        let state = Box::pin(state).await?;
        let router = routes::router(state.clone())?;
        Ok(Self { state, listener, metrics_listener, router })
    }

    /// Where it listens: the port that was free, if any would do.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the soft end.
    pub async fn serve(self) {
        let Self { state, listener, metrics_listener, router } = self;
        let shutdown = state.shutdown.clone();
        let keys = state.clone();
        let soft = shutdown.soft().clone();
        shutdown.spawn(async move {
            tokio::select! {
                () = soft.cancelled() => {}
                () = keys.authenticator.refresh_keys() => {}
            }
        });
        if let Some(listener) = metrics_listener {
            let router = routes::metrics_router(state.clone());
            let (limits, metrics) = (state.limits.clone(), state.metrics.clone());
            let server = server::serve(listener, router, limits, metrics, shutdown.clone());
            shutdown.spawn(server);
        }
        let (limits, metrics) = (state.limits.clone(), state.metrics.clone());
        server::serve(listener, router, limits, metrics, shutdown).await;
    }
}

async fn state(
    config: Config,
    nats: Connection,
    listener: &TcpListener,
    serves_metrics: bool,
    shutdown: Shutdown,
) -> Result<AppState, Error> {
    // The futures of a start are large, and need not lie on the stack of everything above.
    let deployment = Box::pin(topology::ensure(&nats, &config.topology)).await?;
    let shards = deployment.shards;
    let client = Client::new(nats.clone(), shards, config.client);
    let pool = parley_projections::connect(
        &config.database_url,
        "parley-gateway",
        config.database_connections,
    )?;
    let origins = match config.allowed_origins {
        Some(origins) => origins,
        None => own_origins(config.public_url.as_ref(), listener)?,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let commands = Commands::new(client, pool.clone(), config.rates, Arc::clone(&clock));
    let realtime = Realtime::start(
        config.realtime,
        Deps {
            nats: nats.clone(),
            deployment,
            replicas: config.topology.replicas,
            commands: commands.clone(),
            pool: pool.clone(),
            clock: Arc::clone(&clock),
            shutdown: shutdown.clone(),
        },
    )
    .await?;
    let attachments = match config.attachments {
        Some(config) => {
            Some(Arc::new(Attachments::open(config).await.map_err(Error::Attachments)?))
        }
        None => None,
    };
    if let Some(attachments) = attachments.clone() {
        let (pool, nats, shards) = (pool.clone(), nats.clone(), deployment.shards);
        let janitor = Janitor { attachments, pool, nats, shards };
        shutdown.spawn(janitor.run(shutdown.clone()));
    }
    let metrics = Metrics::new()?;
    metrics.watch(realtime.clone())?;
    Ok(AppState::new(Parts {
        authenticator: authenticator(config.auth, config.dev)?,
        origins,
        public_url: config.public_url,
        notify: config.notify,
        attachments,
        limits: config.limits,
        vapid_public_key: config.vapid_public_key,
        serves_metrics,
        nats,
        searches: Searches::new(pool.clone(), shards, config.search),
        pool,
        commands,
        realtime,
        metrics,
        clock,
        shutdown,
    }))
}

fn authenticator(config: AuthConfig, dev: bool) -> Result<Authenticator, Error> {
    Ok(Authenticator::new(AuthenticatorConfig {
        keys: config.keys,
        jwks: config.jwks.map(Jwks::new).transpose().map_err(Error::Roots)?,
        issuer: config.issuer,
        audience: config.audience,
        leeway: config.leeway,
        dev: dev.then(|| DevTokens::new(&config.session_secret)).transpose()?,
        sessions: Sessions::new(&config.session_secret, config.session_ttl)?,
    }))
}

/// The page that this gateway serves itself, however it is reached.
fn own_origins(
    public_url: Option<&PublicUrl>,
    listener: &TcpListener,
) -> Result<Origins, InvalidOrigin> {
    if let Some(url) = public_url {
        return Origins::parse([url.origin().as_str()]);
    }
    let Ok(address) = listener.local_addr() else {
        return Ok(Origins::default());
    };
    let mut hosts = vec![address.to_string()];
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        let port = address.port();
        hosts.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
    }
    let origins: Vec<String> =
        hosts.iter().filter_map(|host| PublicUrl::of_host(host)).map(|url| url.origin()).collect();
    Origins::parse(origins.iter().map(String::as_str))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|why| Error::Listen { address, why })
}
