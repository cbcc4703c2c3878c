//! `parley projections`: keeps the views in PostgreSQL equal to the log.

use parley_projections::Config;
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::service;

pub async fn run(env: Env) -> Result<(), Failure> {
    service::run_counted(env, Config::from_env, parley_projections::run).await
}
