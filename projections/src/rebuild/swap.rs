//! The second views take the place of the first, between two batches of the projectors.

use parley_nats::Connection as Nats;
use sqlx::{Connection, PgConnection};

use super::{second::Second, tables::VIEWS};
use crate::{checkpoint, runner::Error};

/// Where the old views are until they are gone.
const OLD: &str = "parley_old";
/// Readers hold their tables for milliseconds; whoever holds one for longer must not make everybody
/// wait behind the swap.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";
const ATTEMPTS: u32 = 12;
/// PostgreSQL's code for a lock that was not there in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Brings the second views to where the first are, and swaps them. Tries again while somebody
/// holds a table for long.
pub(super) async fn swap(second: &Second, nats: &Nats) -> Result<(), Error> {
    let mut first = second.connect_first().await?;
    for statement in
        [format!("DROP SCHEMA IF EXISTS {OLD} CASCADE"), format!("CREATE SCHEMA {OLD}")]
    {
        sqlx::query(&statement).execute(&mut first).await?;
    }
    let mut attempt = 1;
    loop {
        match try_swap(second, &mut first, nats).await {
            Err(Error::Views(failure))
                if attempt < ATTEMPTS && failure.has_code(LOCK_NOT_AVAILABLE) =>
            {
                attempt += 1;
            }
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    let statement = format!("DROP SCHEMA {OLD} CASCADE");
    sqlx::query(&statement).execute(&mut first).await?;
    Ok(first.close().await?)
}

async fn try_swap(second: &Second, first: &mut PgConnection, nats: &Nats) -> Result<(), Error> {
    // Most of what came meanwhile, while nobody waits for it.
    second.catch_up(nats, &|_| ()).await?;
    let mut transaction = first.begin().await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *transaction).await?;
    // A batch begins with its checkpoint: from here on the projectors wait.
    sqlx::query("LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    let reached = checkpoint::read_all(&mut *transaction, second.shards).await?;
    for (shard, end) in (0..).zip(reached) {
        second.follow(nats, shard, end, &|_| ()).await?;
    }
    let in_use: String =
        sqlx::query_scalar("SELECT current_schema()").fetch_one(&mut *transaction).await?;
    for view in VIEWS {
        let (table, schema) = (view.table, second.schema);
        for statement in [
            format!("ALTER TABLE {table} SET SCHEMA {OLD}"),
            format!("ALTER TABLE {schema}.{table} SET SCHEMA \"{in_use}\""),
        ] {
            sqlx::query(&statement).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
