//! The answer to "why was I told, or not?": the decisions about one person, the newest first.

use std::time::Duration;

use parley_domain::{ConversationId, Timestamp, UserId};
use parley_projections::{Failure, number::from_sql};
use serde::Serialize;
use sqlx::{PgPool, Row, types::Json};
use uuid::Uuid;

use crate::{
    channels::ChannelKind,
    policy::{Capped, Reason},
    thread::ThreadEvent,
};

/// The most of one page.
pub const MAX_DECISIONS: u32 = 200;
/// How long the question may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// One decision, as the person whom it is about sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// `told`, `skipped` or `deferred`.
    pub decision: &'static str,
    /// Why they were not told, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    pub at: Timestamp,
    /// `None`: about all conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// How many waited.
    pub messages: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<Uuid>,
    /// By which they were told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelKind>,
    /// That were left out, until they get a digest over all conversations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<Capped>,
    /// For a deferral, when it is decided again; for a digest, when the next one may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Some decisions, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionPage {
    pub decisions: Vec<Decision>,
    /// `None`: that was all.
    pub next_before: Option<u64>,
}

/// The decisions about a person, of one conversation or of all.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "notifier.decisions.read", skip_all, err(level = "debug"))]
pub async fn decisions(
    pool: &PgPool,
    user: &UserId,
    conversation: Option<&ConversationId>,
    before: Option<u64>,
    limit: u32,
) -> Result<DecisionPage, Failure> {
    let thread = conversation.map(|conversation| format!("{user} {conversation}"));
    // All that there are, if nothing is said; a number beyond what is stored is as good.
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let query = sqlx::query(
        "SELECT number, aggregate_id, payload FROM notification_events \
         WHERE user_id = $1 AND ($2::text IS NULL OR aggregate_id = $2) AND number < $3 \
         ORDER BY number DESC LIMIT $4",
    )
    .bind(user.as_str())
    .bind(thread)
    .bind(before)
    .bind(i64::from(limit) + 1)
    .fetch_all(pool);
    let asked = tokio::time::timeout(DEADLINE, query).await;
    let mut rows = asked.map_err(|_| Failure::TimedOut(DEADLINE))??;
    let is_all = rows.len() <= limit as usize;
    rows.truncate(limit as usize);
    let mut page = DecisionPage { decisions: Vec::with_capacity(rows.len()), next_before: None };
    for row in &rows {
        let Json(event): Json<ThreadEvent> = row.try_get("payload")?;
        let thread: &str = row.try_get("aggregate_id")?;
        let conversation = thread.split(' ').nth(1).unwrap_or_default();
        page.decisions.push(Decision::of(event, ConversationId::parse(conversation).ok()));
        if !is_all {
            page.next_before = Some(from_sql(row.try_get("number")?)?);
        }
    }
    Ok(page)
}

impl Decision {
    fn of(event: ThreadEvent, conversation_id: Option<ConversationId>) -> Self {
        let nothing = Self {
            decision: "skipped",
            reason: None,
            at: event.at(),
            conversation_id,
            messages: 0,
            notification_id: None,
            channels: Vec::new(),
            capped: Vec::new(),
            until: None,
        };
        match event {
            ThreadEvent::Told(told) => {
                let mut channels: Vec<_> =
                    told.targets.iter().map(|target| target.channel).collect();
                channels.sort_unstable();
                channels.dedup();
                Self {
                    decision: "told",
                    messages: told.messages,
                    notification_id: Some(told.notification_id),
                    until: Some(told.cools_until()).filter(|until| *until > told.at),
                    capped: told.capped,
                    channels,
                    ..nothing
                }
            }
            ThreadEvent::Skipped { reason, messages, capped, .. } => {
                Self { reason: Some(reason), messages, capped, ..nothing }
            }
            ThreadEvent::Deferred { reason, messages, until, .. } => Self {
                decision: "deferred",
                reason: Some(reason),
                messages,
                until: Some(until),
                ..nothing
            },
        }
    }
}
