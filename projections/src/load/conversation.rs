//! A conversation's state.

use parley_domain::{
    ClientMessageId, Conversation, ConversationId, Cursor, UserId,
    conversation::{RECENT_MESSAGES, Recent, Sent},
};
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{Loaded, parsed};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql, hash_from_sql},
};

/// One statement, so one snapshot: the state and the checkpoint belong together.
const SELECT: &str = "\
    SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
    COALESCE(c.version, 0) AS version, COALESCE(c.last_seq, 0) AS last_seq, \
    COALESCE(c.damaged, false) AS damaged, people.*, newest.* \
    FROM (VALUES (1)) AS always (row) \
    LEFT JOIN conversations c ON c.conversation_id = $1 \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(m.user_id), '{}') AS users, \
    COALESCE(array_agg(m.read_seq), '{}') AS reads, \
    COALESCE(array_agg(m.delivered_seq), '{}') AS deliveries \
    FROM members m WHERE m.conversation_id = $1 AND m.delivered_seq > 0) people \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(m.sender_id), '{}') AS senders, \
    COALESCE(array_agg(m.client_message_id), '{}') AS client_message_ids, \
    COALESCE(array_agg(m.message_id), '{}') AS message_ids, \
    COALESCE(array_agg(m.conversation_seq), '{}') AS seqs, \
    COALESCE(array_agg(m.version), '{}') AS versions, \
    COALESCE(array_agg(m.fingerprint), '{}') AS fingerprints \
    FROM messages m WHERE m.conversation_id = $1 \
    AND m.conversation_seq > c.last_seq - $3) newest";

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
            recent: recent(&row)?,
            ..Conversation::default()
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

fn recent(row: &PgRow) -> Result<Recent, Failure> {
    let senders: Vec<String> = row.try_get("senders")?;
    let names: Vec<String> = row.try_get("client_message_ids")?;
    let message_ids: Vec<Uuid> = row.try_get("message_ids")?;
    let seqs = all_from_sql(row.try_get("seqs")?)?;
    let versions = all_from_sql(row.try_get("versions")?)?;
    let fingerprints: Vec<i64> = row.try_get("fingerprints")?;
    let numbers = message_ids.into_iter().zip(seqs).zip(versions).zip(fingerprints);
    let mut sent: Vec<Sent> = senders
        .iter()
        .zip(&names)
        .zip(numbers)
        .map(|((sender, name), (((message_id, conversation_seq), version), fingerprint))| {
            Ok(Sent {
                sender_id: parsed("user id", UserId::parse(sender))?,
                client_message_id: parsed("clientMessageId", ClientMessageId::parse(name))?,
                message_id,
                conversation_seq,
                version,
                fingerprint: hash_from_sql(fingerprint),
            })
        })
        .collect::<Result<_, Failure>>()?;
    sent.sort_unstable_by_key(|sent| sent.conversation_seq);
    Ok(Recent::from(sent))
}
