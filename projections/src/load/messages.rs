//! Messages as decisions know them: the last ones of a conversation, or an older one.

use std::collections::{BTreeMap, HashMap};

use parley_domain::{
    ClientMessageId, ConversationId, Emoji, Timestamp, UserId,
    body::Attachment,
    conversation::{Content, Sent},
};
use sqlx::{PgPool, Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Loaded, parsed};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, bound, from_sql, hash_from_sql},
};

/// The messages `m` of conversation `$1` that are meant, as arrays; [`read`] reads them, with
/// [`reactions`].
macro_rules! messages {
    ($which:literal) => {
        concat!(
            "SELECT COALESCE(array_agg(m.sender_id), '{}') AS senders, \
             COALESCE(array_agg(m.client_message_id), '{}') AS client_message_ids, \
             COALESCE(array_agg(m.message_id), '{}') AS message_ids, \
             COALESCE(array_agg(m.conversation_seq), '{}') AS seqs, \
             COALESCE(array_agg(m.version), '{}') AS versions, \
             COALESCE(array_agg(m.created_at), '{}') AS created_at, \
             COALESCE(array_agg(m.reply_to), '{}') AS reply_to, \
             COALESCE(array_agg(m.expires_at), '{}') AS expires_at, \
             COALESCE(array_agg(m.deleted_at IS NOT NULL), '{}') AS deleted, \
             COALESCE(array_agg(COALESCE(m.fingerprint, 0)), '{}') AS fingerprints, \
             COALESCE(array_agg(m.edited_fingerprint), '{}') AS edited_fingerprints, \
             COALESCE(array_agg(m.by_service), '{}') AS by_service, \
             COALESCE(array_agg(m.body->'attachments'), '{}') AS attachments, \
             COALESCE(array_agg(COALESCE(m.body->>'kind' = 'system' OR m.by_service \
             AND m.body->>'kind' IN ('listing', 'order', 'shipment', 'return'), false)), '{}') \
             AS for_services \
             FROM messages m WHERE m.conversation_id = $1 AND ",
            $which
        )
    };
}
pub(super) use messages;

/// The reactions `r` to them, likewise.
macro_rules! reactions {
    ($which:literal) => {
        concat!(
            "SELECT COALESCE(array_agg(r.conversation_seq), '{}') AS reacted_seqs, \
             COALESCE(array_agg(r.emoji), '{}') AS reacted_emoji, \
             COALESCE(array_agg(r.user_id), '{}') AS reacted_users \
             FROM reactions r WHERE r.conversation_id = $1 AND ",
            $which
        )
    };
}
pub(super) use reactions;

const SELECT: &str = concat!(
    "SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
     COALESCE(c.damaged, false) AS damaged, one.*, reacted.* \
     FROM (VALUES (1)) AS always (row) \
     LEFT JOIN conversations c ON c.conversation_id = $1 \
     CROSS JOIN LATERAL (",
    messages!("m.conversation_seq = $3"),
    ") one CROSS JOIN LATERAL (",
    reactions!("r.conversation_seq = $3"),
    ") reacted"
);

/// Reads one message of a conversation of `shard`, as it is at the checkpoint.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.message.load", skip_all, err(level = "debug"))]
pub async fn load_message(
    pool: &PgPool,
    shard: u16,
    id: &ConversationId,
    seq: u64,
) -> Result<Loaded<Option<Sent>>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT).bind(id.as_str()).bind(i32::from(shard)).bind(bound(seq));
        Ok(query.fetch_one(pool).await?)
    });
    let row = row.await?;
    Ok(Loaded {
        state: read(&row)?.pop(),
        checkpoint: from_sql(row.try_get("checkpoint")?)?,
        damaged: row.try_get("damaged")?,
    })
}

type Reactors = BTreeMap<Emoji, std::collections::BTreeSet<UserId>>;

/// Ascending by conversationSeq.
pub(super) fn read(row: &PgRow) -> Result<Vec<Sent>, Failure> {
    let senders: Vec<String> = row.try_get("senders")?;
    let names: Vec<String> = row.try_get("client_message_ids")?;
    let message_ids: Vec<Uuid> = row.try_get("message_ids")?;
    let seqs = all_from_sql(row.try_get("seqs")?)?;
    let versions = all_from_sql(row.try_get("versions")?)?;
    let created_at: Vec<OffsetDateTime> = row.try_get("created_at")?;
    let reply_to: Vec<Option<i64>> = row.try_get("reply_to")?;
    let expires_at: Vec<Option<OffsetDateTime>> = row.try_get("expires_at")?;
    let contents = contents(row)?;
    let mut reacted = reacted(row)?;
    let who = senders.iter().zip(&names).zip(message_ids);
    let when = seqs.into_iter().zip(versions).zip(created_at);
    let what = reply_to.into_iter().zip(expires_at).zip(contents);
    let mut messages = who
        .zip(when)
        .zip(what)
        .map(|((((sender, name), message_id), ((seq, version), created_at)), what)| {
            let ((reply_to, expires_at), content) = what;
            Ok(Sent {
                sender_id: parsed("user id", UserId::parse(sender))?,
                client_message_id: parsed("clientMessageId", ClientMessageId::parse(name))?,
                message_id,
                conversation_seq: seq,
                version,
                created_at: Timestamp::from(created_at),
                reply_to: reply_to.map(from_sql).transpose()?,
                expires_at: expires_at.map(Timestamp::from),
                content: content.map(|content| Content {
                    reactions: reacted.remove(&seq).unwrap_or_default(),
                    ..content
                }),
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    messages.sort_unstable_by_key(|sent| sent.conversation_seq);
    Ok(messages)
}

/// `None` for a deleted message.
fn contents(row: &PgRow) -> Result<Vec<Option<Content>>, Failure> {
    let deleted: Vec<bool> = row.try_get("deleted")?;
    let sent: Vec<i64> = row.try_get("fingerprints")?;
    let edited: Vec<Option<i64>> = row.try_get("edited_fingerprints")?;
    let for_services: Vec<bool> = row.try_get("for_services")?;
    let by_service: Vec<bool> = row.try_get("by_service")?;
    let attachments: Vec<Option<Json<Vec<Attachment>>>> = row.try_get("attachments")?;
    let by_whom = by_service.into_iter().zip(for_services);
    let known = sent.into_iter().zip(edited).zip(by_whom.zip(attachments));
    let contents = known.map(|((sent, edited), ((by_service, is_for_services), files))| Content {
        sent: hash_from_sql(sent),
        edited: edited.map(hash_from_sql),
        by_service,
        is_for_services,
        attachments: files.map(|Json(files)| files).unwrap_or_default(),
        reactions: BTreeMap::new(),
    });
    Ok(contents.zip(deleted).map(|(content, deleted)| (!deleted).then_some(content)).collect())
}

fn reacted(row: &PgRow) -> Result<HashMap<u64, Reactors>, Failure> {
    let seqs = all_from_sql(row.try_get("reacted_seqs")?)?;
    let emoji: Vec<String> = row.try_get("reacted_emoji")?;
    let users: Vec<String> = row.try_get("reacted_users")?;
    let mut reacted: HashMap<u64, Reactors> = HashMap::new();
    for (seq, (emoji, user)) in seqs.into_iter().zip(emoji.iter().zip(&users)) {
        let emoji = Emoji::parse(emoji).map_err(|error| Failure::corrupt("emoji", error))?;
        let user = parsed("user id", UserId::parse(user))?;
        reacted.entry(seq).or_default().entry(emoji).or_default().insert(user);
    }
    Ok(reacted)
}
