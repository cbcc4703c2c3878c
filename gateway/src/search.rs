//! Searches of this gateway, a few at a time, so that they leave the database to everybody else.

use parley_domain::UserId;
use parley_projections::queries::{SearchCursor, SearchFor, SearchLimits, SearchPage, search};
use sqlx::PgPool;
use tokio::{sync::Semaphore, time::timeout};

use crate::{config::SearchConfig, error::ApiError};

/// See the module.
#[derive(Debug)]
pub struct Searches {
    pool: PgPool,
    shards: u16,
    config: SearchConfig,
    slots: Semaphore,
}

impl Searches {
    pub fn new(pool: PgPool, shards: u16, config: SearchConfig) -> Self {
        Self { pool, shards, config, slots: Semaphore::new(config.concurrency) }
    }

    /// A page of at most `hits`; `None` if the conversation that is searched does not exist for the
    /// reader.
    ///
    /// # Errors
    /// If there are too many searches, or PostgreSQL does not answer.
    pub async fn page(
        &self,
        reader: &UserId,
        wanted: &SearchFor,
        cursor: Option<SearchCursor>,
        hits: u32,
    ) -> Result<Option<SearchPage>, ApiError> {
        let turn = timeout(self.config.patience, self.slots.acquire()).await;
        // The semaphore is never closed.
        let Ok(_slot) = turn else {
            return Err(ApiError::unavailable("too many people search at the moment"));
        };
        let SearchConfig { scan_messages: messages, time, .. } = self.config;
        let limits = SearchLimits { hits, messages, time };
        Ok(search(&self.pool, self.shards, reader, wanted, cursor, limits).await?)
    }
}
