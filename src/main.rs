//! `parley`: all services in one program, and one at a time.

mod bench;
mod cli;
mod commands;
mod failure;
mod gateway;
mod migrate;
mod projections;
mod service;
mod settings;
mod token;
mod topology;
mod up;

use std::process::ExitCode;

use parley_runtime::config::Env;
use parley_runtime::exit::Exit;
use parley_runtime::telemetry;

use crate::cli::Command;
use crate::failure::Failure;

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

fn run(command: Command) -> Result<(), Failure> {
    // One provider for every TLS connection of the process, whoever opens it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| Failure::internal("a rustls provider is installed already"))?;
    let mut env = Env::from_process();
    let log = telemetry::Config::from_env(&mut env);
    telemetry::init(&log);
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
                Command::Migrate => migrate::run(env).await,
                Command::Topology => topology::run(env).await,
                Command::Bench(args) => bench::run(args).await,
                Command::Token(args) => token::run(&args, env),
            }
        })
}
