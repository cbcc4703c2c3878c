//! A conversation's state.

use parley_domain::{
    Conversation, ConversationId, Cursor, UserId,
    conversation::{RECENT_MESSAGES, Recent},
};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{
    Loaded,
    messages::{self, messages, reactions},
    parsed,
};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql},
};

/// One statement, so one snapshot: the state and the checkpoint belong together.
const SELECT: &str = concat!(
    "SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
    COALESCE(c.version, 0) AS version, COALESCE(c.last_seq, 0) AS last_seq, \
    COALESCE(c.damaged, false) AS damaged, people.*, newest.*, reacted.* \
    FROM (VALUES (1)) AS always (row) \
    LEFT JOIN conversations c ON c.conversation_id = $1 \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(m.user_id), '{}') AS users, \
    COALESCE(array_agg(m.read_seq), '{}') AS reads, \
    COALESCE(array_agg(m.delivered_seq), '{}') AS deliveries \
    FROM members m WHERE m.conversation_id = $1 AND m.delivered_seq > 0) people \
    CROSS JOIN LATERAL (",
    messages!("m.conversation_seq > c.last_seq - $3"),
    ") newest CROSS JOIN LATERAL (",
    reactions!("r.conversation_seq > c.last_seq - $3"),
    ") reacted"
);

/// Reads a conversation of `shard`: exactly the fold of its events up to the checkpoint.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.conversation.load", skip_all, err(level = "debug"))]
pub async fn load_conversation(
    pool: &PgPool,
    shard: u16,
    id: &ConversationId,
) -> Result<Loaded<Conversation>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT)
            .bind(id.as_str())
            .bind(i32::from(shard))
            .bind(i64::try_from(RECENT_MESSAGES).unwrap_or(i64::MAX));
        Ok(query.fetch_one(pool).await?)
    });
    let row = row.await?;
    Ok(Loaded {
        state: Conversation {
            version: from_sql(row.try_get("version")?)?,
            last_seq: from_sql(row.try_get("last_seq")?)?,
            cursors: cursors(&row)?,
            recent: Recent::from(messages::read(&row)?),
        },
        checkpoint: from_sql(row.try_get("checkpoint")?)?,
        damaged: row.try_get("damaged")?,
    })
}

fn cursors(row: &PgRow) -> Result<std::collections::BTreeMap<UserId, Cursor>, Failure> {
    let users: Vec<String> = row.try_get("users")?;
    let reads = all_from_sql(row.try_get("reads")?)?;
    let deliveries = all_from_sql(row.try_get("deliveries")?)?;
    let rows = users.iter().zip(reads).zip(deliveries);
    rows.map(|((user, read), delivered)| {
        Ok((parsed("user id", UserId::parse(user))?, Cursor { read, delivered }))
    })
    .collect()
}
