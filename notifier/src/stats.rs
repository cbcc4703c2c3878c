//! What the notifier has done so far, for those who measure it.

use parley_projections::{Failure, number::from_sql};
use sqlx::{PgPool, Row};

/// For those who do not speak to PostgreSQL themselves.
pub type Pool = PgPool;

/// Since the tables were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Decisions that were stored, and over how many milliseconds.
    pub decisions: u64,
    pub decided_within_millis: u64,
    /// Rows that were inserted, updated or deleted in its tables.
    pub rows_written: u64,
    /// How far the log was read, all shards together.
    pub seen: u64,
    /// Timers and deliveries that are due or under way.
    pub open: u64,
}

/// # Errors
/// If PostgreSQL does not answer.
pub async fn stats(pool: &PgPool) -> Result<Stats, Failure> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM notification_events) AS decisions, \
         (SELECT coalesce(extract(epoch FROM max(recorded_at) - min(recorded_at)) * 1000, 0)::bigint \
         FROM notification_events) AS within, \
         (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables \
         WHERE relname = ANY($1)) AS written, \
         (SELECT coalesce(sum(seen), 0)::bigint FROM notification_checkpoints) AS seen, \
         (SELECT count(*) FROM notification_timers WHERE due_at <= now()) \
         + (SELECT count(*) FROM notification_deliveries WHERE state IN ('pending', 'sending')) AS open",
    )
    .bind(TABLES.as_slice())
    .fetch_one(pool)
    .await?;
    let number = |name: &str| -> Result<u64, Failure> { from_sql(row.try_get(name)?) };
    Ok(Stats {
        decisions: number("decisions")?,
        decided_within_millis: number("within")?,
        rows_written: number("written")?,
        seen: number("seen")?,
        open: number("open")?,
    })
}

/// The notifier's own.
const TABLES: [&str; 5] = [
    "dead_endpoints",
    "notification_checkpoints",
    "notification_deliveries",
    "notification_events",
    "notification_timers",
];
