//! Connections to PostgreSQL, every wait bounded.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Failure;

/// How long a read of a view may take, with the wait for a connection.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(5);
/// How long a caller waits for a free or new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Above [`READ_DEADLINE`]: the server's own end of a statement that its caller gave up.
const STATEMENT_TIMEOUT: &str = "10s";

/// A pool that connects when it is first used, and again after every cut. A server that is down
/// makes its users fail within 2 seconds, not this call. `name` is what operators see.
///
/// # Errors
/// If `url` is not one of PostgreSQL.
pub fn connect(url: &str, name: &str, max_connections: u32) -> Result<PgPool, Failure> {
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(connect_options(url, name)?);
    Ok(pool)
}

pub(crate) fn connect_options(url: &str, name: &str) -> Result<PgConnectOptions, Failure> {
    let options = PgConnectOptions::from_str(url)?.application_name(name).options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("idle_in_transaction_session_timeout", STATEMENT_TIMEOUT),
        // A client that vanished without a word holds its locks no longer than this.
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        // Every query here ends before compiling it would pay.
        ("jit", "off"),
    ]);
    Ok(options)
}

/// Brings the schema up to date. Any number of services may do so at once.
///
/// # Errors
/// If PostgreSQL does not answer, or holds a schema that this version does not know.
pub async fn migrate(pool: &PgPool) -> Result<(), Failure> {
    let mut connection = pool.acquire().await?;
    // An index on a large table takes as long as it takes.
    sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
    let migrated = migrate_on(&mut connection).await;
    // With its setting it must not serve anybody else.
    connection.close().await?;
    migrated
}

/// Brings the schema up to date in which this connection makes its tables.
pub(crate) async fn migrate_on(connection: &mut PgConnection) -> Result<(), Failure> {
    Ok(sqlx::migrate!("../migrations").run(connection).await?)
}
