//! Work on a shard that one process does at a time, whichever it is; the others stand by.
//!
//! Whoever holds the shard's advisory lock works. The projectors do so, and the notifier's followers
//! of the log.

mod election;

use std::time::Duration;

use parley_nats::Connection as Nats;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

pub use self::election::{Role, keep};
use crate::{Failure, failure::within, runner::Error};

/// How often a standby asks for the lock.
pub const STANDBY_INTERVAL: Duration = Duration::from_millis(500);
/// How often somebody elected without anything to do proves that they live, and learns that their
/// session does. Below the time after which the server ends an idle session.
pub const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the log may take to say where it ends; below the end of an idle session, too.
pub const LOG_DEADLINE: Duration = Duration::from_secs(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// Why somebody elected no longer works.
#[derive(Debug)]
pub enum Halt {
    /// For good, as asked.
    Stopped,
    /// Somebody else has done some of the work.
    Superseded,
    /// Until a server is back.
    Broken(Error),
    /// For good.
    Fatal(Error),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        let temporary = failure.is_temporary();
        let error = Error::Views(failure);
        if temporary { Self::Broken(error) } else { Self::Fatal(error) }
    }
}

/// What the elected one does.
pub trait Work: Send {
    /// Works in the session that holds the lock, until it cannot go on. `begun` is to be called
    /// once everything needed has answered.
    fn work(
        &mut self,
        session: &mut PgConnection,
        begun: impl FnMut() + Send,
    ) -> impl Future<Output = Halt> + Send;
}

/// Somebody who works on a shard whenever elected.
pub struct Candidate {
    role: Role,
    shard: u16,
    database: PgConnectOptions,
    stop: CancellationToken,
    outage: Outage,
}

impl Candidate {
    /// # Errors
    /// If `database_url` is not one of PostgreSQL.
    pub fn new(
        role: Role,
        shard: u16,
        database_url: &str,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let database = election::options(database_url, role, shard)?;
        Ok(Self { role, shard, database, stop, outage: Outage { role, shard, backoff: None } })
    }

    /// Until it is stopped, or cannot go on.
    ///
    /// # Errors
    /// If it can never go on.
    pub async fn run(mut self, mut work: impl Work) -> Result<(), Error> {
        loop {
            let pause = match self.serve(&mut work).await {
                Halt::Stopped => return Ok(()),
                Halt::Fatal(error) => return Err(error),
                Halt::Superseded => STANDBY_INTERVAL,
                Halt::Broken(error) => self.outage.failed(&error),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One session: from standing by to its end.
    async fn serve(&mut self, work: &mut impl Work) -> Halt {
        let mut session = match election::connect(&self.database).await {
            Ok(session) => session,
            Err(failure) => return failure.into(),
        };
        let halt = match self.stand_by(&mut session).await {
            Ok(()) => {
                let outage = &mut self.outage;
                work.work(&mut session, || outage.over()).await
            }
            Err(halt) => halt,
        };
        match halt {
            // Gives the lock back at once; the end of the socket would, too.
            Halt::Stopped | Halt::Superseded => {
                let closed = within(LAST_BACKOFF, async { Ok(session.close().await?) });
                if let Err(failure) = closed.await {
                    tracing::debug!(shard = self.shard, %failure, "a session was not closed");
                }
            }
            Halt::Broken(_) | Halt::Fatal(_) => {}
        }
        halt
    }

    async fn stand_by(&mut self, session: &mut PgConnection) -> Result<(), Halt> {
        while !election::try_lock(session, self.role, self.shard).await? {
            // It works as a standby should.
            self.outage.over();
            tokio::select! {
                () = tokio::time::sleep(STANDBY_INTERVAL) => {}
                () = self.stop.cancelled() => return Err(Halt::Stopped),
            }
        }
        Ok(())
    }
}

/// Where the log of a shard ends. Checks that it still holds everything up to `checkpoint`, that is,
/// that it was not replaced.
///
/// # Errors
/// [`Halt::Fatal`] if it was.
pub async fn check_log(nats: &Nats, shard: u16, checkpoint: u64) -> Result<u64, Halt> {
    let last =
        match tokio::time::timeout(LOG_DEADLINE, parley_nats::last_position(nats, shard)).await {
            Ok(Ok(last)) => last,
            Ok(Err(failure)) => return Err(Halt::Broken(failure.into())),
            Err(_) => {
                let silent = parley_nats::Failure::jetstream("tell a stream's state", "no answer");
                return Err(Halt::Broken(silent.into()));
            }
        };
    if last < checkpoint {
        return Err(Halt::Fatal(Error::LogReplaced { shard, last, checkpoint }));
    }
    Ok(last)
}

/// A server's absence: said once when it begins and once when it ends.
struct Outage {
    role: Role,
    shard: u16,
    backoff: Option<Duration>,
}

impl Outage {
    /// How long to wait before the next try.
    fn failed(&mut self, error: &Error) -> Duration {
        let (role, shard) = (self.role.name(), self.shard);
        let pause = match self.backoff {
            None => {
                tracing::warn!(shard, %error, "the {role} stands still; trying again");
                FIRST_BACKOFF
            }
            Some(last) => {
                tracing::debug!(shard, %error, "the {role} stands still");
                (last * 2).min(LAST_BACKOFF)
            }
        };
        self.backoff = Some(pause);
        pause
    }

    fn over(&mut self) {
        if self.backoff.take().is_some() {
            tracing::info!(shard = self.shard, "the {} goes on", self.role.name());
        }
    }
}
