//! The deliveries in PostgreSQL.

use std::time::Duration;

use parley_domain::{Timestamp, UserId};
use parley_projections::{Failure, number::from_sql};
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{channels::ChannelKind, policy::later};

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Digest,
    Close,
    Verify,
}

impl Sort {
    const ALL: [Self; 3] = [Self::Digest, Self::Close, Self::Verify];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Close => "close",
            Self::Verify => "verify",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == text)
    }
}

/// One thing for one endpoint, claimed by this process.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub delivery_id: i64,
    pub notification_id: Uuid,
    pub what: Sort,
    pub channel: ChannelKind,
    pub user_id: UserId,
    /// Empty, a conversation, or `*<channel>` for all.
    pub conversation: String,
    pub endpoint_id: String,
    pub messages: u64,
    pub created_at: Timestamp,
    /// This one included.
    pub attempts: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    Again {
        at: Timestamp,
        reason: String,
        /// Whether it was an attempt at all.
        counts: bool,
    },
    /// It need not be sent any more.
    Cancelled(&'static str),
    /// Nobody knows whether it was sent, and it must not be sent twice.
    Unknown(String),
    /// Nobody is reached at this endpoint any more: it leaves the account, and there is nothing for a
    /// person to look at.
    EndpointDead(String),
    /// For a person to look at.
    Dead(String),
}

impl Outcome {
    /// One word, for those who count.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Again { counts: true, .. } => "again",
            Self::Again { counts: false, .. } => "waits",
            Self::Cancelled(_) => "cancelled",
            Self::Unknown(_) => "unknown",
            Self::EndpointDead(_) => "endpointDead",
            Self::Dead(_) => "dead",
        }
    }
}

/// Takes deliveries that are due, for as long as `lease`. An SMS whose process has died after it had
/// begun to send it is not among them.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn claim(
    pool: &PgPool,
    channel: ChannelKind,
    most: usize,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<Delivery>, Failure> {
    if channel == ChannelKind::Sms {
        sqlx::query(
            "UPDATE notification_deliveries SET state = 'unknown', updated_at = $2, \
             reason = 'its process died while it was sent' \
             WHERE channel = $1 AND state = 'sending' AND begun AND next_at <= $2",
        )
        .bind(channel.as_str())
        .bind(now.to_date_time())
        .execute(pool)
        .await?;
    }
    let rows = sqlx::query(
        "UPDATE notification_deliveries d SET state = 'sending', attempts = attempts + 1, \
         begun = false, next_at = $3, updated_at = $2 WHERE delivery_id IN (\
         SELECT delivery_id FROM notification_deliveries \
         WHERE channel = $1 AND next_at <= $2 AND state IN ('pending', 'sending') \
         AND (state = 'pending' OR channel <> 'sms' OR NOT begun) \
         ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING d.*",
    )
    .bind(channel.as_str())
    .bind(now.to_date_time())
    .bind(later(now, lease).to_date_time())
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.iter().map(delivery).collect()
}

/// Marks that the provider is about to be asked. Says whether it may be: not if the delivery is not
/// this process's any more, because it took too long.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn begin(pool: &PgPool, delivery: &Delivery) -> Result<bool, Failure> {
    let begun = sqlx::query(
        "UPDATE notification_deliveries SET begun = true \
         WHERE delivery_id = $1 AND attempts = $2 AND state = 'sending'",
    )
    .bind(delivery.delivery_id)
    .bind(i32::try_from(delivery.attempts).unwrap_or(i32::MAX))
    .execute(pool)
    .await?;
    Ok(begun.rows_affected() == 1)
}

fn delivery(row: &PgRow) -> Result<Delivery, Failure> {
    let corrupt = |what: &str| Failure::Corrupt { what: "delivery", why: what.to_owned() };
    let at: time::OffsetDateTime = row.try_get("created_at")?;
    let user_id = UserId::parse(row.try_get("user_id")?).map_err(|_| corrupt("user"))?;
    Ok(Delivery {
        delivery_id: row.try_get("delivery_id")?,
        notification_id: row.try_get("notification_id")?,
        what: Sort::parse(row.try_get("what")?).ok_or_else(|| corrupt("what"))?,
        channel: ChannelKind::parse(row.try_get("channel")?).ok_or_else(|| corrupt("channel"))?,
        user_id,
        conversation: row.try_get("conversation_id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        messages: from_sql(row.try_get("messages")?)?,
        created_at: Timestamp::from(at),
        attempts: u32::try_from(row.try_get::<i32, _>("attempts")?).unwrap_or(u32::MAX),
    })
}

/// Stores how an attempt ended, unless it is not this process's any more. An endpoint that turned out
/// to be dead is queued, too, for [`crate::dead_endpoints`].
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn finish(
    pool: &PgPool,
    delivery: &Delivery,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), Failure> {
    let (state, reason, at, uncounted) = match outcome {
        Outcome::Sent => ("sent", None, now, false),
        Outcome::Again { at, reason, counts } => ("pending", Some(&**reason), *at, !counts),
        Outcome::Cancelled(reason) => ("cancelled", Some(*reason), now, false),
        Outcome::Unknown(reason) => ("unknown", Some(&**reason), now, false),
        Outcome::EndpointDead(reason) => ("cancelled", Some(&**reason), now, false),
        Outcome::Dead(reason) => ("dead", Some(&**reason), now, false),
    };
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "UPDATE notification_deliveries SET state = $3, reason = $4, next_at = $5, updated_at = $6, \
         attempts = attempts - $7 WHERE delivery_id = $1 AND attempts = $2 AND state = 'sending'",
    )
    .bind(delivery.delivery_id)
    .bind(i32::try_from(delivery.attempts).unwrap_or(i32::MAX))
    .bind(state)
    .bind(reason)
    .bind(at.to_date_time())
    .bind(now.to_date_time())
    .bind(i32::from(uncounted))
    .execute(&mut *transaction)
    .await?;
    if let Outcome::EndpointDead(reason) = outcome {
        sqlx::query(
            "INSERT INTO dead_endpoints (user_id, endpoint_id, reason, at, next_at) \
             VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING",
        )
        .bind(delivery.user_id.as_str())
        .bind(&delivery.endpoint_id)
        .bind(reason)
        .bind(now.to_date_time())
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}
