//! Messages whose time is over and that nobody has deleted yet.

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgPool, Row};

use super::rows;
use crate::{Failure, database::READ_DEADLINE, failure::within, number::bound};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    pub conversation_id: ConversationId,
    pub conversation_seq: u64,
    pub sender_id: UserId,
    pub expires_at: Timestamp,
}

/// The next ones of a shard, longest expired first, behind `after`.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.expired.read", skip_all, err(level = "debug"))]
pub async fn expired(
    pool: &PgPool,
    shard: u16,
    after: Option<&Expired>,
    limit: u32,
) -> Result<Vec<Expired>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT m.conversation_id, m.conversation_seq, m.sender_id, m.expires_at \
             FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id \
             WHERE m.expires_at IS NOT NULL AND m.deleted_at IS NULL AND m.expires_at <= now() \
             AND c.shard = $1 AND ($2::timestamptz IS NULL OR \
             (m.expires_at, m.conversation_id, m.conversation_seq) > \
             ($2, $3::text COLLATE \"C\", $4::bigint)) \
             ORDER BY m.expires_at, m.conversation_id, m.conversation_seq LIMIT $5",
        );
        let query = query
            .bind(i32::from(shard))
            .bind(after.map(|after| after.expires_at.to_date_time()))
            .bind(after.map(|after| after.conversation_id.as_str()))
            .bind(after.map(|after| bound(after.conversation_seq)))
            .bind(i64::from(limit));
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Expired {
                conversation_id: rows::conversation_id(row)?,
                conversation_seq: rows::count(row, "conversation_seq")?,
                sender_id: rows::id("user id", UserId::parse(row.try_get("sender_id")?))?,
                expires_at: rows::moment(row, "expires_at")?,
            })
        })
        .collect()
}
