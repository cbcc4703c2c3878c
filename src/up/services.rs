//! The services of `parley up`, in one process.

use std::net::SocketAddr;

use parley_runtime::config::{ConfigError, Env};
use parley_runtime::shutdown::Shutdown;
use tokio::task::{JoinError, JoinSet};

use super::secrets::{self, Secrets};
use crate::failure::Failure;
use crate::{migrate, settings, topology};

/// What every service reads from the environment, completed by what `up` knows.
pub struct Services {
    commands: parley_commands::Config,
    projections: parley_projections::Config,
    gateway: parley_gateway::Config,
    notifier: parley_notifier::Config,
}

impl Services {
    /// Reads all configurations.
    pub fn configure(
        mut env: Env,
        listen: SocketAddr,
        nats_url: &str,
        database_url: &str,
        secrets: &Secrets,
    ) -> Result<Self, ConfigError> {
        env.set(settings::NATS_URL, nats_url);
        env.set(settings::DATABASE_URL, database_url);
        env.set("PARLEY_LISTEN", listen.to_string());
        env.set_default("PARLEY_DEV", "true");
        // Whoever tries it sees what becomes of a deleted message.
        env.set_default("PARLEY_ERASE_GRACE_SECONDS", "0");
        env.set_default(secrets::JWT_VARIABLE, &secrets.jwt);
        env.set_default(secrets::SESSION_VARIABLE, &secrets.session);
        env.set_default(secrets::LINK_VARIABLE, &secrets.links);
        env.set_default(secrets::ATTACHMENTS_VARIABLE, &secrets.attachments);
        env.set_default("PARLEY_ALLOWED_ORIGINS", origins(listen));
        let services = Self {
            commands: parley_commands::Config::from_env(&mut env),
            projections: parley_projections::Config::from_env(&mut env),
            gateway: parley_gateway::Config::from_env(&mut env),
            notifier: parley_notifier::Config::from_env(&mut env),
        };
        env.finish().map(|()| services)
    }

    /// Brings the schema and the streams up to date.
    pub async fn prepare(&self) -> Result<(), Failure> {
        let schema = migrate::apply(&self.projections.database_url);
        let streams = topology::apply(&self.commands.nats_url, &self.commands.topology);
        tokio::try_join!(schema, streams).map(|_| ())
    }

    /// Runs all services until `shutdown`, or until one of them ends, which ends the others.
    ///
    /// The gateway goes first: what it has taken on, the others still finish.
    pub async fn run(self, shutdown: &Shutdown) -> Result<(), Failure> {
        let core = shutdown.later();
        let mut running = JoinSet::new();
        let commands = Box::pin(parley_commands::run(self.commands, core.clone()));
        running.spawn(async { (Part::Core, commands.await.map_err(Failure::from)) });
        let projections = Box::pin(parley_projections::run(self.projections, core.clone()));
        running.spawn(async { (Part::Core, projections.await.map_err(Failure::from)) });
        let notifier = Box::pin(parley_notifier::run(self.notifier, core.clone()));
        running.spawn(async { (Part::Core, notifier.await.map_err(Failure::from)) });
        let gateway = Box::pin(parley_gateway::run(self.gateway, shutdown.clone()));
        let edge = shutdown.clone();
        running.spawn(async move {
            let ended = gateway.await.map_err(Failure::from);
            // It returns when it takes nothing new; what it had taken on goes on as tasks.
            edge.begin();
            edge.drained().await;
            (Part::Edge, ended)
        });

        let mut outcome = Ok(());
        loop {
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                () = shutdown.hard().cancelled() => None,
            };
            let Some(ended) = ended else { break };
            let (part, result) = ended.unwrap_or_else(panicked);
            outcome = outcome.and(result);
            shutdown.begin();
            match part {
                Part::Edge => core.begin(),
                // Without one of these the other cannot be waited for much longer: the gateway
                // is told, and its end tells the rest.
                Part::Core => {}
            }
        }
        core.begin();
        core.drained().await;
        outcome
    }
}

/// Which of the two ends first.
#[derive(Clone, Copy)]
enum Part {
    Edge,
    Core,
}

fn panicked(error: JoinError) -> (Part, Result<(), Failure>) {
    // Whichever it was: the rest is told at once.
    (Part::Edge, Err(Failure::internal(format!("a service ended unexpectedly: {error}"))))
}

/// The page's own origins, by the names that a browser on this machine may use.
fn origins(listen: SocketAddr) -> String {
    let port = listen.port();
    format!("http://localhost:{port},http://127.0.0.1:{port},http://{listen}")
}
