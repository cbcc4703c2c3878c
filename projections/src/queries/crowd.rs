//! Who is in a group now, for those who route its events.

use sqlx::{PgPool, Row};

use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql},
};

/// The members of a group or channel, as the views have it at one position of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    pub conversation_id: String,
    /// Every event up to here is in it.
    pub position: u64,
    /// Of the last event that is in it; 0 if none is.
    pub version: u64,
    /// With the version of the event that made them one.
    pub members: Vec<(String, u64)>,
}

/// Each of these groups, of one shard, in one snapshot; without those of which the views are not
/// what the log says.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.crowds.read", skip_all, err(level = "debug"))]
pub async fn crowds(pool: &PgPool, shard: u16, groups: &[&str]) -> Result<Vec<Crowd>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT asked.id, coalesce(k.position, 0) AS position, \
             coalesce(c.version, 0) AS version, \
             people.members, people.since \
             FROM UNNEST($1::text[]) AS asked(id) \
             LEFT JOIN checkpoints k ON k.shard = $2 \
             LEFT JOIN conversations c ON c.conversation_id = asked.id COLLATE \"C\" \
             CROSS JOIN LATERAL (SELECT COALESCE(array_agg(m.user_id), '{}') AS members, \
             COALESCE(array_agg(COALESCE(m.joined_version, 0)), '{}') AS since FROM members m \
             WHERE m.conversation_id = asked.id COLLATE \"C\" AND m.left_position IS NULL) people \
             WHERE c.damaged IS NOT TRUE",
        );
        Ok(query.bind(groups).bind(i32::from(shard)).fetch_all(pool).await?)
    })
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let members: Vec<String> = row.try_get("members")?;
        let since = all_from_sql(row.try_get("since")?)?;
        found.push(Crowd {
            conversation_id: row.try_get("id")?,
            position: from_sql(row.try_get("position")?)?,
            version: from_sql(row.try_get("version")?)?,
            members: members.into_iter().zip(since).collect(),
        });
    }
    Ok(found)
}
