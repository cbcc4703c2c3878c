//! Forgetting what is old: finished deliveries, and decisions that are not the last of their thread.

use std::{sync::Arc, time::Duration};

use parley_domain::Timestamp;
use parley_projections::Failure;
use parley_runtime::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(3_600);
/// Rows of one statement.
const ROWS: i64 = 5_000;

/// Until `stop`.
pub async fn run(pool: PgPool, clock: Arc<dyn Clock>, kept: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let before = Timestamp::from_unix_millis(clock.now_millis()).to_date_time() - kept;
        if let Err(failure) = sweep(&pool, before).await {
            tracing::debug!(%failure, "old notifications stay for another hour");
        }
    }
}

/// # Errors
/// If PostgreSQL does not answer; what is left goes next time.
pub async fn sweep(pool: &PgPool, before: time::OffsetDateTime) -> Result<(), Failure> {
    const STATEMENTS: [&str; 2] = [
        // Dead letters are for a person to drop.
        "DELETE FROM notification_deliveries WHERE delivery_id IN (\
         SELECT delivery_id FROM notification_deliveries WHERE updated_at < $1 \
         AND state IN ('sent', 'closed', 'cancelled', 'dropped') LIMIT $2)",
        // A digest has to be known while the next one may double its cool-down: the thread's newest
        // events stay.
        "DELETE FROM notification_events WHERE number IN (\
         SELECT e.number FROM notification_events e WHERE e.recorded_at < $1 AND EXISTS (\
         SELECT FROM notification_events newer WHERE newer.aggregate_type = e.aggregate_type \
         AND newer.aggregate_id = e.aggregate_id AND newer.sequence > e.sequence \
         AND (e.event_type <> 'notification.told' OR newer.event_type = 'notification.told')) LIMIT $2)",
    ];
    for statement in STATEMENTS {
        loop {
            let swept = sqlx::query(statement).bind(before).bind(ROWS).execute(pool).await?;
            if swept.rows_affected() < ROWS.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}
