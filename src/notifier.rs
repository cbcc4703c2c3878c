//! `parley notifier`: tells people who are away that a message waits.

use parley_notifier::Config;
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::service;

pub async fn run(env: Env) -> Result<(), Failure> {
    service::run_counted(env, Config::from_env, parley_notifier::run).await
}
