//! `parley topology`: creates the streams and buckets that are missing, and says what is there.

use parley_nats::topology::TopologyConfig;
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

pub async fn run(mut env: Env) -> Result<(), Failure> {
    let nats_url = settings::nats_url(&mut env);
    let config = parley_commands::config::topology(&mut env);
    env.finish()?;
    let deployment = Box::pin(apply(&nats_url, &config)).await?;
    println!("shards  {}\nepoch   {}", deployment.shards, deployment.epoch);
    Ok(())
}

/// Any number of programs may do so at once.
pub async fn apply(
    nats_url: &str,
    config: &TopologyConfig,
) -> Result<parley_nats::topology::Deployment, Failure> {
    let connection = parley_nats::connect(nats_url, "parley topology").await?;
    Ok(Box::pin(parley_nats::topology::ensure(&connection, config)).await?)
}
