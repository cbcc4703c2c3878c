//! Events that could not be applied.

use parley_domain::Timestamp;
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::{Failure, database::READ_DEADLINE, failure::within, number::from_sql};

/// One of them, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEvent {
    pub shard: i32,
    pub position: u64,
    pub at: Timestamp,
    pub subject: String,
    pub error: String,
}

/// The first ones, in the order of shards and positions.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn dead_letters(pool: &PgPool, limit: u32) -> Result<Vec<DeadEvent>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT shard, position, at, subject, error FROM dead_letters \
             ORDER BY shard, position LIMIT $1",
        );
        Ok(query.bind(i64::from(limit)).fetch_all(pool).await?)
    })
    .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let at: OffsetDateTime = row.try_get("at")?;
        events.push(DeadEvent {
            shard: row.try_get("shard")?,
            position: from_sql(row.try_get("position")?)?,
            at: Timestamp::from(at),
            subject: row.try_get("subject")?,
            error: row.try_get("error")?,
        });
    }
    Ok(events)
}
