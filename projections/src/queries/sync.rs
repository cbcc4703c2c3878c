//! What a device has missed: a page of a consistent state, and where the next page begins.

use std::collections::HashMap;

use parley_domain::{ConversationId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::{
    account::{self, AccountState},
    inbox::{self, EVERYTHING, InboxCursor},
    rows::{self, archived, mark_columns, message_columns, summary_columns, summary_joins, unread},
};
use crate::{
    Failure, checkpoint,
    database::READ_DEADLINE,
    failure::within,
    number::bound,
    views::{Message, Summary},
};

/// How much one page holds at most; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimits {
    pub max_conversations: u32,
    pub max_messages: u32,
}

/// Where the next page begins. It carries all that this sync is about, so that any gateway can
/// answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCursor {
    /// [`SyncPage::checkpoints`] of the first page.
    checkpoints: Vec<u64>,
    next: Next,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Next {
    /// All conversations, newest activity first: behind this one.
    Newest { active_at: parley_domain::Timestamp, id: ConversationId },
    /// Changes after `since`, by conversation id: behind `id`, or inside it. No `id`: from the
    /// beginning.
    Changed { since: Vec<u64>, id: Option<ConversationId>, inside: Option<Inside> },
}

/// Where a conversation is cut that does not fit on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Inside {
    /// The next part begins behind this message.
    after_seq: u64,
    /// Of the conversation when its first part was read. See [`claim`].
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncPage {
    /// By shard: live events go on behind these positions. All pages of one sync say the same, and
    /// hold every change up to there; they may hold later ones.
    pub checkpoints: Vec<u64>,
    pub conversations: Vec<SyncConversation>,
    /// The account as it is now, on the first page only, and only if it changed after `since`.
    pub account: Option<AccountState>,
    pub next: Option<SyncCursor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncConversation {
    pub conversation: Summary,
    pub messages: Vec<Message>,
}

/// Reads a page in one snapshot.
///
/// - Without `since`: the user's summaries, newest activity first, without messages. If that took
///   several pages, a last part follows with what changed meanwhile, since a conversation may
///   have moved to the front unseen.
/// - With `since`, the positions by shard up to which the caller knows everything: every
///   conversation that changed after them, by conversation id, with its current summary and every
///   message that was sent or changed after them. A conversation with many is split over pages.
/// - The first page also tells of the user's account, by the same rule.
/// - With `cursor`: the page behind the one that gave it; `since` counts for nothing then.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.sync.read", skip_all, err(level = "debug"))]
pub async fn sync_page(
    pool: &PgPool,
    shards: u16,
    user: &UserId,
    since: Option<&[u64]>,
    cursor: Option<SyncCursor>,
    limits: SyncLimits,
) -> Result<SyncPage, Failure> {
    within(READ_DEADLINE, async {
        let mut snapshot =
            pool.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let mut account = None;
        let (checkpoints, next) = match cursor {
            Some(cursor) => (cursor.checkpoints, Some(cursor.next)),
            None => {
                account = account::changed(&mut snapshot, user, since).await?;
                let mut checkpoints = checkpoint::read_all(&mut *snapshot, shards).await?;
                // Who is ahead of the views has missed nothing that is in them.
                for (checkpoint, since) in checkpoints.iter_mut().zip(since.unwrap_or_default()) {
                    *checkpoint = (*checkpoint).max(*since);
                }
                let changed =
                    |since: &[u64]| Next::Changed { since: since.to_vec(), id: None, inside: None };
                (checkpoints, since.map(changed))
            }
        };
        let page = match next {
            None => newest(&mut snapshot, user, checkpoints, None, limits).await,
            Some(Next::Newest { active_at, id }) => {
                let behind = InboxCursor { pinned: false, active_at, id };
                newest(&mut snapshot, user, checkpoints, Some(behind), limits).await
            }
            Some(Next::Changed { since, id, inside }) => {
                let place = Place { since, id, inside };
                changed(&mut snapshot, user, checkpoints, place, limits).await
            }
        }?;
        snapshot.commit().await?;
        Ok(SyncPage { account, ..page })
    })
    .await
}

async fn newest(
    snapshot: &mut PgConnection,
    user: &UserId,
    checkpoints: Vec<u64>,
    behind: Option<InboxCursor>,
    limits: SyncLimits,
) -> Result<SyncPage, Failure> {
    let is_first = behind.is_none();
    let page =
        inbox::page(snapshot, user, EVERYTHING, limits.max_conversations, behind.as_ref()).await?;
    let next = match page.next_cursor {
        Some(InboxCursor { active_at, id, .. }) => Some(Next::Newest { active_at, id }),
        None if is_first => None,
        None => Some(Next::Changed { since: checkpoints.clone(), id: None, inside: None }),
    };
    let conversations = page
        .summaries
        .into_iter()
        .map(|conversation| SyncConversation { conversation, messages: Vec::new() })
        .collect();
    let next = next.map(|next| SyncCursor { checkpoints: checkpoints.clone(), next });
    Ok(SyncPage { checkpoints, conversations, account: None, next })
}

struct Place {
    since: Vec<u64>,
    id: Option<ConversationId>,
    inside: Option<Inside>,
}

/// The page is cut to size before its messages are looked for; `OFFSET 0` as in the inbox.
const CHANGED: &str = concat!(
    "WITH page AS MATERIALIZED ( \
     SELECT c.*, me.user_id, me.read_seq, me.delivered_seq, \
     COALESCE(($2::bigint[])[c.shard + 1], 0) AS since \
     FROM members me CROSS JOIN LATERAL (SELECT * FROM conversations one \
     WHERE one.conversation_id = me.conversation_id OFFSET 0) c \
     WHERE me.user_id = $1 AND c.position > COALESCE(($2::bigint[])[c.shard + 1], 0) \
     AND (me.conversation_id > $3 OR (me.conversation_id = $3 AND $4)) \
     ORDER BY me.conversation_id LIMIT $5) \
     SELECT c.since, first_seq_after(c.conversation_id, c.last_seq, c.since) AS first_seq, ",
    summary_columns!(),
    " FROM page c CROSS JOIN LATERAL (SELECT c.user_id, c.read_seq, c.delivered_seq) me ",
    summary_joins!(),
    " ORDER BY c.conversation_id"
);

/// Of each wanted conversation: what was sent after the position, by the range of its numbers, and
/// what was changed after it, by the index of changed messages (`OFFSET 0`: the planner would walk
/// the primary key, for the sake of its order).
const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
     WITH ORDINALITY AS w (conversation_id, since, after_seq, first_seq, through_seq, nth) \
     CROSS JOIN LATERAL ( \
     (SELECT * FROM messages n WHERE n.conversation_id = w.conversation_id COLLATE \"C\" \
     AND n.conversation_seq > w.after_seq \
     AND n.conversation_seq BETWEEN w.first_seq AND w.through_seq) \
     UNION ALL \
     (SELECT * FROM ( \
     SELECT * FROM messages c WHERE c.conversation_id = w.conversation_id COLLATE \"C\" \
     AND c.changed_position > w.since OFFSET 0) o \
     WHERE o.conversation_seq > w.after_seq AND o.conversation_seq < w.first_seq \
     ORDER BY o.conversation_seq LIMIT $6)) m \
     ORDER BY w.nth, m.conversation_seq LIMIT $6"
);

async fn changed(
    snapshot: &mut PgConnection,
    user: &UserId,
    checkpoints: Vec<u64>,
    place: Place,
    limits: SyncLimits,
) -> Result<SyncPage, Failure> {
    let Place { since, id: resumed_id, inside: resumed } = place;
    let max_conversations = limits.max_conversations.max(1) as usize;
    let max_messages = limits.max_messages.max(1) as usize;
    let since_sql: Vec<i64> = since.iter().copied().map(bound).collect();
    let mut found = sqlx::query(CHANGED)
        .bind(user.as_str())
        .bind(since_sql)
        .bind(resumed_id.as_ref().map_or("", ConversationId::as_str))
        .bind(resumed.is_some())
        .bind(i64::from(limits.max_conversations.max(1)) + 1)
        .fetch_all(&mut *snapshot)
        .await?;
    let mut more = found.len() > max_conversations;
    found.truncate(max_conversations);

    let mut wanted = Wanted::default();
    let mut conversations = Vec::with_capacity(found.len());
    let mut room = limits.max_messages.max(1).into();
    let mut inside = None;
    for row in &found {
        // The messages of those before fill the page already.
        if room == 0 {
            more = true;
            break;
        }
        let conversation = rows::summary(row)?;
        let id = &conversation.conversation_id;
        let is_resumed = resumed_id.as_ref() == Some(id);
        let after = resumed.filter(|_| is_resumed).map_or(0, |inside| inside.after_seq);
        let first = rows::count(row, "first_seq")?;
        // A cursor may have been to a client and back: any number can be in it.
        let from = first.max(after.saturating_add(1));
        let through = conversation.last_seq.min(from.saturating_add(room - 1));
        if through < conversation.last_seq {
            inside = Some(through);
        }
        room -= through.saturating_add(1).saturating_sub(from).min(room);
        wanted.push(id, [rows::count(row, "since")?, after, first, through]);
        conversations.push(SyncConversation { conversation, messages: Vec::new() });
    }
    let mut messages = wanted.read(snapshot, max_messages + 1).await?;
    let end = End { inside, more };
    let cut_at = cut(&mut conversations, &mut messages, max_messages, end);
    hand_out(&mut conversations, messages);
    let begun = resumed.filter(|_| {
        conversations.first().map(|first| &first.conversation.conversation_id)
            == resumed_id.as_ref()
    });
    if let (Some(begun), Some(first)) = (begun, conversations.first_mut()) {
        first.conversation.version = first.conversation.version.min(begun.version);
    }
    let next = cut_at.map(|(id, after_seq)| {
        let inside = after_seq.zip(conversations.last_mut()).map(|(after_seq, last)| {
            let version = last.conversation.version;
            claim(last);
            Inside { after_seq, version }
        });
        let next = Next::Changed { since, id: Some(id), inside };
        SyncCursor { checkpoints: checkpoints.clone(), next }
    });
    Ok(SyncPage { checkpoints, conversations, account: None, next })
}

/// A version says that every change up to it is included. A part of a conversation that has more
/// parts can say so only up to its last message: a device that is cut off behind this part drops
/// what it is given again up to the version that it knows, and must not drop what was in the next
/// part. The last part says the version that the first one was read at, since what changed in the
/// first part's messages meanwhile is in none; it comes with the live events.
fn claim(part: &mut SyncConversation) {
    let through = part.messages.last().map_or(0, |message| message.version);
    part.conversation.version = part.conversation.version.min(through);
}

/// How a page ends, by the numbers of its new messages alone.
struct End {
    /// Of the last conversation, only what is up to here.
    inside: Option<u64>,
    /// There are conversations behind the last one.
    more: bool,
}

/// Ends the page behind `max` messages, since there may be changed ones besides the new; says where
/// the next one begins, if there is one.
fn cut(
    conversations: &mut Vec<SyncConversation>,
    messages: &mut Vec<Message>,
    max: usize,
    end: End,
) -> Option<(ConversationId, Option<u64>)> {
    let too_many = messages.get(max).map(|first| first.conversation_id.clone());
    messages.truncate(max);
    let Some(beyond) = too_many else {
        let last = conversations.last()?;
        let is_end = end.inside.is_none() && !end.more;
        return (!is_end).then(|| (last.conversation.conversation_id.clone(), end.inside));
    };
    // Those before it are complete; of `beyond` itself, perhaps a part is here.
    let inside = messages
        .last()
        .filter(|last| last.conversation_id == beyond)
        .map(|last| last.conversation_seq);
    conversations.retain(|shown| match inside {
        Some(_) => shown.conversation.conversation_id <= beyond,
        None => shown.conversation.conversation_id < beyond,
    });
    let last = conversations.last()?;
    Some((last.conversation.conversation_id.clone(), inside))
}

fn hand_out(conversations: &mut [SyncConversation], messages: Vec<Message>) {
    let mut place: HashMap<ConversationId, &mut Vec<Message>> = conversations
        .iter_mut()
        .map(|shown| (shown.conversation.conversation_id.clone(), &mut shown.messages))
        .collect();
    for message in messages {
        if let Some(list) = place.get_mut(&message.conversation_id) {
            list.push(message);
        }
    }
}

#[derive(Default)]
struct Wanted {
    ids: Vec<String>,
    /// Position, number behind which to go on, first new number, last number of this page.
    numbers: [Vec<i64>; 4],
}

impl Wanted {
    fn push(&mut self, id: &ConversationId, numbers: [u64; 4]) {
        self.ids.push(id.to_string());
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.push(bound(number));
        }
    }

    async fn read(
        self,
        snapshot: &mut PgConnection,
        limit: usize,
    ) -> Result<Vec<Message>, Failure> {
        if self.ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = sqlx::query(MESSAGES).bind(self.ids);
        for column in self.numbers {
            query = query.bind(column);
        }
        let rows = query.bind(bound(limit as u64)).fetch_all(snapshot).await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in &rows {
            messages.extend(rows::message(row)?);
        }
        Ok(messages)
    }
}
