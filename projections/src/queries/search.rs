//! What somebody can find in the messages that they may see.
//!
//! There is no index: it would cost each new message, and one person's messages are few. A search
//! looks at them from the newest backward, and stops when its page is full or its budget is used up
//! (docs/adr/0009).

mod cursor;
mod fold;
mod plan;
mod snippet;
mod words;

use std::time::{Duration, Instant};

use parley_domain::{Body, ConversationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row, postgres::PgRow, types::Json};

use self::{
    cursor::Place,
    plan::{Plan, Span},
};
pub use self::{
    cursor::SearchCursor,
    words::{InvalidWords, MAX_SEARCH_CHARACTERS, Words},
};
use super::{
    rows::{self, message_columns},
    summary::is_participant,
};
use crate::{
    Failure, checkpoint, database::READ_DEADLINE, failure::within, number::bound, views::Message,
};

/// The most hits of one page.
pub const MAX_SEARCH_HITS: u32 = 100;

/// Messages that are read at once: few at first, since most pages are full after these, then twice
/// as many each time, up to what may lie in memory.
const FIRST_PART: u64 = 256;
const LARGEST_PART: u64 = 1_024;

/// What is searched for. Both times are exclusive.
#[derive(Debug, Clone)]
pub struct SearchFor {
    pub words: Words,
    pub conversation_id: Option<ConversationId>,
    pub sender_id: Option<UserId>,
    pub after: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

/// What one page may hold and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// At least 1 and at most [`MAX_SEARCH_HITS`].
    pub hits: u32,
    /// That are looked at.
    pub messages: u32,
    /// After which nothing more is begun.
    pub time: Duration,
}

/// A message that was found, and the part of it that shows why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub message: Message,
    pub snippet: String,
}

/// Hits: conversations with the newest messages first, in each the newest message first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchPage {
    pub hits: Vec<Hit>,
    /// There as long as there is something that was not looked at, even if the page has no hit.
    pub next_cursor: Option<SearchCursor>,
    /// How many messages were looked at.
    pub messages: u64,
}

/// Of each of the user's conversations ($3: only this one; $4: only those with this person): how far
/// the search goes in it, its newest message there that the user may see, and that message's time;
/// then those at and behind the cursor ($5 to $7), cut into the ranges that the user may see.
///
/// How far is by position: a message that came since the search began moves its conversation to the
/// front of the inbox, but not here. `OFFSET 0` as in `mine!`.
const SPANS: &str = "SELECT s.conversation_id, s.active_at, lower(r.range) AS first_seq, \
    upper(r.range) - 1 AS last_seq FROM ( \
    SELECT k.conversation_id, k.active_at, k.seen * int8multirange(int8range(1, \
    CASE WHEN k.conversation_id = $5 THEN $6 + 1 END)) AS seen FROM ( \
    SELECT raw.conversation_id, reach.seen, COALESCE( \
    CASE WHEN upper(reach.seen) = raw.last_seq + 1 THEN raw.last_message_at ELSE ( \
    SELECT m.created_at FROM messages m WHERE m.conversation_id = raw.conversation_id \
    AND m.conversation_seq < upper(reach.seen) ORDER BY m.conversation_seq DESC LIMIT 1) END, \
    raw.created_at) AS active_at \
    FROM members me CROSS JOIN LATERAL (SELECT * FROM conversations one \
    WHERE one.conversation_id = me.conversation_id OFFSET 0) raw \
    CROSS JOIN LATERAL (SELECT COALESCE(($2::bigint[])[raw.shard + 1], 0) AS as_of) known \
    CROSS JOIN LATERAL (SELECT me.visible * int8multirange(int8range(1, \
    CASE WHEN raw.position <= known.as_of THEN raw.last_seq + 1 \
    ELSE first_seq_after(raw.conversation_id, raw.last_seq, known.as_of) END)) AS seen OFFSET 0) reach \
    WHERE me.user_id = $1 AND ($3::text IS NULL OR me.conversation_id = $3) \
    AND ($4::text IS NULL OR EXISTS (SELECT 1 FROM members sender \
    WHERE sender.conversation_id = me.conversation_id AND sender.user_id = $4)) \
    AND NOT isempty(reach.seen)) k \
    WHERE $5::text IS NULL OR k.conversation_id = $5 \
    OR (k.active_at, k.conversation_id) < ($7::timestamptz, $5) \
    ORDER BY k.active_at DESC, k.conversation_id DESC LIMIT $8) s \
    CROSS JOIN LATERAL unnest(s.seen) AS r (range) \
    ORDER BY s.active_at DESC, s.conversation_id DESC, lower(r.range) DESC";

/// The messages of these spans that say something to a reader. `OFFSET 0` keeps the planner to
/// reading each span by the primary key.
const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) \
     WITH ORDINALITY AS w (conversation_id, first_seq, last_seq, nth) \
     CROSS JOIN LATERAL (SELECT * FROM messages one \
     WHERE one.conversation_id = w.conversation_id COLLATE \"C\" \
     AND one.conversation_seq BETWEEN w.first_seq AND w.last_seq OFFSET 0) m \
     WHERE m.body IS NOT NULL AND m.body ->> 'kind' <> 'encrypted' \
     AND (m.expires_at IS NULL OR m.expires_at > now()) \
     AND ($4::text IS NULL OR m.sender_id = $4) \
     AND ($5::timestamptz IS NULL OR m.created_at > $5) \
     AND ($6::timestamptz IS NULL OR m.created_at < $6) \
     ORDER BY w.nth, m.conversation_seq DESC"
);

