//! Who works on a shard: whoever holds its advisory lock for that work.
//!
//! The lock belongs to a session, and batches are written through that same session: somebody who
//! lost the lock has lost their way to write. Should that ever fail, the comparison
//! of the checkpoint still keeps two writers apart.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Failure, database::connect_options, failure::within};

/// What there is to be elected for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Projector,
    Notifier,
}

impl Role {
    /// What operators see of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Projector => "projector",
            Self::Notifier => "notifier",
        }
    }

    /// The first half of the locks' key, so that nobody else's lock is taken for ours.
    fn lock_class(self) -> i32 {
        match self {
            Self::Projector => i32::from_be_bytes(*b"Parl"),
            Self::Notifier => i32::from_be_bytes(*b"ParN"),
        }
    }
}

/// How long a new connection, or a sign of life, may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Somebody elected who is stopped (SIGSTOP) still has its connection: the server ends a session that
/// gives no sign of life for so long, and with it the lock.
const IDLE_SESSION_TIMEOUT: &str = "5s";

pub(super) fn options(url: &str, role: Role, shard: u16) -> Result<PgConnectOptions, Failure> {
    let options = connect_options(url, &format!("parley-{}-{shard}", role.name()))?;
    Ok(options.options([("idle_session_timeout", IDLE_SESSION_TIMEOUT)]))
}

pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    within(PATIENCE, async { Ok(options.connect().await?) }).await
}

/// Says whether the lock is this session's now.
pub(super) async fn try_lock(
    connection: &mut PgConnection,
    role: Role,
    shard: u16,
) -> Result<bool, Failure> {
    within(PATIENCE, async {
        let locked = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(role.lock_class())
            .bind(i32::from(shard))
            .fetch_one(connection)
            .await?;
        Ok(locked)
    })
    .await
}

/// Keeps the session alive.
///
/// # Errors
/// If it is not.
pub async fn keep(connection: &mut PgConnection) -> Result<(), Failure> {
    within(PATIENCE, async { Ok(connection.ping().await?) }).await
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use parley_runtime::engines::testing::TestPostgres;

    use super::*;

    #[tokio::test]
    async fn one_holds_the_lock_and_loses_it_without_signs_of_life() {
        let url = TestPostgres::database().await;
        let options = options(&url, Role::Projector, 3).unwrap();
        let mut first = connect(&options).await.unwrap();
        let mut second = connect(&options).await.unwrap();
        assert!(try_lock(&mut first, Role::Projector, 3).await.unwrap());
        assert!(!try_lock(&mut second, Role::Projector, 3).await.unwrap());
        assert!(try_lock(&mut second, Role::Projector, 4).await.unwrap());
        // Other work on the same shard is another election.
        assert!(try_lock(&mut second, Role::Notifier, 3).await.unwrap());
        // The first falls silent, as when its process is stopped; the second stands by.
        let began = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while !try_lock(&mut second, Role::Projector, 3).await.unwrap() {
            assert!(began.elapsed() < Duration::from_secs(20));
            ticks.tick().await;
        }
        assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(keep(&mut first).await.is_err());
        assert!(keep(&mut second).await.is_ok());
    }
}
