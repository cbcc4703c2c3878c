//! The second views: a schema of their own, filled by the code that fills the first.

use std::time::Duration;

use parley_nats::{
    Connection as Nats,
    tail::{Tail, TailOptions},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{Progress, tables::VIEWS};
use crate::{
    Config, Failure,
    apply::{NotApplied, apply},
    checkpoint,
    database::{connect_options, migrate_on},
    runner::Error,
};

/// How long the log may stand still although it has not ended.
const STALLED: Duration = Duration::from_secs(30);
/// One at a time: a key for PostgreSQL's advisory locks, like no shard's.
const LOCK: i64 = 0x7061_726c_6579;

/// See the module. What is left of one that was killed is removed by the next.
pub(super) struct Second {
    pub schema: &'static str,
    /// Holds the lock that makes this the only one.
    holder: PgConnection,
    options: PgConnectOptions,
    pub shards: u16,
    batch_events: usize,
}

impl Second {
    /// Empty.
    pub async fn create(config: &Config, schema: &'static str) -> Result<Self, Error> {
        let options = connect_options(&config.database_url, "parley rebuild")?
            // Building takes as long as it takes.
            .options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")]);
        let mut holder = PgConnection::connect_with(&options).await?;
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut holder)
            .await?;
        if !locked {
            return Err(Error::Rebuilding);
        }
        for statement in
            [format!("DROP SCHEMA IF EXISTS {schema} CASCADE"), format!("CREATE SCHEMA {schema}")]
        {
            sqlx::query(&statement).execute(&mut holder).await?;
        }
        let shards = config.shards;
        let second = Self { schema, holder, options, shards, batch_events: config.batch_events };
        let mut connection = second.connect().await?;
        migrate_on(&mut connection).await?;
        connection.close().await?;
        Ok(second)
    }

    /// A connection that sees the second views under the names of the first.
    pub async fn connect(&self) -> Result<PgConnection, Failure> {
        let options = self.options.clone().options([("search_path", self.schema)]);
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// A connection to the views in use.
    pub async fn connect_first(&self) -> Result<PgConnection, Failure> {
        Ok(PgConnection::connect_with(&self.options).await?)
    }

    /// Up to where the log ends now, and at least to where the first views are.
    pub async fn catch_up(
        &self,
        nats: &Nats,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        for shard in 0..self.shards {
            let end = parley_nats::last_position(nats, shard).await?;
            self.follow(nats, shard, end, progress).await?;
        }
        Ok(())
    }

    /// Up to `end`, and no further.
    pub async fn follow(
        &self,
        nats: &Nats,
        shard: u16,
        end: u64,
        progress: &(impl Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        let mut position = checkpoint::begin(&mut connection, shard).await?;
        let options = TailOptions { name: None, prefetch_messages: self.batch_events * 2 };
        let mut tail = Tail::open(nats, shard, position, options);
        while position < end {
            let batch = tail.next_batch(self.batch_events, Duration::ZERO);
            let Ok(mut batch) = tokio::time::timeout(STALLED, batch).await else {
                // What was erased from the end of the log is no event.
                if parley_nats::read::erased_until(nats, shard, position, end).await? {
                    break;
                }
                return Err(
                    parley_nats::Failure::jetstream("deliver the log", "it stood still").into()
                );
            };
            batch.retain(|message| message.position <= end);
            if batch.is_empty() {
                break;
            }
            position = match apply(&mut connection, shard, position, &batch).await {
                Ok(applied) => applied.checkpoint,
                Err(NotApplied::Failed(failure)) => return Err(failure.into()),
                Err(NotApplied::Superseded { .. }) => return Err(Error::Rebuilding),
            };
            progress(Progress { shard, position, end });
        }
        // Erased or not, everything up to the end has been seen.
        if position < end {
            checkpoint::advance(&mut connection, shard, position, end).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// Tells PostgreSQL what is in the tables. It would find out by itself within minutes, and plan
    /// badly for readers until then.
    pub async fn analyze(&self) -> Result<(), Failure> {
        let tables: Vec<&str> = VIEWS.iter().map(|view| view.table).collect();
        let mut connection = self.connect().await?;
        let statement = format!("VACUUM (ANALYZE) {}", tables.join(", "));
        sqlx::query(&statement).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Takes the schema away, and lets the next one begin.
    pub async fn remove(mut self) -> Result<(), Failure> {
        let statement = format!("DROP SCHEMA {} CASCADE", self.schema);
        sqlx::query(&statement).execute(&mut self.holder).await?;
        // PostgreSQL sees only later that the connection has ended.
        let unlock = sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK);
        unlock.execute(&mut self.holder).await?;
        Ok(self.holder.close().await?)
    }
}