/// Reads a page: of the messages that were there when the first page was read, each at most once
/// over all pages. `None` if the conversation that is searched has no such reader.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.search.read", skip_all, err(level = "debug"))]
pub async fn search(
    pool: &PgPool,
    shards: u16,
    reader: &UserId,
    wanted: &SearchFor,
    cursor: Option<SearchCursor>,
    limits: SearchLimits,
) -> Result<Option<SearchPage>, Failure> {
    let began = Instant::now();
    let hits = limits.hits.clamp(1, MAX_SEARCH_HITS) as usize;
    let (as_of, place) = match cursor {
        Some(SearchCursor { as_of, place }) => (as_of, Some(place)),
        None => (checkpoint::checkpoints(pool, shards).await?, None),
    };
    let spans = spans(pool, reader, wanted, &as_of, place.as_ref(), limits.messages).await?;
    if spans.is_empty()
        && let Some(id) = &wanted.conversation_id
        && !id.is_direct_member(reader)
        && !is_participant(pool, id, reader).await?
    {
        return Ok(None);
    }
    let mut plan = Plan::new(spans);
    let (mut page, mut next) = (SearchPage::default(), plan.place());
    let (mut left, mut part) = (u64::from(limits.messages.max(1)), FIRST_PART);
    while next.is_some() && left > 0 && page.hits.len() < hits {
        // A page without time looks at something, too, or the search would never end.
        if page.messages > 0 && began.elapsed() >= limits.time {
            break;
        }
        let spans = plan.take(part.min(left));
        let read: u64 = spans.iter().map(Span::messages).sum();
        next = match matching(pool, wanted, spans, &mut page.hits, hits).await? {
            Some(one_more) => Some(one_more),
            None => plan.place(),
        };
        page.messages += read;
        left -= read;
        part = (part * 2).min(LARGEST_PART);
    }
    page.next_cursor = next.map(|place| SearchCursor { as_of, place });
    Ok(Some(page))
}

async fn spans(
    pool: &PgPool,
    reader: &UserId,
    wanted: &SearchFor,
    as_of: &[u64],
    place: Option<&Place>,
    messages: u32,
) -> Result<Vec<Span>, Failure> {
    let as_of: Vec<i64> = as_of.iter().map(|position| bound(*position)).collect();
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(SPANS)
            .bind(reader.as_str())
            .bind(as_of)
            .bind(wanted.conversation_id.as_ref().map(ConversationId::as_str))
            .bind(wanted.sender_id.as_ref().map(UserId::as_str))
            .bind(place.map(|place| place.conversation_id.as_str()))
            // Room for the sum.
            .bind(place.map(|place| bound(place.conversation_seq).min(i64::MAX - 1)))
            .bind(place.map(|place| place.active_at.to_date_time()))
            // Each has a message at least; one more, to know whether there is more.
            .bind(i64::from(messages) + 1);
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    let span = |row: &PgRow| {
        Ok(Span {
            conversation_id: rows::conversation_id(row)?,
            active_at: rows::moment(row, "active_at")?,
            first_seq: rows::count(row, "first_seq")?,
            last_seq: rows::count(row, "last_seq")?,
        })
    };
    found.iter().map(span).collect()
}

/// Adds the messages of these spans that match, up to so many hits. If there is one more, its place:
/// nothing from there on has been given.
async fn matching(
    pool: &PgPool,
    wanted: &SearchFor,
    spans: Vec<Span>,
    hits: &mut Vec<Hit>,
    most: usize,
) -> Result<Option<Place>, Failure> {
    let (mut ids, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for span in &spans {
        ids.push(span.conversation_id.as_str());
        firsts.push(bound(span.first_seq));
        lasts.push(bound(span.last_seq));
    }
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(MESSAGES)
            .bind(ids)
            .bind(firsts)
            .bind(lasts)
            .bind(wanted.sender_id.as_ref().map(UserId::as_str))
            .bind(wanted.after.map(Timestamp::to_date_time))
            .bind(wanted.before.map(Timestamp::to_date_time));
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    for row in &found {
        // Others get their turn now and then: long texts take a while.
        tokio::task::consume_budget().await;
        let body: Option<Json<Body>> = row.try_get("body")?;
        let Some(Json(body)) = body.filter(|Json(body)| wanted.words.are_in(body)) else {
            continue;
        };
        let Some(message) = rows::message(row)? else { continue };
        if hits.len() < most {
            let snippet = snippet::snippet(&body, &wanted.words);
            hits.push(Hit { message, snippet });
            continue;
        }
        let span = spans.iter().find(|span| span.conversation_id == message.conversation_id);
        return Ok(span.map(|span| Place {
            active_at: span.active_at,
            conversation_id: message.conversation_id,
            conversation_seq: message.conversation_seq,
        }));
    }
    Ok(None)
}
