//! A private nats-server with JetStream.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, Recipe};
use super::error::EngineError;
use super::leftovers::{self, ProcessEntry};
use super::lock::create_private_dir;
use super::spawn::{self, Privileges, Terms};
use super::{binaries, nats_probe, ports};

/// When JetStream flushes what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncInterval {
    /// Before the acknowledgement: it survives the loss of power.
    Always,
    /// At least every so many milliseconds.
    Millis(u32),
}

/// A server's place in a cluster on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMember {
    pub server_name: String,
    pub port: u16,
    /// The cluster ports of all members.
    pub route_ports: Vec<u16>,
}

/// How to run a private nats-server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsOptions {
    pub sync_interval: SyncInterval,
    /// Whether to serve `/varz`, `/jsz` and the like on a port of its own.
    pub monitoring: bool,
    pub cluster: Option<ClusterMember>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self { sync_interval: SyncInterval::Always, monitoring: false, cluster: None }
    }
}

/// A private nats-server. Dropping it kills it; [`NatsServer::stop`] stops it cleanly.
pub struct NatsServer {
    engine: Engine<NatsRecipe>,
    port: u16,
    monitoring_port: Option<u16>,
}

impl NatsServer {
    /// Starts a nats-server that keeps its data below `dir`, and returns once JetStream answers.
    /// Hold the [`DirLock`](super::DirLock) of `dir`.
    ///
    /// # Errors
    /// Any [`EngineError`] but `Locked` and `Untraversable`.
    pub async fn start(dir: &Path, options: NatsOptions) -> Result<Self, EngineError> {
        let program = binaries::nats_server()?;
        let home = dir.join("nats");
        create_private_dir(&home)?;
        let home = fs::canonicalize(&home).map_err(EngineError::file("cannot find", &home))?;
        let log = dir.join("nats.log");
        // A leftover would hold the port and so make it look taken.
        let config_file = config_file(&home);
        let is_ours = |process: &ProcessEntry| is_server_of(&config_file, process);
        leftovers::end(NatsRecipe::NAME, NatsRecipe::DEATH, is_ours).await?;
        let port_file = home.join("port");
        let mut port = ports::kept(&port_file)?;
        let monitoring_port = match options.monitoring {
            true => Some(ports::kept(&home.join("monitoring_port"))?),
            false => None,
        };
        let mut choices = ports::CHOICES;
        loop {
            choices -= 1;
            let recipe = NatsRecipe {
                program: program.clone(),
                home: home.clone(),
                port,
                monitoring_port,
                options: options.clone(),
            };
            let server = Self { engine: Engine::new(recipe, log.clone()), port, monitoring_port };
            match server.engine.start().await {
                Err(EngineError::Exited { log_tail, .. })
                    if choices > 0 && log_tail.contains("address already in use") =>
                {
                    tracing::warn!(port, "the port of nats-server was taken, choosing another");
                    port = ports::renew(&port_file)?;
                }
                started => return started.map(|()| server),
            }
        }
    }

    /// `nats://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` of the monitoring pages, if they were asked for.
    #[must_use]
    pub fn monitoring_url(&self) -> Option<String> {
        self.monitoring_port.map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// The server's process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.engine.pid()
    }

    /// Starts the server again whenever it dies; once `stop` is cancelled, stops it cleanly and
    /// returns.
    pub async fn supervise(&self, stop: CancellationToken) {
        self.engine.supervise(stop).await;
    }

    /// Stops it cleanly, within ten seconds.
    pub async fn stop(&self) {
        self.engine.stop().await;
    }

    #[cfg(feature = "testing")]
    pub(super) const fn engine(&self) -> &Engine<NatsRecipe> {
        &self.engine
    }

