//! Whether somebody is new here, and how many conversations they have begun of late.

use std::time::Duration;

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgPool, Row};

use crate::{Failure, database::READ_DEADLINE, failure::within, number::from_sql};

/// What the limit of new accounts needs to know of somebody who writes into a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newcomer {
    /// Neither a device nor a conversation of theirs is as old as was asked.
    pub is_new: bool,
    /// The conversation has messages already.
    pub is_begun: bool,
    /// Conversations whose first message they sent within a day; 0 if they are not new.
    pub begun_in_a_day: u64,
}

/// `now`: the time to count from; `age`: how long an account is new.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.newcomer.read", skip_all, err(level = "debug"))]
pub async fn newcomer(
    pool: &PgPool,
    user: &UserId,
    conversation: &ConversationId,
    now: Timestamp,
    age: Duration,
) -> Result<Newcomer, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "WITH who AS MATERIALIZED (SELECT NOT (\
             EXISTS (SELECT 1 FROM devices d WHERE d.user_id = $1 AND d.registered_at <= $3) \
             OR EXISTS (SELECT 1 FROM members me JOIN conversations c \
             ON c.conversation_id = me.conversation_id \
             WHERE me.user_id = $1 AND COALESCE(me.joined_at, c.created_at) <= $3)) AS is_new) \
             SELECT who.is_new, \
             COALESCE((SELECT last_seq > 0 FROM conversations WHERE conversation_id = $2), false) \
             AS is_begun, \
             CASE WHEN who.is_new THEN (SELECT count(*) FROM members me JOIN messages m \
             ON m.conversation_id = me.conversation_id AND m.conversation_seq = 1 \
             WHERE me.user_id = $1 AND m.sender_id = $1 AND m.created_at > $4) ELSE 0 END \
             AS begun_in_a_day FROM who",
        );
        let now = now.to_date_time();
        let query = query
            .bind(user.as_str())
            .bind(conversation.as_str())
            .bind(now - age)
            .bind(now - Duration::from_secs(24 * 60 * 60));
        Ok(query.fetch_one(pool).await?)
    })
    .await?;
    Ok(Newcomer {
        is_new: row.try_get("is_new")?,
        is_begun: row.try_get("is_begun")?,
        begun_in_a_day: from_sql(row.try_get("begun_in_a_day")?)?,
    })
}
