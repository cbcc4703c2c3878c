//! A private PostgreSQL.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use rand::Rng;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio_util::sync::CancellationToken;

use super::engine::{self, Engine, Recipe};
use super::error::EngineError;
use super::identity::Identity;
use super::leftovers::{self, ProcessEntry};
use super::lock::create_private_dir;
use super::nats::remove_if_there;
use super::process::Process;
use super::{binaries, ports, spawn};

/// The name of the superuser and of the database made for Parley.
const NAME: &str = "parley";

/// How to run a private PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Whether commits reach the disk before they are acknowledged. Without it a commit still
    /// survives the death of PostgreSQL, but not of the machine: for tests.
    pub fsync: bool,
    pub max_connections: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { fsync: true, max_connections: 100 }
    }
}

/// A private PostgreSQL. Dropping it ends it at once; [`Postgres::stop`] stops it cleanly.
pub struct Postgres {
    engine: Engine<PostgresRecipe>,
    connect: PgConnectOptions,
    url_base: String,
}

impl Postgres {
    /// Starts a PostgreSQL that keeps its data below `dir` (making the cluster at the first
    /// start), and returns once its database `parley` answers. Hold the
    /// [`DirLock`](super::DirLock) of `dir`.
    ///
    /// # Errors
    /// Any [`EngineError`] but `Locked`.
    pub async fn start(dir: &Path, options: PostgresOptions) -> Result<Self, EngineError> {
        let bin_dir = binaries::postgres_dir()?;
        let home = dir.join("postgres");
        create_private_dir(&home)?;
        let home = fs::canonicalize(&home).map_err(EngineError::file("cannot find", &home))?;
        let dir = fs::canonicalize(dir).map_err(EngineError::file("cannot find", dir))?;
        let log = dir.join("postgres.log");
        let data = home.join("data");
        // A leftover would hold the port and so make it look taken.
        let is_ours = |process: &ProcessEntry| is_server_of(&data, process);
        leftovers::end(PostgresRecipe::NAME, PostgresRecipe::DEATH, is_ours).await?;
        let identity = Identity::choose(&data)?;
        let program = bin_dir.join("postgres");
        let (identity, password) = if data.is_dir() {
            let identity = identity.reach(&program, &dir, &data).await?;
            (identity, read_password(&home)?)
        } else {
            initialise(&bin_dir, identity, &dir, &home, options.fsync).await?
        };

        let port_file = home.join("port");
        let mut port = ports::kept(&port_file)?;
        let mut choices = ports::CHOICES;
        loop {
            choices -= 1;
            let connect = PgConnectOptions::new_without_pgpass()
                .host("127.0.0.1")
                .port(port)
                .username(NAME)
                .password(&password)
                .database("postgres")
                .ssl_mode(PgSslMode::Disable)
                .disable_statement_logging();
            let recipe = PostgresRecipe {
                program: program.clone(),
                data: data.clone(),
                identity: identity.clone(),
                port,
                options: options.clone(),
                connect: connect.clone(),
            };
            let server = Self {
                engine: Engine::new(recipe, log.clone()),
                connect,
                url_base: format!("postgres://{NAME}:{password}@127.0.0.1:{port}"),
            };
            match server.engine.start().await {
                Err(EngineError::Exited { log_tail, .. })
                    if choices > 0 && log_tail.contains("Address already in use") =>
                {
                    tracing::warn!(port, "the port of PostgreSQL was taken, choosing another");
                    port = ports::renew(&port_file)?;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    server.create_database(NAME).await?;
                    return Ok(server);
                }
            }
        }
    }