    /// Returns once a replicated stream can be created, for a member of a cluster.
    ///
    /// # Errors
    /// [`EngineError::NotReady`] after 30 seconds.
    #[cfg(feature = "testing")]
    pub(super) async fn wait_for_replicas(&self, replicas: usize) -> Result<(), EngineError> {
        const WITHIN: Duration = Duration::from_secs(30);
        let create = format!(
            r#"{{"name":"parley_probe","subjects":["parley.probe"],"retention":"limits","storage":"memory","num_replicas":{replicas}}}"#
        );
        let deadline = std::time::Instant::now() + WITHIN;
        loop {
            let attempt = async {
                nats_probe::request(self.port, "$JS.API.STREAM.CREATE.parley_probe", &create)
                    .await?;
                nats_probe::request(self.port, "$JS.API.STREAM.DELETE.parley_probe", "").await
            };
            let last = match tokio::time::timeout(Duration::from_secs(5), attempt).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => "no answer".to_owned(),
            };
            if std::time::Instant::now() > deadline {
                return Err(EngineError::NotReady {
                    engine: NatsRecipe::NAME,
                    within: WITHIN,
                    last,
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(super) struct NatsRecipe {
    program: PathBuf,
    home: PathBuf,
    port: u16,
    monitoring_port: Option<u16>,
    options: NatsOptions,
}

impl NatsRecipe {
    fn pid_file(&self) -> PathBuf {
        self.home.join("nats.pid")
    }

    fn config(&self) -> String {
        let quoted = |path: &Path| {
            let text = path.to_string_lossy();
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let sync_interval = match self.options.sync_interval {
            SyncInterval::Always => "always".to_owned(),
            SyncInterval::Millis(millis) => format!("\"{millis}ms\""),
        };
        let member = self.options.cluster.as_ref();
        let mut config = format!(
            "# Written by parley at each start: changes are lost.\n\
             server_name: \"{name}\"\n\
             host: \"127.0.0.1\"\n\
             port: {port}\n\
             pid_file: {pid_file}\n\
             jetstream {{\n  store_dir: {store}\n  sync_interval: {sync_interval}\n}}\n",
            name = member.map_or("parley", |member| member.server_name.as_str()),
            port = self.port,
            pid_file = quoted(&self.pid_file()),
            store = quoted(&self.home.join("store")),
        );
        if let Some(port) = self.monitoring_port {
            config.push_str(&format!("http: \"127.0.0.1:{port}\"\n"));
        }
        if let Some(member) = member {
            let routes: Vec<String> = member
                .route_ports
                .iter()
                .map(|port| format!("\"nats-route://127.0.0.1:{port}\""))
                .collect();
            config.push_str(&format!(
                "cluster {{\n  name: \"parley\"\n  listen: \"127.0.0.1:{}\"\n  routes: [{}]\n}}\n",
                member.port,
                routes.join(", ")
            ));
        }
        config
    }
}

impl Recipe for NatsRecipe {
    const NAME: &'static str = "nats-server";
    const STOP: Signal = Signal::SIGTERM;
    const DEATH: Signal = Signal::SIGKILL;

    fn is_ours(&self, process: &ProcessEntry) -> bool {
        is_server_of(&config_file(&self.home), process)
    }

    fn remove_stale_files(&self) -> Result<(), EngineError> {
        remove_if_there(&self.pid_file())
    }

    fn command(&self) -> Result<Command, EngineError> {
        let config_file = config_file(&self.home);
        fs::write(&config_file, self.config())
            .map_err(EngineError::file("cannot write", &config_file))?;
        let terms = Terms { privileges: Privileges::Same, death_signal: Self::DEATH };
        let mut command = spawn::command(&self.program, &self.home, terms);
        command.arg("--config").arg(config_file);
        Ok(command)
    }

    async fn probe(&self) -> Result<(), String> {
        // In a cluster only the leader answers, and there may not be one yet: ready then means
        // that the server accepts connections; the cluster as a whole is asked separately.
        if self.options.cluster.is_some() {
            return match tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
        }
        let answer = nats_probe::request(self.port, "$JS.API.INFO", "");
        match tokio::time::timeout(Duration::from_secs(2), answer).await {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn config_file(home: &Path) -> PathBuf {
    home.join("nats.conf")
}

fn is_server_of(config_file: &Path, process: &ProcessEntry) -> bool {
    process.comm.starts_with("nats-server")
        && process.args.iter().any(|arg| Path::new(arg) == config_file)
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), EngineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::file("cannot remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
