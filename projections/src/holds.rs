//! Legal holds: while one stands, nothing of its conversation is erased from the log.
//!
//! Who erases and who places a hold take the same lock, so that nothing is erased any more once a
//! hold was placed.

use parley_domain::{ConversationId, Timestamp};
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::{Failure, number::from_sql};

/// The first half of the locks' key.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"Hold");

/// A hold that stands or stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub id: u64,
    pub placed_at: Timestamp,
    pub placed_by: String,
    pub reason: String,
    /// Once it was lifted: when, by whom, why.
    pub lifted: Option<(Timestamp, String, String)>,
}

/// Places a hold; returns its id. From now on nothing of the conversation is erased.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn place(
    pool: &PgPool,
    id: &ConversationId,
    by: &str,
    reason: &str,
) -> Result<u64, Failure> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, id).await?;
    let hold: i64 = sqlx::query_scalar(
        "INSERT INTO holds (conversation_id, placed_by, reason) VALUES ($1, $2, $3) \
         RETURNING hold_id",
    )
    .bind(id.as_str())
    .bind(by)
    .bind(reason)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    from_sql(hold)
}

/// Lifts a hold; says whether it stood.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn lift(
    pool: &PgPool,
    id: &ConversationId,
    hold: u64,
    by: &str,
    reason: &str,
) -> Result<bool, Failure> {
    let lifted = sqlx::query(
        "UPDATE holds SET lifted_at = now(), lifted_by = $3, lifted_reason = $4 \
         WHERE conversation_id = $1 AND hold_id = $2 AND lifted_at IS NULL",
    )
    .bind(id.as_str())
    .bind(crate::number::bound(hold))
    .bind(by)
    .bind(reason)
    .execute(pool)
    .await?;
    Ok(lifted.rows_affected() == 1)
}

/// All holds that a conversation ever had, in the order in which they were placed.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn list(pool: &PgPool, id: &ConversationId) -> Result<Vec<Hold>, Failure> {
    let rows = sqlx::query("SELECT * FROM holds WHERE conversation_id = $1 ORDER BY hold_id")
        .bind(id.as_str())
        .fetch_all(pool)
        .await?;
    rows.iter().map(hold).collect()
}

/// Keeps holds from being placed on the conversation until the transaction's end; says whether one
/// stands.
pub(crate) async fn is_held(
    transaction: &mut PgConnection,
    id: &ConversationId,
) -> Result<bool, Failure> {
    lock(transaction, id).await?;
    let held = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM holds WHERE conversation_id = $1 AND lifted_at IS NULL)",
    );
    Ok(held.bind(id.as_str()).fetch_one(transaction).await?)
}

async fn lock(transaction: &mut PgConnection, id: &ConversationId) -> Result<(), Failure> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCK_CLASS)
        .bind(id.as_str())
        .execute(transaction)
        .await?;
    Ok(())
}

fn hold(row: &PgRow) -> Result<Hold, Failure> {
    let placed_at: OffsetDateTime = row.try_get("placed_at")?;
    let lifted_at: Option<OffsetDateTime> = row.try_get("lifted_at")?;
    let lifted = match lifted_at {
        Some(at) => {
            Some((Timestamp::from(at), row.try_get("lifted_by")?, row.try_get("lifted_reason")?))
        }
        None => None,
    };
    Ok(Hold {
        id: from_sql(row.try_get("hold_id")?)?,
        placed_at: Timestamp::from(placed_at),
        placed_by: row.try_get("placed_by")?,
        reason: row.try_get("reason")?,
        lifted,
    })
}
