//! A page of a conversation's messages.

use parley_domain::{ConversationId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::rows::{self, message_columns};
use crate::{Failure, database::READ_DEADLINE, failure::within, number::bound, views::Message};

/// The most messages of one page.
pub const MAX_HISTORY_MESSAGES: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The first messages after this number.
    After(u64),
    /// The last messages before this number.
    Before(u64),
    /// The last messages: what a reader sees who asks for neither.
    Latest,
}

/// Messages in ascending order, and where the next pages begin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    pub messages: Vec<Message>,
    /// For [`Page::After`]; there when there is a message after this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after_seq: Option<u64>,
    /// For [`Page::Before`]; there when there is a message before this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before_seq: Option<u64>,
}

/// By ranges of numbers, not by counting rows: the planner knows the average conversation, and
/// would collect and sort a long one whole for a page of it. The reader's row is there even if the
/// range holds no message.
macro_rules! select {
    ($range:literal) => {
        concat!(
            "SELECT c.last_seq, c.first_seq, ",
            message_columns!(),
            " FROM (SELECT raw.conversation_id, me.visible, \
             COALESCE(me.left_seq, raw.last_seq) AS last_seq, \
             COALESCE(lower(me.visible), 1 + COALESCE(me.left_seq, raw.last_seq)) AS first_seq \
             FROM conversations raw JOIN members me ON me.conversation_id = raw.conversation_id \
             WHERE raw.conversation_id = $1 AND me.user_id = $4) c \
             LEFT JOIN messages m ON m.conversation_id = c.conversation_id \
             AND c.visible @> m.conversation_seq AND m.conversation_seq BETWEEN ",
            $range,
            " ORDER BY m.conversation_seq"
        )
    };
}

/// Reads a page of at most `limit` messages, at least 1 and at most [`MAX_HISTORY_MESSAGES`].
/// `None` if the conversation has no such reader.
///
/// Pages are cut by numbers, which are gapless but for events that could not be applied and for what
/// was sent while the reader was away: around those a page is shorter, and the next one begins where
/// it should.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.history.read", skip_all, err(level = "debug"))]
pub async fn history(
    pool: &PgPool,
    id: &ConversationId,
    reader: &UserId,
    page: Page,
    limit: u32,
) -> Result<Option<HistoryPage>, Failure> {
    let limit = u64::from(limit.clamp(1, MAX_HISTORY_MESSAGES));
    // Room for the sum of both.
    let bounded = |seq: u64| bound(seq).min(i64::MAX - i64::from(MAX_HISTORY_MESSAGES));
    let (sql, seq) = match page {
        Page::After(seq) => (
            select!("GREATEST($2, c.first_seq - 1) + 1 AND GREATEST($2, c.first_seq - 1) + $3"),
            bounded(seq),
        ),
        Page::Before(seq) => (
            select!("LEAST($2, c.last_seq) - $3 + 1 AND LEAST($2, c.last_seq)"),
            bounded(seq.saturating_sub(1)),
        ),
        Page::Latest => (select!("c.last_seq - $3 + 1 AND c.last_seq"), 0),
    };
    within(READ_DEADLINE, async {
        let query = sqlx::query(sql).bind(id.as_str()).bind(seq).bind(bound(limit));
        let found = query.bind(reader.as_str()).fetch_all(pool).await?;
        let Some(first) = found.first() else {
            return Ok(id.is_direct_member(reader).then(HistoryPage::default));
        };
        let seen = Seen {
            first_seq: rows::count(first, "first_seq")?,
            last_seq: rows::count(first, "last_seq")?,
        };
        let mut messages = Vec::with_capacity(found.len());
        for row in &found {
            messages.extend(rows::message(row)?);
        }
        let (lo, hi) = seen.numbers(page, limit);
        let some = lo <= hi;
        Ok(Some(HistoryPage {
            messages,
            next_after_seq: (some && hi < seen.last_seq).then_some(hi),
            next_before_seq: (some && lo > seen.first_seq).then_some(lo),
        }))
    })
    .await
}

/// The first and the last message that there is for the reader.
struct Seen {
    first_seq: u64,
    last_seq: u64,
}

impl Seen {
    /// The numbers that a page covers, of those that there are; none if the first is above the
    /// second.
    fn numbers(&self, page: Page, limit: u64) -> (u64, u64) {
        let upward = |hi: u64| (hi.saturating_sub(limit - 1).max(self.first_seq), hi);
        match page {
            Page::After(seq) => {
                let lo = seq.saturating_add(1).max(self.first_seq);
                (lo, lo.saturating_add(limit - 1).min(self.last_seq))
            }
            Page::Before(seq) => upward(seq.saturating_sub(1).min(self.last_seq)),
            Page::Latest => upward(self.last_seq),
        }
    }
}
