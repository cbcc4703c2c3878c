//! Who knows whom, and when somebody was last seen.

use parley_domain::{ConversationId, Timestamp, UserId};
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::{Failure, database::READ_DEADLINE, failure::within};

/// Somebody that another asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// Whether a message was ever sent between the two.
    pub is_known: bool,
    pub last_seen_at: Option<Timestamp>,
}

/// What there is to know of each of these pairs, in their order: the direct conversation that they
/// would have (nobody has one with themselves), and the one of the two who is asked about.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.acquaintances.read", skip_all, err(level = "debug"))]
pub async fn acquaintances(
    pool: &PgPool,
    pairs: &[(Option<ConversationId>, UserId)],
) -> Result<Vec<Acquaintance>, Failure> {
    let ids: Vec<Option<&str>> =
        pairs.iter().map(|(id, _)| id.as_ref().map(ConversationId::as_str)).collect();
    let users: Vec<&str> = pairs.iter().map(|(_, user)| user.as_str()).collect();
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT coalesce(c.last_seq > 0, false) AS is_known, l.last_seen_at \
             FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS asked(id, user_id, place) \
             LEFT JOIN conversations c ON c.conversation_id = asked.id \
             LEFT JOIN last_seen l ON l.user_id = asked.user_id ORDER BY asked.place",
        );
        Ok(query.bind(&ids).bind(&users).fetch_all(pool).await?)
    })
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let last_seen_at: Option<OffsetDateTime> = row.try_get("last_seen_at")?;
        found.push(Acquaintance {
            is_known: row.try_get("is_known")?,
            last_seen_at: last_seen_at.map(Timestamp::from),
        });
    }
    Ok(found)
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
