//! `parley up`: everything in one process group, ready to be tried.

pub mod engines;
mod ready;
pub mod secrets;
mod services;

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use parley_runtime::config::Env;
use parley_runtime::engines::DirLock;
use parley_runtime::shutdown::Shutdown;

use self::engines::Engines;
use self::secrets::Secrets;
use self::services::Services;
use crate::{failure::Failure, settings};

/// Where `parley up` keeps its data unless told otherwise.
pub const DEFAULT_DATA: &str = ".parley/data";

/// Run everything here: the services, and a private nats-server and PostgreSQL unless given.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the page and the API are served.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the private servers keep their data, and the secrets are.
    #[arg(long, default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Use this NATS (with JetStream) instead of a private one.
    #[arg(long)]
    nats: Option<String>,
    /// Use this PostgreSQL database instead of a private one.
    #[arg(long)]
    database: Option<String>,
}

pub async fn run(args: Args, mut env: Env) -> Result<(), Failure> {
    // The engines need some seconds after the services, and together that should be less than
    // the ten to fifteen seconds that a service manager usually grants.
    let drain = env.duration_seconds("PARLEY_DRAIN_SECONDS", 8, 1..=3_600);
    check(&args, env.clone())?;
    let shutdown = Shutdown::on_signals(drain).map_err(Failure::internal)?;
    let lock = DirLock::take(&args.data)?;
    let secrets = Secrets::of(lock.dir()).map_err(Failure::usage)?;
    let starting = Engines::start(lock.dir(), args.nats.clone(), args.database.clone());
    let engines = tokio::select! {
        engines = starting => engines?,
        // Dropping the start ends what it has begun.
        () = shutdown.soft().cancelled() => return Ok(()),
    };
    let outcome = Box::pin(serve(&args, env, &lock, &secrets, &engines, &shutdown)).await;
    engines.stop().await;
    outcome
}

/// Finds everything that is wrong with the configuration before anything is started or written.
fn check(args: &Args, env: Env) -> Result<(), Failure> {
    let unknown = Secrets::unknown();
    let nats_url = args.nats.as_deref().unwrap_or("nats://127.0.0.1:1");
    let database_url = args.database.as_deref().unwrap_or("postgres://127.0.0.1:1/parley");
    Services::configure(env, args.listen, nats_url, database_url, &unknown)?;
    Ok(())
}

async fn serve(
    args: &Args,
    mut env: Env,
    lock: &DirLock,
    secrets: &Secrets,
    engines: &Engines,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let (nats_url, database_url) = (&engines.nats_url, &engines.database_url);
    // Nothing goes out from here, whatever else is configured.
    env.set(settings::OUTBOX_FILE, lock.dir().join("outbox.jsonl").display().to_string());
    let files = lock.dir().join("attachments").display().to_string();
    env.set_default(settings::ATTACHMENTS_DIR, files);
    let services = Services::configure(env, args.listen, nats_url, database_url, secrets)?;
    tokio::select! {
        prepared = services.prepare() => prepared?,
        () = shutdown.soft().cancelled() => return Ok(()),
    }
    write_settings(lock.dir(), args.listen, engines)?;
    say(&format!("Data        {}", lock.dir().display()));
    say(&format!("NATS        {nats_url}"));
    say(&format!("PostgreSQL  {database_url}"));
    let mut running = std::pin::pin!(services.run(shutdown));
    tokio::select! {
        // First what ends: a program that is told to end while it starts is not ready.
        biased;
        ended = &mut running => return ended,
        () = ready::wait(args.listen) => {}
    }
    say(&format!("Parley is ready at http://{}", ready::reachable(args.listen)));
    running.await
}

/// To whoever started this. A reader that went away, as in `parley up | head`, is no failure.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    drop(writeln!(output, "{line}").and_then(|()| output.flush()));
}

/// Writes `DIR/parley.env`, so that a shell can talk to what runs here:
/// `set -a; . DIR/parley.env; parley verify`.
fn write_settings(dir: &Path, listen: SocketAddr, engines: &Engines) -> Result<(), Failure> {
    let path = dir.join("parley.env");
    let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
    let text = format!(
        "# Written by `parley up` at each start.\n\
         PARLEY_NATS_URL={}\nPARLEY_DATABASE_URL={}\nPARLEY_LISTEN={listen}\n",
        quoted(&engines.nats_url),
        quoted(&engines.database_url),
    );
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}
