//! Endpoints that their providers say are gone leave the account: a command to its owner, as a service
//! gives it. `dead_endpoints` is the queue, which any number of notifiers share.
//!
//! A row stays until the views have lost the endpoint, so that nothing is sent there meanwhile. Asking
//! again is harmless: what was removed is not found, and what is added again has another id.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use parley_commands::{AccountRequest, Client, Code, Problem, api::NamedEndpoint};
use parley_domain::{Actor, Scope, Timestamp, UserId, account::Action};
use parley_projections::Failure;
use parley_runtime::clock::Clock;
use sqlx::{PgPool, Row};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, config::RemoveConfig, metrics, policy::later};

/// How often it is asked whether something is due, and how long it rests after a failure.
const IDLE: Duration = Duration::from_secs(1);

/// Takes dead endpoints out of their accounts.
pub struct Remover {
    pub config: RemoveConfig,
    pub pool: PgPool,
    pub commands: Client,
    pub clock: Arc<dyn Clock>,
}

/// A row of the queue, claimed by this process.
struct Dead {
    user_id: String,
    endpoint_id: String,
    /// This one included.
    attempts: i32,
    /// By the views; `None` once they have lost it.
    channel: Option<String>,
}

/// Why endpoints stay for now.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Database(#[from] Failure),
    #[error("the account's owner says: {0}")]
    Commands(#[from] Problem),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Remover {
    /// Until `stop`; what is under way is finished.
    pub async fn run(self, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            let pause = match self.pass().await {
                Ok(taken) => {
                    is_failing = false;
                    if taken < self.config.at_once { IDLE } else { Duration::ZERO }
                }
                Err(trouble) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%trouble, "dead endpoints stay in their accounts for now");
                    }
                    IDLE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Takes what is due, a bounded part of it, and says how many rows that were.
    ///
    /// # Errors
    /// The first one; every other row had its turn all the same.
    pub async fn pass(&self) -> Result<usize, Trouble> {
        let claimed = self.claim().await?;
        let taken = claimed.len();
        let mut working = stream::iter(claimed.into_iter().map(|dead| self.settle(dead)))
            .buffer_unordered(self.config.at_once);
        let mut outcome = Ok(taken);
        while let Some(settled) = working.next().await {
            outcome = outcome.and_then(|taken| settled.map(|()| taken));
        }
        outcome
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now_millis())
    }

    /// Marked before it is asked for: a row whose process dies comes up again after the lease.
    async fn claim(&self) -> Result<Vec<Dead>, Trouble> {
        let now = self.now();
        let rows = sqlx::query(
            "WITH due AS (SELECT user_id, endpoint_id FROM dead_endpoints WHERE next_at <= $1 \
             ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             UPDATE dead_endpoints d SET next_at = $2, attempts = d.attempts + 1 FROM due \
             WHERE d.user_id = due.user_id AND d.endpoint_id = due.endpoint_id \
             RETURNING d.user_id, d.endpoint_id, d.attempts, (\
             SELECT e.channel FROM notification_endpoints e WHERE e.user_id = d.user_id \
             AND e.endpoint_id = d.endpoint_id) AS channel",
        )
        .bind(now.to_date_time())
        .bind(later(now, self.config.lease()).to_date_time())
        .bind(i64::try_from(self.config.at_once).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        let read = rows.iter().map(|row| {
            Ok(Dead {
                user_id: row.try_get("user_id")?,
                endpoint_id: row.try_get("endpoint_id")?,
                attempts: row.try_get("attempts")?,
                channel: row.try_get("channel")?,
            })
        });
        read.collect()
    }

    /// Whatever the answer, the row comes up again: to ask once more, or to see whether the views have
    /// come after.
    async fn settle(&self, dead: Dead) -> Result<(), Trouble> {
        let Some(channel) = &dead.channel else { return self.forget(&dead).await };
        let removed = self.remove(&dead, channel).await;
        self.postpone(&dead).await?;
        Ok(removed?)
    }

    async fn remove(&self, dead: &Dead, channel: &str) -> Result<(), Problem> {
        let user_id = UserId::parse(&dead.user_id)?;
        let endpoint_id = NamedEndpoint { endpoint_id: (&*dead.endpoint_id).into() }.parse()?;
        let actor = Actor { user_id, device_id: None, scope: Scope::Service, is_discreet: false };
        let action = Action::RemoveEndpoint { endpoint_id };
        match self.commands.execute(AccountRequest::new(actor, action, None)).await {
            Ok(_) => {
                metrics::ENDPOINTS_REMOVED.with_label_values(&[channel]).inc();
                tracing::info!(%endpoint_id, channel, "an endpoint that reaches nobody was removed");
                Ok(())
            }
            // By the person, or by us before a crash.
            Err(problem) if problem.code == Code::NotFound => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    async fn forget(&self, dead: &Dead) -> Result<(), Trouble> {
        sqlx::query("DELETE FROM dead_endpoints WHERE user_id = $1 AND endpoint_id = $2")
            .bind(&dead.user_id)
            .bind(&dead.endpoint_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Unless somebody else has it by now.
    async fn postpone(&self, dead: &Dead) -> Result<(), Trouble> {
        let Backoff { most, .. } = self.config.backoff;
        let attempts = u32::try_from(dead.attempts).unwrap_or(u32::MAX);
        let wait = self.config.backoff.wait(attempts, None, &mut rand::rng()).unwrap_or(most);
        sqlx::query(
            "UPDATE dead_endpoints SET next_at = $4 \
             WHERE user_id = $1 AND endpoint_id = $2 AND attempts = $3",
        )
        .bind(&dead.user_id)
        .bind(&dead.endpoint_id)
        .bind(dead.attempts)
        .bind(later(self.now(), wait).to_date_time())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
