//! The second views take the place of the first, between two batches of the projectors.

use std::time::Duration;

use parley_nats::Connection as Nats;
use sqlx::{Connection, PgConnection};

use super::{second::Second, tables::VIEWS};
use crate::{Failure, checkpoint, runner::Error};

/// Where the old views are until they are gone.
const OLD: &str = "parley_old";
/// For the end of a projector's batch, and of a vacuum: PostgreSQL stops one that has been waited
/// for as long as its `deadlock_timeout` (1 s unless it is set).
const ALONE_TIMEOUT: &str = "SET LOCAL lock_timeout = '10s'";
/// Whoever reads two views may hold one that the swap waits for while they wait for one that it has.
/// It gives up first, well before `deadlock_timeout` ends the statement of the one or the other.
const READERS_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);
/// PostgreSQL's code for a lock that was not there in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Why a swap changed nothing.
enum NotSwapped {
    /// Somebody holds this table.
    Busy(&'static str),
    Failed(Error),
}

/// Brings the second views to where the first are, and swaps them. Tries again while somebody
/// holds a table.
pub(super) async fn swap(second: &Second, nats: &Nats) -> Result<(), Error> {
    let mut first = second.connect_first().await?;
    for statement in
        [format!("DROP SCHEMA IF EXISTS {OLD} CASCADE"), format!("CREATE SCHEMA {OLD}")]
    {
        sqlx::query(&statement).execute(&mut first).await?;
    }
    let mut order: Vec<&str> = VIEWS.iter().map(|view| view.table).collect();
    let mut attempt = 1;
    while let Err(why) = try_swap(second, &mut first, nats, &order).await {
        match why {
            NotSwapped::Failed(error) => return Err(error),
            NotSwapped::Busy(table) if attempt == ATTEMPTS => return Err(Error::InUse(table)),
            // Whoever has it may be waiting for one that was locked before it: not again.
            NotSwapped::Busy(table) => order.sort_by_key(|other| *other != table),
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
    // One by one: whoever still waits for one of them holds none that this waits for.
    for view in VIEWS {
        let statement = format!("DROP TABLE {OLD}.{}", view.table);
        sqlx::query(&statement).execute(&mut first).await?;
    }
    sqlx::query(&format!("DROP SCHEMA {OLD} CASCADE")).execute(&mut first).await?;
    Ok(first.close().await?)
}

async fn try_swap(
    second: &Second,
    first: &mut PgConnection,
    nats: &Nats,
    order: &[&'static str],
) -> Result<(), NotSwapped> {
    // Most of what came meanwhile, while nobody waits for it.
    second.catch_up(nats, &|_| ()).await?;
    let mut transaction = first.begin().await?;
    // In nobody's way but a vacuum's.
    sqlx::query(ALONE_TIMEOUT).execute(&mut *transaction).await?;
    for table in order {
        lock(&mut transaction, table, "SHARE UPDATE EXCLUSIVE").await?;
    }
    // A batch begins with its checkpoint: from here on the projectors wait.
    lock(&mut transaction, "checkpoints", "EXCLUSIVE").await?;
    let reached = checkpoint::read_all(&mut *transaction, second.shards).await?;
    for (shard, end) in (0..).zip(reached) {
        second.follow(nats, shard, end, &|_| ()).await?;
    }
    sqlx::query(READERS_TIMEOUT).execute(&mut *transaction).await?;
    for table in order {
        lock(&mut transaction, table, "ACCESS EXCLUSIVE").await?;
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

async fn lock(
    transaction: &mut PgConnection,
    table: &'static str,
    mode: &str,
) -> Result<(), NotSwapped> {
    let statement = format!("LOCK TABLE {table} IN {mode} MODE");
    match sqlx::query(&statement).execute(transaction).await.map_err(Failure::from) {
        Ok(_) => Ok(()),
        Err(failure) if failure.has_code(LOCK_NOT_AVAILABLE) => Err(NotSwapped::Busy(table)),
        Err(failure) => Err(failure.into()),
    }
}

impl<E: Into<Error>> From<E> for NotSwapped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
