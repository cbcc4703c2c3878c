//! Who knows whom, and when somebody was last seen.

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::{Failure, checkpoint, database::READ_DEADLINE, failure::within};

/// Somebody who asks about another.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The direct conversation that they would have; nobody has one with themselves.
    pub conversation: Option<&'a ConversationId>,
    pub me: &'a UserId,
    pub user: &'a UserId,
}

/// What there is between them, and when the other was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// A message was sent between the two.
    pub has_talked: bool,
    /// One of them, or each, blocks the other.
    pub is_blocked: bool,
    /// Both are members of some group; channels do not count.
    pub shares_group: bool,
    pub last_seen_at: Option<Timestamp>,
}

/// What the views know of some pairs, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acquaintances {
    /// By shard: what is up to here is in the answer, and later events may be.
    pub checkpoints: Vec<u64>,
    pub found: Vec<Acquaintance>,
}

/// Ids between `g.` and `g/` are those of groups.
const FIND: &str = "SELECT coalesce(c.last_seq > 0, false) AS has_talked, \
    coalesce(c.blocked_by <> '{}', false) AS is_blocked, \
    EXISTS (SELECT 1 FROM members mine JOIN members theirs \
    ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = asked.user_id \
    WHERE mine.user_id = asked.me AND mine.conversation_id > 'g.' AND mine.conversation_id < 'g/' \
    AND mine.left_position IS NULL AND theirs.left_position IS NULL) AS shares_group, \
    l.last_seen_at \
    FROM UNNEST($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS asked(id, me, user_id, place) \
    LEFT JOIN conversations c ON c.conversation_id = asked.id \
    LEFT JOIN last_seen l ON l.user_id = asked.user_id ORDER BY asked.place";

/// What there is to know of each of these pairs.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.acquaintances.read", skip_all, err(level = "debug"))]
pub async fn acquaintances(
    pool: &PgPool,
    shards: u16,
    pairs: &[Pair<'_>],
) -> Result<Acquaintances, Failure> {
    let ids: Vec<_> =
        pairs.iter().map(|pair| pair.conversation.map(ConversationId::as_str)).collect();
    let me: Vec<&str> = pairs.iter().map(|pair| pair.me.as_str()).collect();
    let users: Vec<&str> = pairs.iter().map(|pair| pair.user.as_str()).collect();
    let (checkpoints, rows) = within(READ_DEADLINE, async {
        // First: what is read after them knows at least as much.
        let checkpoints = checkpoint::read_all(pool, shards).await?;
        let rows = sqlx::query(FIND).bind(&ids).bind(&me).bind(&users).fetch_all(pool).await?;
        Ok((checkpoints, rows))
    })
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let last_seen_at: Option<OffsetDateTime> = row.try_get("last_seen_at")?;
        found.push(Acquaintance {
            has_talked: row.try_get("has_talked")?,
            is_blocked: row.try_get("is_blocked")?,
            shares_group: row.try_get("shares_group")?,
            last_seen_at: last_seen_at.map(Timestamp::from),
        });
    }
    Ok(Acquaintances { checkpoints, found })
}

/// Notes when these people, each named once, were last seen; never moves back.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.last_seen.write", skip_all, err(level = "debug"))]
pub async fn note_last_seen(pool: &PgPool, seen: &[(UserId, Timestamp)]) -> Result<(), Failure> {
    // In one order, so that two gateways that write the same rows cannot wait for each other.
    let mut seen: Vec<(&str, OffsetDateTime)> =
        seen.iter().map(|(user, at)| (user.as_str(), at.to_date_time())).collect();
    seen.sort_unstable();
    let (users, times): (Vec<&str>, Vec<OffsetDateTime>) = seen.into_iter().unzip();
    within(READ_DEADLINE, async {
        let query = sqlx::query(
            "INSERT INTO last_seen (user_id, last_seen_at) \
             SELECT * FROM UNNEST($1::text[], $2::timestamptz[]) \
             ON CONFLICT (user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at \
             WHERE last_seen.last_seen_at < excluded.last_seen_at",
        );
        query.bind(&users).bind(&times).execute(pool).await?;
        Ok(())
    })
    .await
}
