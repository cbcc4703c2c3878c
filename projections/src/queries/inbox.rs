//! A page of a person's conversations.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgExecutor, PgPool, Row};

use super::rows::{
    self, archived, mark_columns, message_columns, summary_columns, summary_joins, unread,
};
use crate::{Failure, database::READ_DEADLINE, failure::within, views::Summary};

/// The most conversations of one page.
pub const MAX_INBOX_CONVERSATIONS: u32 = 200;

/// Which of a person's conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// All that are not archived.
    #[default]
    All,
    /// Of these, those with unread messages.
    Unread,
    Archived,
}

impl Filter {
    /// As the contract names them.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "unread" => Some(Self::Unread),
            "archived" => Some(Self::Archived),
            _ => None,
        }
    }
}

/// A place in the inbox, opaque to clients: behind this conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxCursor {
    pub(super) pinned: bool,
    pub(super) active_at: Timestamp,
    pub(super) id: ConversationId,
}

/// A cursor that this program has not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that was given out")]
pub struct InvalidCursor;

impl InboxCursor {
    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let plain = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let (pinned, rest) = plain.split_once(' ').ok_or(InvalidCursor)?;
        let (millis, id) = rest.split_once(' ').ok_or(InvalidCursor)?;
        Ok(Self {
            pinned: match pinned {
                "p" => true,
                "-" => false,
                _ => return Err(InvalidCursor),
            },
            active_at: Timestamp::from_unix_millis(millis.parse().map_err(|_| InvalidCursor)?),
            id: ConversationId::parse(id).map_err(|_| InvalidCursor)?,
        })
    }
}

impl fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = if self.pinned { "p" } else { "-" };
        let plain = format!("{pinned} {} {}", self.active_at.unix_millis(), self.id);
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(plain))
    }
}

/// Summaries, pinned first, then newest activity first, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxPage {
    pub summaries: Vec<Summary>,
    pub next_cursor: Option<InboxCursor>,
}

/// The page is chosen before anything is joined to it: sorting the inbox touches two rows a
/// conversation, and only what is shown costs more. `OFFSET 0` keeps the planner to looking each of
/// the user's conversations up: it would rather read the whole table, which is everybody's.
macro_rules! select {
    ($rank:expr, $condition:expr) => {
        concat!(
            "WITH page AS MATERIALIZED ( \
             SELECT c.*, COALESCE(c.last_message_at, c.created_at) AS active_at, ",
            $rank,
            " AS rank, me.user_id, me.read_seq, me.delivered_seq \
             FROM members me CROSS JOIN LATERAL (SELECT * FROM conversations one \
             WHERE one.conversation_id = me.conversation_id OFFSET 0) c \
             LEFT JOIN conversation_marks k ON k.user_id = me.user_id \
             AND k.conversation_id = me.conversation_id \
             WHERE me.user_id = $1 AND ($2::timestamptz IS NULL OR (",
            $rank,
            ", COALESCE(c.last_message_at, c.created_at), c.conversation_id) < ($5, $2, $3)) ",
            $condition,
            " ORDER BY rank DESC, active_at DESC, c.conversation_id DESC LIMIT $4) \
             SELECT c.active_at, c.rank, ",
            summary_columns!(),
            " FROM page c CROSS JOIN LATERAL (SELECT c.user_id, c.read_seq, c.delivered_seq) me ",
            summary_joins!(),
            " ORDER BY c.rank DESC, c.active_at DESC, c.conversation_id DESC"
        )
    };
}

/// All of a person's conversations, archived or not, by their activity alone: for a sync.
pub(super) const EVERYTHING: &str = select!("false", "");
const ALL: &str = select!("COALESCE(k.pinned, false)", concat!("AND NOT ", archived!()));
const UNREAD: &str = select!(
    "COALESCE(k.pinned, false)",
    concat!("AND NOT ", archived!(), " AND c.last_seq > me.read_seq AND ", unread!(), " > 0")
);
const ARCHIVED: &str = select!("COALESCE(k.pinned, false)", concat!("AND ", archived!()));

/// Reads a page of at most `limit` conversations, at least 1 and at most
/// [`MAX_INBOX_CONVERSATIONS`], behind `cursor`.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.inbox.read", skip_all, err(level = "debug"))]
pub async fn inbox(
    pool: &PgPool,
    user: &UserId,
    filter: Filter,
    limit: u32,
    cursor: Option<&InboxCursor>,
) -> Result<InboxPage, Failure> {
    let sql = match filter {
        Filter::All => ALL,
        Filter::Unread => UNREAD,
        Filter::Archived => ARCHIVED,
    };
    within(READ_DEADLINE, page(pool, user, sql, limit, cursor)).await
}

pub(super) async fn page(
    executor: impl PgExecutor<'_>,
    user: &UserId,
    sql: &str,
    limit: u32,
    cursor: Option<&InboxCursor>,
) -> Result<InboxPage, Failure> {
    let limit = limit.clamp(1, MAX_INBOX_CONVERSATIONS);
    let found = sqlx::query(sql)
        .bind(user.as_str())
        .bind(cursor.map(|cursor| cursor.active_at.to_date_time()))
        .bind(cursor.map(|cursor| cursor.id.as_str()))
        // One more, to know whether there is more.
        .bind(i64::from(limit) + 1)
        .bind(cursor.map(|cursor| cursor.pinned))
        .fetch_all(executor)
        .await?;
    let shown = found.len().min(limit as usize);
    let last = found[..shown].last().filter(|_| found.len() > shown);
    let next_cursor = last
        .map(|row| {
            let id = rows::conversation_id(row)?;
            let (pinned, active_at) = (row.try_get("rank")?, rows::moment(row, "active_at")?);
            Ok::<_, Failure>(InboxCursor { pinned, active_at, id })
        })
        .transpose()?;
    let summaries = found[..shown].iter().map(rows::summary).collect::<Result<_, _>>()?;
    Ok(InboxPage { summaries, next_cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for pinned in [true, false] {
            let active_at = Timestamp::from_unix_millis(1_795_254_300_123);
            let id = ConversationId::parse("d.alice.bob").unwrap();
            let cursor = InboxCursor { pinned, active_at, id };
            assert_eq!(InboxCursor::parse(&cursor.to_string()), Ok(cursor));
        }
        for text in ["", "x", "MQ", "ZC5hLmI", "eCBkLmEuYg", "MSBkLmIuYQ", "====", "ä"] {
            assert_eq!(InboxCursor::parse(text), Err(InvalidCursor), "{text}");
        }
    }
}
