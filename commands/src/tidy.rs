//! What the owner of a shard does beside deciding: messages whose time is over are deleted, and
//! what was deleted is erased from the log.
//!
//! Both look into the views for what is due, and both may be done twice without harm: for a moment
//! there may be two owners.

mod erasure;
mod expiry;

use std::time::Duration;

use parley_nats::Connection;
use sqlx::PgPool;

use crate::{client::Client, config::TidyConfig};

/// How long after a failure it is tried again, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// What a shard is tidied with.
#[derive(Debug, Clone)]
pub struct Tidy {
    pub connection: Connection,
    pub pool: PgPool,
    pub client: Client,
    pub config: TidyConfig,
}

impl Tidy {
    /// Until it is dropped.
    pub async fn run(self, shard: u16) {
        tokio::join!(expiry::run(&self, shard), erasure::run(&self, shard));
    }
}

/// A server's absence: said once when it begins and once when it ends.
struct Outage {
    what: &'static str,
    shard: u16,
    is_on: bool,
}

impl Outage {
    fn new(what: &'static str, shard: u16) -> Self {
        Self { what, shard, is_on: false }
    }

    async fn failed(&mut self, error: impl std::fmt::Display) {
        let (what, shard) = (self.what, self.shard);
        if !self.is_on {
            tracing::warn!(shard, what, %error, "a shard is not tidied for now");
        }
        self.is_on = true;
        tokio::time::sleep(PAUSE).await;
    }

    fn over(&mut self) {
        if self.is_on {
            tracing::info!(shard = self.shard, what = self.what, "a shard is tidied again");
        }
        self.is_on = false;
    }
}
