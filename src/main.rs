//! `parley`: all services in one program, and one at a time.

mod bench;
mod cli;
mod commands;
mod dead_letters;
mod failure;
mod gateway;
mod hold;
mod metrics;
mod migrate;
mod notifier;
mod projections;
mod rebuild;
mod replay;
mod service;
mod settings;
mod token;
mod topology;
mod up;
mod why;

use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parley_runtime::config::Env;
use parley_runtime::exit::Exit;
use parley_runtime::telemetry;

use crate::cli::Command;
use crate::failure::Failure;

/// Messages are many small allocations of many sizes, made on one thread and freed on another;
/// the C library's allocator spent a third of the services' time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    match run(command) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("parley: {failure}");
            failure.exit().into()
        }
    }
}

/// A gateway has a file descriptor a socket; the usual soft limit is 1,024.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // One provider for every TLS connection of the process, whoever opens it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| Failure::internal("a rustls provider is installed already"))?;
    let mut env = Env::from_process();
    let log = telemetry::Config::from_env(&mut env);
    telemetry::init(&log);
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))?
        .block_on(async {
            match command {
                Command::Up(args) => up::run(args, env).await,
                Command::Commands => commands::run(env).await,
                Command::Projections => projections::run(env).await,
                Command::Gateway => gateway::run(env).await,
                Command::Notifier => notifier::run(env).await,
                Command::Migrate => migrate::run(env).await,
                Command::Topology => topology::run(env).await,
                Command::Hold(args) => hold::run(args, env).await,
                Command::Rebuild => rebuild::rebuild(env).await,
                Command::Verify => rebuild::verify(env).await,
                Command::Replay(args) => replay::run(args, env).await,
                Command::Why(args) => why::run(args, env).await,
                Command::DeadLetters(args) => dead_letters::run(args, env).await,
                Command::Bench(args) => bench::run(args).await,
                Command::Token(args) => token::run(&args, env),
            }
        })
}
