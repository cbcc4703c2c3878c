//! Deliveries that were given up, for a person to look at: listed, sent again, or dropped.

use parley_domain::Timestamp;
use parley_projections::Failure;
use sqlx::{PgPool, Row};
use uuid::Uuid;

/// The most of one list.
pub const MAX_LISTED: u32 = 10_000;

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub delivery_id: i64,
    pub notification_id: Uuid,
    /// `dead`, or `unknown` where nobody knows whether it was sent.
    pub state: String,
    /// `digest`, `verify` or `close`.
    pub what: String,
    pub channel: String,
    pub user_id: String,
    pub conversation: String,
    pub endpoint_id: String,
    pub attempts: i32,
    pub at: Timestamp,
    pub reason: String,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    One(i64),
}

/// The oldest first.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn list(pool: &PgPool, limit: u32) -> Result<Vec<DeadLetter>, Failure> {
    let rows = sqlx::query(
        "SELECT delivery_id, notification_id, state, what, channel, user_id, conversation_id, \
         endpoint_id, attempts, updated_at, coalesce(reason, '') AS reason \
         FROM notification_deliveries WHERE state IN ('dead', 'unknown') ORDER BY delivery_id LIMIT $1",
    )
    .bind(i64::from(limit.min(MAX_LISTED)))
    .fetch_all(pool)
    .await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in rows {
        let at: time::OffsetDateTime = row.try_get("updated_at")?;
        letters.push(DeadLetter {
            delivery_id: row.try_get("delivery_id")?,
            notification_id: row.try_get("notification_id")?,
            state: row.try_get("state")?,
            what: row.try_get("what")?,
            channel: row.try_get("channel")?,
            user_id: row.try_get("user_id")?,
            conversation: row.try_get("conversation_id")?,
            endpoint_id: row.try_get("endpoint_id")?,
            attempts: row.try_get("attempts")?,
            at: Timestamp::from(at),
            reason: row.try_get("reason")?,
        });
    }
    Ok(letters)
}

/// Has them sent again, as if they were decided now; an SMS of unknown outcome perhaps a second time,
/// which is why only a person may ask for it. Says how many there were.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn retry(pool: &PgPool, which: Which, now: Timestamp) -> Result<u64, Failure> {
    let again = sqlx::query(
        "UPDATE notification_deliveries SET state = 'pending', attempts = 0, next_at = $2, \
         created_at = $2, updated_at = $2 WHERE state IN ('dead', 'unknown') AND ($1::bigint IS NULL OR delivery_id = $1)",
    )
    .bind(which.id())
    .bind(now.to_date_time())
    .execute(pool)
    .await?;
    Ok(again.rows_affected())
}

/// Forgets them; they stay as dropped for as long as finished deliveries do, so that deciding the
/// same again does not bring them back. Says how many there were.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn drop(pool: &PgPool, which: Which, now: Timestamp) -> Result<u64, Failure> {
    let dropped = sqlx::query(
        "UPDATE notification_deliveries SET state = 'dropped', updated_at = $2 \
         WHERE state IN ('dead', 'unknown') AND ($1::bigint IS NULL OR delivery_id = $1)",
    )
    .bind(which.id())
    .bind(now.to_date_time())
    .execute(pool)
    .await?;
    Ok(dropped.rows_affected())
}

impl Which {
    fn id(self) -> Option<i64> {
        match self {
            Self::All => None,
            Self::One(id) => Some(id),
        }
    }
}
