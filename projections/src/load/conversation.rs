//! A conversation's state.

use std::collections::BTreeMap;

use parley_domain::{
    Conversation, ConversationId, Cursor, Kind, Role, UserId,
    conversation::{DEPARTED_VERSIONS, Members, Membership, RECENT_MESSAGES, Recent},
};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{
    Loaded,
    messages::{self, messages, reactions},
    parsed,
};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql},
};

/// One statement, so one snapshot: the state and the checkpoint belong together.
const SELECT: &str = concat!(
    "SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
    COALESCE(c.version, 0) AS version, COALESCE(c.last_seq, 0) AS last_seq, \
    COALESCE(c.damaged, false) AS damaged, c.title, \
    COALESCE(c.timer_seconds, 0) AS timer_seconds, COALESCE(c.blocked_by, '{}') AS blocked_by, \
    people.*, newest.*, reacted.* \
    FROM (VALUES (1)) AS always (row) \
    LEFT JOIN conversations c ON c.conversation_id = $1 \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(m.user_id), '{}') AS users, \
    COALESCE(array_agg(m.read_seq), '{}') AS reads, \
    COALESCE(array_agg(m.delivered_seq), '{}') AS deliveries, \
    COALESCE(array_agg(m.role), '{}') AS roles, \
    COALESCE(array_agg(COALESCE(m.joined_version, 0)), '{}') AS joined, \
    COALESCE(array_agg(COALESCE(m.left_version, 0)), '{}') AS gone \
    FROM members m WHERE m.conversation_id = $1 \
    AND (m.left_version IS NULL OR m.left_version > c.version - $4)) people \
    CROSS JOIN LATERAL (",
    messages!("m.conversation_seq > c.last_seq - $3"),
    ") newest CROSS JOIN LATERAL (",
    reactions!("r.conversation_seq > c.last_seq - $3"),
    ") reacted"
);

/// Reads a conversation of `shard`: exactly the fold of its events up to the checkpoint.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.conversation.load", skip_all, err(level = "debug"))]
pub async fn load_conversation(
    pool: &PgPool,
    shard: u16,
    id: &ConversationId,
) -> Result<Loaded<Conversation>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT)
            .bind(id.as_str())
            .bind(i32::from(shard))
            .bind(i64::try_from(RECENT_MESSAGES).unwrap_or(i64::MAX))
            .bind(i64::try_from(DEPARTED_VERSIONS).unwrap_or(i64::MAX));
        Ok(query.fetch_one(pool).await?)
    });
    let row = row.await?;
    let version = from_sql(row.try_get("version")?)?;
    let (cursors, members) = people(&row, id.kind(), version)?;
    let blocked_by: Vec<String> = row.try_get("blocked_by")?;
    Ok(Loaded {
        state: Conversation {
            version,
            last_seq: from_sql(row.try_get("last_seq")?)?,
            cursors,
            recent: Recent::from(messages::read(&row)?),
            members,
            title: row.try_get("title")?,
            blocked_by: blocked_by
                .iter()
                .map(|user| parsed("user id", UserId::parse(user)))
                .collect::<Result<_, _>>()?,
            timer_seconds: from_sql(row.try_get("timer_seconds")?)?,
        },
        checkpoint: from_sql(row.try_get("checkpoint")?)?,
        damaged: row.try_get("damaged")?,
    })
}

fn people(
    row: &PgRow,
    kind: Kind,
    version: u64,
) -> Result<(BTreeMap<UserId, Cursor>, Members), Failure> {
    let users: Vec<String> = row.try_get("users")?;
    let reads = all_from_sql(row.try_get("reads")?)?;
    let deliveries = all_from_sql(row.try_get("deliveries")?)?;
    let roles: Vec<String> = row.try_get("roles")?;
    let joined = all_from_sql(row.try_get("joined")?)?;
    let gone = all_from_sql(row.try_get("gone")?)?;
    let cursors = reads.into_iter().zip(deliveries);
    let memberships = roles.into_iter().zip(joined).zip(gone);
    let (mut moved, mut present, mut departed) = (BTreeMap::new(), Vec::new(), Vec::new());
    for ((user, (read, delivered)), ((role, since), gone)) in
        users.into_iter().zip(cursors).zip(memberships)
    {
        let user = parsed("user id", UserId::parse(&user))?;
        if gone > 0 {
            departed.push((user, gone));
            continue;
        }
        if delivered > 0 && kind != Kind::Channel {
            moved.insert(user.clone(), Cursor { read, delivered });
        }
        if kind != Kind::Direct {
            let role = Role::parse(&role).ok_or_else(|| Failure::corrupt("role", &role))?;
            present.push((user, Membership { role, since }));
        }
    }
    Ok((moved, Members::load(present, departed, version)))
}
