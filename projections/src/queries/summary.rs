//! One conversation as one of its members sees it.

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgPool, Row};

use super::rows::{
    self, archived, mark_columns, message_columns, summary_columns, summary_joins, unread,
};
use crate::{Failure, database::READ_DEADLINE, failure::within, views::Summary};

const SELECT: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM members me JOIN conversations c ON c.conversation_id = me.conversation_id ",
    summary_joins!(),
    " WHERE me.conversation_id = $1 AND me.user_id = $2"
);

/// Somebody may write a draft before the first message.
const MARKS: &str = concat!(
    "SELECT ",
    mark_columns!(),
    ", k.archived_through_seq IS NOT NULL AS archived FROM conversation_marks k \
     WHERE k.conversation_id = $1 AND k.user_id = $2"
);

/// `None` if the conversation does not exist for `user`.
///
/// A direct conversation exists for its two people from the start: before its first event all its
/// numbers are zero, and `now` stands for its times.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.summary.read", skip_all, err(level = "debug"))]
pub async fn summary(
    pool: &PgPool,
    id: &ConversationId,
    user: &UserId,
    now: Timestamp,
) -> Result<Option<Summary>, Failure> {
    if id.direct_names().is_some() && !id.is_direct_member(user) {
        return Ok(None);
    }
    within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT).bind(id.as_str()).bind(user.as_str());
        if let Some(row) = query.fetch_optional(pool).await? {
            return rows::summary(&row).map(Some);
        }
        if !id.is_direct_member(user) {
            return Ok(None);
        }
        let untouched = Summary::untouched(id, now);
        let query = sqlx::query(MARKS).bind(id.as_str()).bind(user.as_str());
        let Some(row) = query.fetch_optional(pool).await? else { return Ok(Some(untouched)) };
        Ok(Some(Summary {
            muted: row.try_get("muted")?,
            muted_until: rows::optional_moment(&row, "muted_until")?,
            pinned: row.try_get("pinned")?,
            archived: row.try_get("archived")?,
            draft: row.try_get("draft")?,
            ..untouched
        }))
    })
    .await
}
