//! `parley commands`: takes commands, owns shards, appends to the log.

use parley_commands::Config;
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::service;

pub async fn run(env: Env) -> Result<(), Failure> {
    service::run_counted(env, Config::from_env, parley_commands::run).await
}
