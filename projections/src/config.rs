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
    /// `PARLEY_RESPONSE_TIMES`: whether summaries tell how fast the other answers.
    pub response_times: Option<ResponseTimes>,
}

/// How the times are computed.
#[derive(Debug, Clone, Copy)]
pub struct ResponseTimes {
    /// `PARLEY_RESPONSE_TIME_REFRESH_SECONDS`: no more often than this, a person.
    pub every: Duration,
    /// `PARLEY_RESPONSE_TIME_QUEUE_USERS`: the most people who wait for it in this process.
    pub waiting_people: usize,
}

impl Config {
    /// Problems are collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let is_wanted = env.bool("PARLEY_RESPONSE_TIMES", false);
        let response_times = ResponseTimes {
            every: env.duration_seconds("PARLEY_RESPONSE_TIME_REFRESH_SECONDS", 3_600, 1..=604_800),
            waiting_people: env.usize("PARLEY_RESPONSE_TIME_QUEUE_USERS", 10_000, 1..=1_000_000),
        };
        Self {
            database_url: env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            nats_url: env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            shards: env.u16("PARLEY_SHARDS", 4, 1..=MAX_SHARDS),
            batch_events: env.usize("PARLEY_PROJECTION_BATCH_EVENTS", 1_000, 1..=10_000),
            linger: env.duration_millis("PARLEY_PROJECTION_LINGER_MILLIS", 5, 0..=1_000),
            response_times: is_wanted.then_some(response_times),
        }
    }
}
