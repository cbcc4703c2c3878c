//! One conversation as one of its members sees it.

use parley_domain::{
    ConversationId, Kind, Member, Timestamp, UserId, conversation::MAX_GROUP_MEMBERS,
};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::rows::{
    self, archived, mark_columns, message_columns, mine, summary_columns, summary_joins, unread,
};
use crate::{Failure, database::READ_DEADLINE, failure::within, views::Summary};

const SELECT: &str = concat!(
    "WITH one AS MATERIALIZED (SELECT c.* FROM ",
    mine!(),
    "WHERE me.conversation_id = $1 AND me.user_id = $2) SELECT ",
    summary_columns!(),
    " FROM one c ",
    summary_joins!()
);

/// Of a group, all; of a channel, whose readers may be any number, those who lead it.
const MEMBERS: &str = "SELECT user_id, role FROM members WHERE conversation_id = $1 \
    AND left_version IS NULL AND ($2 OR role <> 'member') ORDER BY user_id LIMIT $3";

/// Somebody may write a draft before the first message, and ask how long an answer takes.
const MARKS: &str = concat!(
    "SELECT ",
    mark_columns!(),
    ", k.archived_through_seq IS NOT NULL AS archived, \
     answers.median_seconds AS peer_response_seconds FROM (VALUES (1)) AS always (row) \
     LEFT JOIN conversation_marks k ON k.conversation_id = $1 AND k.user_id = $2 \
     LEFT JOIN response_times answers ON answers.user_id = $3"
);

/// `None` if the conversation does not exist for `user`, who never was a member of it.
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
            let mut summary = rows::summary(&row)?;
            if summary.members.is_none() && row.try_get("is_present")? {
                summary.members = Some(members(pool, id).await?);
            }
            return Ok(Some(summary));
        }
        let mut people = id.direct_members().into_iter().flatten();
        let Some(peer) = people.find(|person| person != user) else { return Ok(None) };
        let untouched = Summary::untouched(id, now);
        let query = sqlx::query(MARKS).bind(id.as_str()).bind(user.as_str()).bind(peer.as_str());
        let row = query.fetch_one(pool).await?;
        Ok(Some(Summary {
            muted: row.try_get("muted")?,
            muted_until: rows::optional_moment(&row, "muted_until")?,
            pinned: row.try_get("pinned")?,
            archived: row.try_get("archived")?,
            draft: row.try_get("draft")?,
            peer_response_seconds: rows::response_seconds(&row)?,
            ..untouched
        }))
    })
    .await
}

/// Whether a person is or was a member of a group or channel.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.participant.read", skip_all, err(level = "debug"))]
pub async fn is_participant(
    pool: &PgPool,
    id: &ConversationId,
    user: &UserId,
) -> Result<bool, Failure> {
    within(READ_DEADLINE, async {
        let query = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM members WHERE conversation_id = $1 AND user_id = $2)",
        );
        Ok(query.bind(id.as_str()).bind(user.as_str()).fetch_one(pool).await?)
    })
    .await
}

async fn members(pool: &PgPool, id: &ConversationId) -> Result<Vec<Member>, Failure> {
    let found = sqlx::query(MEMBERS)
        .bind(id.as_str())
        .bind(id.kind() == Kind::Group)
        .bind(i64::try_from(MAX_GROUP_MEMBERS).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let member = |row: &PgRow| {
        let user_id = rows::id("user id", UserId::parse(row.try_get("user_id")?))?;
        Ok(Member { user_id, role: rows::role(row)? })
    };
    found.iter().map(member).collect()
}
