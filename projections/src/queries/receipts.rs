//! Who has received and read a message.

use parley_domain::{ConversationId, Kind, UserId};
use sqlx::{PgPool, Row};

use super::rows;
use crate::{Failure, database::READ_DEADLINE, failure::within, number::bound};

/// How far a message has come. Its sender is in neither list: their cursors are on it anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    pub sender_id: UserId,
    pub read_by: Vec<UserId>,
    pub delivered_to: Vec<UserId>,
    /// Those who are in the conversation and may see the message, with its sender.
    pub members: u64,
}

/// From cursors: no row a recipient.
const RECEIPTS: &str = "SELECT m.sender_id, me.user_id, me.shown_read_seq >= $2 AS has_read, \
    me.shown_delivered_seq >= $2 AS has_received \
    FROM messages m \
    JOIN members reader ON reader.conversation_id = m.conversation_id AND reader.user_id = $3 \
    AND reader.left_version IS NULL AND reader.visible @> m.conversation_seq \
    JOIN members me ON me.conversation_id = m.conversation_id \
    AND me.left_version IS NULL AND me.visible @> m.conversation_seq \
    WHERE m.conversation_id = $1 AND m.conversation_seq = $2 ORDER BY me.user_id";

/// What the readers of a channel have read is theirs, and they may be any number.
const OF_CHANNEL: &str = "SELECT m.sender_id, c.member_count \
    FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id \
    JOIN members reader ON reader.conversation_id = m.conversation_id AND reader.user_id = $3 \
    AND reader.left_version IS NULL AND reader.visible @> m.conversation_seq \
    WHERE m.conversation_id = $1 AND m.conversation_seq = $2";

/// `None` if there is no such message for `reader`, or they have left. Lists are in byte order of
/// the user ids; of a channel, they are empty.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.receipts.read", skip_all, err(level = "debug"))]
pub async fn receipts(
    pool: &PgPool,
    id: &ConversationId,
    reader: &UserId,
    seq: u64,
) -> Result<Option<Receipts>, Failure> {
    let is_channel = id.kind() == Kind::Channel;
    let sql = if is_channel { OF_CHANNEL } else { RECEIPTS };
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(sql).bind(id.as_str()).bind(bound(seq)).bind(reader.as_str());
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let user = |parsed| rows::id("user id", parsed);
    let mut receipts = Receipts {
        sender_id: user(UserId::parse(first.try_get("sender_id")?))?,
        read_by: Vec::new(),
        delivered_to: Vec::new(),
        members: found.len() as u64,
    };
    if is_channel {
        return Ok(Some(Receipts { members: rows::count(first, "member_count")?, ..receipts }));
    }
    for row in &found {
        let member = user(UserId::parse(row.try_get("user_id")?))?;
        if member == receipts.sender_id {
            continue;
        }
        if row.try_get("has_read")? {
            receipts.read_by.push(member.clone());
        }
        if row.try_get("has_received")? {
            receipts.delivered_to.push(member);
        }
    }
    Ok(Some(receipts))
}
