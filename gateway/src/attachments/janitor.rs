//! Removes files that nobody needs: those whose message was erased from the log, and those that got
//! none in time. Any number of gateways may do so at once.
//!
//! First what is in a file goes, then what is known of it: whoever is killed in between finds it
//! again. A file is locked meanwhile, so no message gets it any more.

use std::{sync::Arc, time::Duration};

use parley_nats::Connection;
use parley_projections::{
    Failure,
    attachments::{Idle, Removing, Walk, erased},
};
use parley_runtime::shutdown::Shutdown;
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Attachments, metrics};

/// How many files of erased messages are removed before the others are looked at.
const ERASED: u32 = 500;
/// How many files are looked at in a walk's step.
const STEP: u32 = 2_000;
/// How long the views may take to come to where the log ends; else it is tried at the next tick.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(50);

/// What it works with.
pub struct Janitor {
    pub attachments: Arc<Attachments>,
    pub pool: PgPool,
    pub nats: Connection,
    pub shards: u16,
}

/// Why files stay for now.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Views(#[from] Failure),
    #[error(transparent)]
    Log(#[from] parley_nats::Failure),
    #[error("the store refuses: {0}")]
    Store(#[from] std::io::Error),
}

impl Janitor {
    /// Until the soft end.
    pub async fn run(self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(self.attachments.config.tidy_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut walk = Walk::default();
        let mut is_away = false;
        let working = async {
            loop {
                ticks.tick().await;
                match self.sweep(&mut walk).await {
                    Ok(removed) => {
                        if removed > 0 {
                            tracing::info!(removed, "files that nobody needs were removed");
                        }
                        if is_away {
                            tracing::info!("files are tidied again");
                        }
                        is_away = false;
                    }
                    Err(error) => {
                        if !is_away {
                            tracing::warn!(%error, "files are not tidied for now");
                        }
                        is_away = true;
                    }
                }
            }
        };
        shutdown.soft().run_until_cancelled(working).await;
    }

    async fn sweep(&self, walk: &mut Walk) -> Result<usize, Halt> {
        // An upload that is still at work is no older than it may take.
        let bounds = self.attachments.config.bounds;
        let left = self.attachments.store.sweep(2 * (bounds.transfer + bounds.stall)).await?;
        let mut removed = left;
        for idle in erased(&self.pool, ERASED).await? {
            removed += usize::from(self.remove(&idle, "erased").await?);
        }
        if self.is_up_to_date().await? {
            let unused = self.attachments.config.unused;
            for idle in walk.next(&self.pool, unused, STEP).await? {
                removed += usize::from(self.remove(&idle, "unused").await?);
            }
        }
        Ok(removed)
    }

    /// Whether the views have every message that is in the log by now. Without that, one might have
    /// a file of which they know nothing yet.
    async fn is_up_to_date(&self) -> Result<bool, Halt> {
        let mut ends = Vec::new();
        for shard in 0..self.shards {
            ends.push(parley_nats::last_position(&self.nats, shard).await?);
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let reached = parley_projections::checkpoints(&self.pool, self.shards).await?;
            if reached.iter().zip(&ends).all(|(reached, end)| reached >= end) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn remove(&self, idle: &Idle, why: &str) -> Result<bool, Halt> {
        let unused = self.attachments.config.unused;
        let Some(removing) = Removing::begin(&self.pool, idle, unused).await? else {
            return Ok(false);
        };
        self.attachments.store.remove(idle.attachment_id).await?;
        removing.removed().await?;
        metrics::REMOVED.with_label_values(&[why]).inc();
        Ok(true)
    }
}
