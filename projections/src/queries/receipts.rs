//! Who has received and read a message.

use parley_domain::{ConversationId, UserId};
use sqlx::{PgPool, Row};

use super::rows;
use crate::{Failure, database::READ_DEADLINE, failure::within, number::bound};

/// How far a message has come. Its sender is in neither list: their cursors are on it anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    pub sender_id: UserId,
    pub read_by: Vec<UserId>,
    pub delivered_to: Vec<UserId>,
    /// All members of the conversation, with the sender.
    pub members: u64,
}

/// `None` if there is no such message. Lists are in byte order of the user ids.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.receipts.read", skip_all, err(level = "debug"))]
pub async fn receipts(
    pool: &PgPool,
    id: &ConversationId,
    seq: u64,
) -> Result<Option<Receipts>, Failure> {
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT m.sender_id, me.user_id, me.read_seq >= $2 AS has_read, \
             me.delivered_seq >= $2 AS has_received \
             FROM messages m JOIN members me ON me.conversation_id = m.conversation_id \
             WHERE m.conversation_id = $1 AND m.conversation_seq = $2 ORDER BY me.user_id",
        );
        Ok(query.bind(id.as_str()).bind(bound(seq)).fetch_all(pool).await?)
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
