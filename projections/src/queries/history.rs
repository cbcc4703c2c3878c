//! A page of a conversation's messages.

use parley_domain::ConversationId;
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

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT c.last_seq, ",
            message_columns!(),
            " FROM conversations c \
             JOIN messages m ON m.conversation_id = c.conversation_id \
             WHERE c.conversation_id = $1 AND ",
            $condition,
            " LIMIT $3"
        )
    };
}

/// Reads a page of at most `limit` messages, at least 1 and at most [`MAX_HISTORY_MESSAGES`].
/// Whether the reader may see them is for the caller to know.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.history.read", skip_all, err(level = "debug"))]
pub async fn history(
    pool: &PgPool,
    id: &ConversationId,
    page: Page,
    limit: u32,
) -> Result<HistoryPage, Failure> {
    let limit = limit.clamp(1, MAX_HISTORY_MESSAGES);
    let (sql, from) = match page {
        Page::After(seq) => {
            (select!("m.conversation_seq > $2 ORDER BY m.conversation_seq"), bound(seq))
        }
        Page::Before(seq) => {
            (select!("m.conversation_seq < $2 ORDER BY m.conversation_seq DESC"), bound(seq))
        }
        Page::Latest => {
            (select!("m.conversation_seq <= $2 ORDER BY m.conversation_seq DESC"), i64::MAX)
        }
    };
    within(READ_DEADLINE, async {
        let found = sqlx::query(sql)
            .bind(id.as_str())
            .bind(from)
            // One more, to know whether there is more.
            .bind(i64::from(limit) + 1)
            .fetch_all(pool)
            .await?;
        let last_seq = found.first().map_or(Ok(0), |row| rows::count(row, "last_seq"))?;
        let shown = found.len().min(limit as usize);
        let more = found.len() > shown;
        let mut messages = Vec::with_capacity(shown);
        for row in &found[..shown] {
            messages.extend(rows::message(row)?);
        }
        Ok(complete(messages, page, more, last_seq))
    })
    .await
}

fn complete(mut messages: Vec<Message>, page: Page, more: bool, last_seq: u64) -> HistoryPage {
    let (more_after, more_before) = match page {
        // Numbers are gapless from 1.
        Page::After(_) => (more, messages.first().is_some_and(|first| first.conversation_seq > 1)),
        Page::Before(_) | Page::Latest => {
            messages.reverse();
            (messages.last().is_some_and(|last| last.conversation_seq < last_seq), more)
        }
    };
    let first = messages.first().map(|message| message.conversation_seq);
    let last = messages.last().map(|message| message.conversation_seq);
    HistoryPage {
        messages,
        next_after_seq: last.filter(|_| more_after),
        next_before_seq: first.filter(|_| more_before),
    }
}
