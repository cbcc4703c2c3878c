//! What the projectors read from the environment.

use std::time::Duration;

use parley_nats::subjects::MAX_SHARDS;
use parley_runtime::config::Env;

/// How to project the log of a deployment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `PARLEY_DATABASE_URL`. Each shard's projector holds one connection to it.
    pub database_url: String,
    /// `PARLEY_NATS_URL`
    pub nats_url: String,
    /// `PARLEY_SHARDS`: as the deployment was created with.
    pub shards: u16,
    /// `PARLEY_PROJECTION_BATCH_EVENTS`: the most events of one transaction.
    pub batch_events: usize,
    /// `PARLEY_PROJECTION_LINGER_MILLIS`: how long a batch waits for more events after its first;
    /// it delays what the views show, and spares transactions.
    pub linger: Duration,
}

impl Config {
    /// Problems are collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            database_url: env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            nats_url: env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            shards: env.u16("PARLEY_SHARDS", 4, 1..=MAX_SHARDS),
            batch_events: env.usize("PARLEY_PROJECTION_BATCH_EVENTS", 1_000, 1..=10_000),
            linger: env.duration_millis("PARLEY_PROJECTION_LINGER_MILLIS", 5, 0..=1_000),
        }
    }
}
