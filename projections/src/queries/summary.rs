//! One conversation as one of its members sees it.

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::PgPool;

use super::rows::{self, message_columns, summary_columns, summary_joins, unread};
use crate::{Failure, database::READ_DEADLINE, failure::within, views::Summary};

const SELECT: &str = concat!(
    "SELECT ",
    summary_columns!(),
    " FROM members me JOIN conversations c ON c.conversation_id = me.conversation_id ",
    summary_joins!(),
    " WHERE me.conversation_id = $1 AND me.user_id = $2"
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
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT).bind(id.as_str()).bind(user.as_str());
        Ok(query.fetch_optional(pool).await?)
    });
    match row.await? {
        Some(row) => rows::summary(&row).map(Some),
        None => Ok(id.is_direct_member(user).then(|| Summary::untouched(id, now))),
    }
}
