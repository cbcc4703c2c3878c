//! `parley gateway`: serves HTTP, WebSockets and the page.

use parley_gateway::Config;
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::service;

pub async fn run(env: Env) -> Result<(), Failure> {
    service::run(env, Config::from_env, parley_gateway::run).await
}
