//! How it stands now between a person and a conversation.

use parley_domain::{ConversationId, Timestamp, UserId};
use parley_projections::{Failure, number::from_sql};
use sqlx::{PgPool, Row};

/// What waits, and what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub last_seq: u64,
    pub read_seq: u64,
    pub unread: u64,
    /// Its state, and when it is due.
    pub timer: Option<(String, Timestamp)>,
}

/// # Errors
/// If PostgreSQL does not answer.
pub async fn waiting(
    pool: &PgPool,
    user: &UserId,
    conversation: &ConversationId,
) -> Result<Waiting, Failure> {
    let row = sqlx::query(
        "SELECT coalesce(CASE WHEN m.left_position IS NULL THEN c.last_seq ELSE m.left_seq END, 0) \
         AS last_seq, coalesce(m.read_seq, 0) AS read_seq, \
         (SELECT count(*) FROM messages s WHERE s.conversation_id = $2 AND s.sender_id <> $1 \
         AND s.conversation_seq > coalesce(m.read_seq, 0) AND s.deleted_at IS NULL \
         AND coalesce(m.visible @> s.conversation_seq, true)) AS unread, \
         t.state, t.due_at FROM (SELECT 1) AS one \
         LEFT JOIN conversations c ON c.conversation_id = $2 \
         LEFT JOIN members m ON m.conversation_id = $2 AND m.user_id = $1 \
         LEFT JOIN notification_timers t ON t.conversation_id = $2 AND t.user_id = $1",
    )
    .bind(user.as_str())
    .bind(conversation.as_str())
    .fetch_one(pool)
    .await?;
    let state: Option<String> = row.try_get("state")?;
    let due: Option<time::OffsetDateTime> = row.try_get("due_at")?;
    Ok(Waiting {
        last_seq: from_sql(row.try_get("last_seq")?)?,
        read_seq: from_sql(row.try_get("read_seq")?)?,
        unread: from_sql(row.try_get("unread")?)?,
        timer: state.zip(due.map(Timestamp::from)),
    })
}
