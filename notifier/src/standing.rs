//! How conversations stand for people, as the views have it now.

use std::collections::BTreeMap;

use parley_domain::Timestamp;
use parley_projections::{Failure, number::from_sql};
use sqlx::{PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::policy::Standing;

/// A person and a conversation.
pub type Pair = (String, String);

/// What there is to know of `c`, a conversation, for `m`, the row of its member; at the time `$1`.
macro_rules! columns {
    () => {
        "coalesce(c.last_seq, 0) AS last_seq, c.last_message_at, coalesce(m.read_seq, 0) AS read_seq, \
         GREATEST(coalesce(c.last_seq - m.read_seq, 0), 0) - (SELECT count(*) FROM messages gone \
         WHERE gone.conversation_id = c.conversation_id AND gone.conversation_seq > m.read_seq \
         AND gone.deleted_at IS NOT NULL) AS unread, m.left_position IS NOT NULL AS has_left, \
         coalesce(k.muted AND (k.muted_until IS NULL OR k.muted_until > $1), false) AS muted, \
         coalesce(cardinality(c.blocked_by), 0) > 0 AS blocked "
    };
}

/// Of each of these pairs, in one question.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn of(
    connection: &mut PgConnection,
    pairs: impl Iterator<Item = (&str, &str)>,
    now: Timestamp,
) -> Result<BTreeMap<Pair, Standing>, Failure> {
    let (users, ids): (Vec<&str>, Vec<&str>) = pairs.unzip();
    let rows = sqlx::query(concat!(
        "SELECT a.user_id, a.conversation_id, ",
        columns!(),
        "FROM UNNEST($2::text[], $3::text[]) AS a (user_id, conversation_id) \
         LEFT JOIN conversations c ON c.conversation_id = a.conversation_id \
         LEFT JOIN members m ON m.conversation_id = a.conversation_id AND m.user_id = a.user_id \
         LEFT JOIN conversation_marks k \
         ON k.conversation_id = a.conversation_id AND k.user_id = a.user_id",
    ))
    .bind(now.to_date_time())
    .bind(users)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut all = BTreeMap::new();
    for row in rows {
        let pair = (row.try_get("user_id")?, row.try_get("conversation_id")?);
        all.insert(pair, standing(&row)?);
    }
    Ok(all)
}

/// Of all conversations of these people together: what waits anywhere and may be told. The channels
/// that they read do not count.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn over_all(
    connection: &mut PgConnection,
    users: &[&str],
    now: Timestamp,
) -> Result<BTreeMap<String, Standing>, Failure> {
    let rows = sqlx::query(concat!(
        "SELECT m.user_id, ",
        columns!(),
        "FROM members m JOIN conversations c ON c.conversation_id = m.conversation_id \
         LEFT JOIN conversation_marks k \
         ON k.conversation_id = m.conversation_id AND k.user_id = m.user_id \
         WHERE m.user_id = ANY($2) AND m.read_seq < c.last_seq AND m.left_position IS NULL \
         AND c.kind <> 'channel'",
    ))
    .bind(now.to_date_time())
    .bind(users)
    .fetch_all(connection)
    .await?;
    let mut sums: BTreeMap<String, Standing> = BTreeMap::new();
    for row in &rows {
        let one = standing(row)?;
        let all = sums.entry(row.try_get("user_id")?).or_default();
        if !one.muted && !one.blocked {
            all.unread += one.unread;
            let millis = one.last_at.and_then(|at| u64::try_from(at.unix_millis()).ok());
            all.last_seq = all.last_seq.max(millis.unwrap_or_default());
        }
    }
    Ok(sums)
}

fn standing(row: &PgRow) -> Result<Standing, Failure> {
    let last_at: Option<OffsetDateTime> = row.try_get("last_message_at")?;
    Ok(Standing {
        last_seq: from_sql(row.try_get("last_seq")?)?,
        last_at: last_at.map(Timestamp::from),
        read_seq: from_sql(row.try_get("read_seq")?)?,
        unread: from_sql(row.try_get::<i64, _>("unread")?.max(0))?,
        has_left: row.try_get("has_left")?,
        muted: row.try_get("muted")?,
        blocked: row.try_get("blocked")?,
    })
}