    /// `postgres://parley:PASSWORD@127.0.0.1:PORT/parley`
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url(NAME)
    }

    /// The same with another database.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        format!("{}/{database}", self.url_base)
    }

    /// The postmaster's process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.engine.pid()
    }

    /// Creates an empty database, unless it is there. `name` is `[a-z0-9_]+`.
    ///
    /// # Errors
    /// [`EngineError::Database`].
    pub async fn create_database(&self, name: &str) -> Result<(), EngineError> {
        let mut connection = PgConnection::connect_with(&self.connect).await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        if !there {
            // A database's name cannot be a parameter.
            sqlx::query(&format!("CREATE DATABASE \"{name}\"")).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// Starts the server again whenever it dies; once `stop` is cancelled, stops it cleanly and
    /// returns.
    pub async fn supervise(&self, stop: CancellationToken) {
        self.engine.supervise(stop).await;
    }

    /// Stops it cleanly, within ten seconds. Open connections are cut.
    pub async fn stop(&self) {
        self.engine.stop().await;
    }

    #[cfg(feature = "testing")]
    pub(super) const fn engine(&self) -> &Engine<PostgresRecipe> {
        &self.engine
    }
}

/// Makes the cluster. It gets its final name only when it is whole, so a kill in the middle
/// costs nothing but the time.
async fn initialise(
    bin_dir: &Path,
    identity: Identity,
    dir: &Path,
    home: &Path,
    fsync: bool,
) -> Result<(Identity, String), EngineError> {
    let unfinished = home.join("data.new");
    leftovers::end("initdb", Signal::SIGKILL, |process| {
        process.cwd.as_deref() == Some(unfinished.as_path())
    })
    .await?;
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(EngineError::file("cannot remove", &unfinished))?;
    }
    create_private_dir(&unfinished)?;
    identity.own(&unfinished)?;
    let program = bin_dir.join("initdb");
    let identity = identity.reach(&program, dir, &unfinished).await?;

    let password = new_password();
    let password_file = password_file(home);
    remove_if_there(&password_file)?;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&password_file)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .map_err(EngineError::file("cannot write", &password_file))?;
    // initdb, too, reads it.
    identity.own(&password_file)?;

    let log = dir.join("initdb.log");
    remove_if_there(&log)?;
    let (output, errors) = engine::open_log(&log)?;
    let mut command = spawn::command(&program, &unfinished, identity.terms(Signal::SIGKILL));
    without_postgres_variables(&mut command);
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .arg("--pwfile")
        .arg(&password_file)
        // C.UTF-8: every letter has its lower case, for search, and no system update can change
        // the order of an index.
        .args(["--username", NAME, "--encoding", "UTF8", "--locale", "C.UTF-8"])
        .args(["--auth", "scram-sha-256", "--no-instructions"])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    if !fsync {
        command.arg("--no-sync");
    }
    let status = Process::start(command, Signal::SIGKILL).await?.wait().await;
    if !status.success() {
        return Err(EngineError::Exited {
            engine: "initdb",
            status,
            log_tail: engine::tail(&log, 0),
        });
    }
    remove_if_there(&log)?;
    let data = home.join("data");
    fs::rename(&unfinished, &data).map_err(EngineError::file("cannot rename", &unfinished))?;
    Ok((identity, password))
}

fn password_file(home: &Path) -> PathBuf {
    home.join("password")
}

fn read_password(home: &Path) -> Result<String, EngineError> {
    let file = password_file(home);
    fs::read_to_string(&file).map_err(EngineError::file("cannot read", &file))
}

/// 128 random bits in hexadecimal: nothing in it needs escaping in a URL.
fn new_password() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// The caller's own PostgreSQL settings are not for this server.
fn without_postgres_variables(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("LC_") || text == "LANG" {
            command.env_remove(&name);
        }
    }
}

/// The postmaster and its backends work in the data directory.
fn is_server_of(data: &Path, process: &ProcessEntry) -> bool {
    process.comm == "postgres" && process.cwd.as_deref() == Some(data)
}

pub(super) struct PostgresRecipe {
    program: PathBuf,
    data: PathBuf,
    identity: Identity,
    port: u16,
    options: PostgresOptions,
    connect: PgConnectOptions,
}

impl Recipe for PostgresRecipe {
    const NAME: &'static str = "PostgreSQL";
    /// "Fast": cuts the connections, then shuts down cleanly.
    const STOP: Signal = Signal::SIGINT;
    /// "Immediate": ends all backends, too; the next start recovers from the log.
    const DEATH: Signal = Signal::SIGQUIT;

    fn is_ours(&self, process: &ProcessEntry) -> bool {
        is_server_of(&self.data, process)
    }

    /// The lock file names a process id which, after a reboot or in a new container, may be
    /// anybody's, and PostgreSQL would refuse to start. The directory's lock is ours and no
    /// postgres has it as its working directory, so the file is stale.
    fn remove_stale_files(&self) -> Result<(), EngineError> {
        match remove_if_there(&self.data.join("postmaster.pid")) {
            // A root without its usual capabilities may not enter the directory; PostgreSQL
            // then judges the file by itself, and is nearly always right.
            Err(EngineError::File { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Ok(())
            }
            removed => removed,
        }
    }

    fn command(&self) -> Result<Command, EngineError> {
        let mut command =
            spawn::command(&self.program, &self.data, self.identity.terms(Self::DEATH));
        without_postgres_variables(&mut command);
        let on_or_off = if self.options.fsync { "on" } else { "off" };
        let settings = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", String::new()),
            ("max_connections", self.options.max_connections.to_string()),
            ("shared_buffers", "128MB".to_owned()),
            ("fsync", on_or_off.to_owned()),
            ("full_page_writes", on_or_off.to_owned()),
            ("max_wal_size", "2GB".to_owned()),
            ("checkpoint_completion_target", "0.9".to_owned()),
            // Short, indexed queries: compiling them costs more than it saves.
            ("jit", "off".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("log_destination", "stderr".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_line_prefix", "%m [%p] ".to_owned()),
            // A statement may hold a message's body, and that belongs in no log.
            ("log_min_error_statement", "panic".to_owned()),
            ("log_parameter_max_length_on_error", "0".to_owned()),
        ];
        command.arg("-D").arg(&self.data);
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        Ok(command)
    }

    async fn probe(&self) -> Result<(), String> {
        let attempt = async {
            let mut connection = PgConnection::connect_with(&self.connect).await?;
            sqlx::query("SELECT 1").execute(&mut connection).await?;
            connection.close().await
        };
        attempt.await.map_err(|error: sqlx::Error| error.to_string())
    }
}
