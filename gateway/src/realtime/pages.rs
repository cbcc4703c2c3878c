//! Pages of a sync, read from the views.

use std::time::Duration;

use parley_domain::UserId;
use parley_projections::{
    Failure,
    queries::{SyncCursor, SyncLimits, sync_page},
};
use rand::Rng;
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::sync::{Page, PageRequest};

/// Between two looks at views that lag behind the rings.
const LAG: Duration = Duration::from_millis(100);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// The account as a page shows it that has nothing to say of it.
#[derive(Serialize)]
struct Unchanged {}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum NoPage {
    #[error("the token's page is not one of this version")]
    Cursor,
    #[error("NATS does not say where the log ends")]
    End,
    #[error(transparent)]
    Views(#[from] Failure),
    #[error("a page cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// Reads pages, a few at a time: thousands of devices may ask at once.
#[derive(Debug)]
pub struct Pages {
    pool: PgPool,
    shards: u16,
    limits: SyncLimits,
    slots: Semaphore,
}

impl Pages {
    pub fn new(pool: PgPool, shards: u16, limits: SyncLimits, at_once: usize) -> Self {
        Self { pool, shards, limits, slots: Semaphore::new(at_once) }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Reads until it succeeds. A cursor that cannot be read means the first page again.
    pub async fn read(&self, user: &UserId, request: &PageRequest) -> Page {
        if request.lagging {
            tokio::time::sleep(LAG).await;
        }
        let mut backoff = FIRST_BACKOFF;
        let mut fresh = None;
        loop {
            match self.try_read(user, fresh.as_ref().unwrap_or(request), self.limits).await {
                Ok(page) => return page,
                Err(NoPage::Cursor) if fresh.is_none() => {
                    fresh = Some(PageRequest { since: None, cursor: None, lagging: false });
                }
                Err(error) => {
                    tracing::debug!(%error, "a sync waits for the views");
                    // Spread out, so that a database that comes back is not met by all at once.
                    let pause = rand::rng().random_range(backoff / 2..backoff);
                    tokio::time::sleep(pause).await;
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                }
            }
        }
    }

    /// Reads once.
    pub async fn try_read(
        &self,
        user: &UserId,
        request: &PageRequest,
        limits: SyncLimits,
    ) -> Result<Page, NoPage> {
        let cursor: Option<SyncCursor> = match &request.cursor {
            None => None,
            Some(cursor) => Some(serde_json::from_str(cursor).map_err(|_| NoPage::Cursor)?),
        };
        // The semaphore is never closed; without a slot the pool itself is the bound.
        let _slot = self.slots.acquire().await.ok();
        let since = request.since.as_deref();
        let found = sync_page(&self.pool, self.shards, user, since, cursor, limits).await?;
        let account = match &found.account {
            Some(account) => serde_json::value::to_raw_value(account)?,
            None => serde_json::value::to_raw_value(&Unchanged {})?,
        };
        let next = found.next.map(|next| serde_json::to_string(&next)).transpose()?;
        let mut checkpoints = found.checkpoints;
        checkpoints.resize(usize::from(self.shards), 0);
        Ok(Page {
            checkpoints: checkpoints.into(),
            is_empty: found.conversations.is_empty() && found.account.is_none(),
            account,
            conversations: serde_json::value::to_raw_value(&found.conversations)?,
            next: next.map(Into::into),
        })
    }
}
