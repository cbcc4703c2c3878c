//! How far into each shard of the log the views reach.

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{from_sql, to_sql},
};

/// The position up to which the views hold one shard; 0 before its first event.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn checkpoint(pool: &PgPool, shard: u16) -> Result<u64, Failure> {
    within(READ_DEADLINE, read(pool, shard)).await
}

/// The positions of shards 0 to `shards` − 1, in this order, in one snapshot.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn checkpoints(pool: &PgPool, shards: u16) -> Result<Vec<u64>, Failure> {
    within(READ_DEADLINE, read_all(pool, shards)).await
}

pub(crate) async fn read(executor: impl PgExecutor<'_>, shard: u16) -> Result<u64, Failure> {
    let position: Option<i64> =
        sqlx::query_scalar("SELECT position FROM checkpoints WHERE shard = $1")
            .bind(i32::from(shard))
            .fetch_optional(executor)
            .await?;
    position.map_or(Ok(0), from_sql)
}

pub(crate) async fn read_all(
    executor: impl PgExecutor<'_>,
    shards: u16,
) -> Result<Vec<u64>, Failure> {
    let rows: Vec<(i32, i64)> =
        sqlx::query_as("SELECT shard, position FROM checkpoints").fetch_all(executor).await?;
    let mut positions = vec![0; usize::from(shards)];
    for (shard, position) in rows {
        let place = usize::try_from(shard).ok().and_then(|shard| positions.get_mut(shard));
        if let Some(place) = place {
            *place = from_sql(position)?;
        }
    }
    Ok(positions)
}

/// Makes sure that a shard has its row, and reads it.
pub(crate) async fn begin(connection: &mut PgConnection, shard: u16) -> Result<u64, Failure> {
    sqlx::query("INSERT INTO checkpoints (shard, position) VALUES ($1, 0) ON CONFLICT DO NOTHING")
        .bind(i32::from(shard))
        .execute(&mut *connection)
        .await?;
    read(connection, shard).await
}

/// Compares and sets; says whether it did. It locks the row until the transaction's end, so a
/// second projector of the shard waits here and then finds another position.
pub(crate) async fn advance(
    connection: &mut PgConnection,
    shard: u16,
    from: u64,
    to: u64,
) -> Result<bool, Failure> {
    let updated = sqlx::query(
        "UPDATE checkpoints SET position = $3, updated_at = now() WHERE shard = $1 AND position = $2",
    )
    .bind(i32::from(shard))
    .bind(to_sql(from)?)
    .bind(to_sql(to)?)
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}
