//! The projector of one shard: standing by, then following the log into the views.

use std::{sync::Arc, time::Duration};

use parley_nats::{
    Connection as Nats,
    tail::{LogMessage, Tail, TailOptions},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use super::{Error, election};
use crate::{
    Config, Failure,
    apply::{NotApplied, apply},
    checkpoint,
    failure::within,
    response_times::Waiting,
};

/// How often a standby asks for the lock.
const STANDBY_INTERVAL: Duration = Duration::from_millis(500);
/// How often a projector without events proves that it lives, and learns that its session does.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a batch may take before its connection is given up.
const APPLY_DEADLINE: Duration = Duration::from_secs(15);
/// Below the time after which the server ends an idle session.
const LOG_DEADLINE: Duration = Duration::from_secs(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

pub(super) struct Projector {
    shard: u16,
    config: Arc<Config>,
    database: PgConnectOptions,
    nats: Nats,
    stop: CancellationToken,
    outage: Outage,
    /// Those whose response time is to be computed.
    waiting: Option<Arc<Waiting>>,
}

/// Why a projector no longer follows the log.
enum Halt {
    /// For good, as asked.
    Stopped,
    /// Another projector has written.
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

impl Projector {
    pub fn new(
        shard: u16,
        config: Arc<Config>,
        nats: Nats,
        stop: CancellationToken,
        waiting: Option<Arc<Waiting>>,
    ) -> Result<Self, Failure> {
        let database = election::options(&config.database_url, shard)?;
        Ok(Self { shard, config, database, nats, stop, outage: Outage::new(shard), waiting })
    }

    /// Until it is stopped, or cannot go on.
    pub async fn run(mut self) -> Result<(), Error> {
        loop {
            let pause = match self.serve().await {
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
    async fn serve(&mut self) -> Halt {
        let mut session = match election::connect(&self.database).await {
            Ok(session) => session,
            Err(failure) => return failure.into(),
        };
        let halt = match self.stand_by(&mut session).await {
            Ok(()) => self.follow(&mut session).await,
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
        while !election::try_lock(session, self.shard).await? {
            // It works as a standby should.
            self.outage.over();
            tokio::select! {
                () = tokio::time::sleep(STANDBY_INTERVAL) => {}
                () = self.stop.cancelled() => return Err(Halt::Stopped),
            }
        }
        Ok(())
    }

    async fn follow(&mut self, session: &mut PgConnection) -> Halt {
        let mut position = match self.begin(session).await {
            Ok(position) => position,
            Err(halt) => return halt,
        };
        self.outage.over();
        tracing::info!(shard = self.shard, position, "projecting");
        let options = TailOptions {
            name: Some(format!("projector-{}", self.shard)),
            prefetch_messages: self.config.batch_events.saturating_mul(2),
        };
        let mut tail = Tail::open(&self.nats, self.shard, position, options);
        loop {
            let batch = tokio::select! {
                batch = tail.next_batch(self.config.batch_events, self.config.linger) => batch,
                () = self.stop.cancelled() => return Halt::Stopped,
                () = tokio::time::sleep(SIGN_OF_LIFE_INTERVAL) => {
                    match election::keep(session).await {
                        Ok(()) => continue,
                        Err(failure) => return failure.into(),
                    }
                }
            };
            position = match self.apply(session, position, &batch).await {
                Ok(position) => position,
                Err(halt) => return halt,
            };
        }
    }

    /// Where to go on from; checks that the log is the one that the views were made from.
    async fn begin(&self, session: &mut PgConnection) -> Result<u64, Halt> {
        let shard = self.shard;
        let checkpoint = within(LOG_DEADLINE, checkpoint::begin(session, shard)).await?;
        let last = parley_nats::last_position(&self.nats, shard);
        let last = match tokio::time::timeout(LOG_DEADLINE, last).await {
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
        Ok(checkpoint)
    }

    async fn apply(
        &self,
        session: &mut PgConnection,
        position: u64,
        batch: &[LogMessage],
    ) -> Result<u64, Halt> {
        let shard = self.shard;
        let applied = apply(session, shard, position, batch);
        match tokio::time::timeout(APPLY_DEADLINE, applied).await {
            Ok(Ok(applied)) => {
                if let Some(waiting) = &self.waiting {
                    waiting.wrote(applied.writers);
                }
                Ok(applied.checkpoint)
            }
            Ok(Err(NotApplied::Superseded { .. })) => {
                tracing::warn!(shard, position, "another projector has written: standing by");
                Err(Halt::Superseded)
            }
            Ok(Err(NotApplied::Failed(failure))) => Err(failure.into()),
            Err(_) => Err(Failure::TimedOut(APPLY_DEADLINE).into()),
        }
    }
}

/// A server's absence: said once when it begins and once when it ends.
struct Outage {
    shard: u16,
    backoff: Option<Duration>,
}

impl Outage {
    fn new(shard: u16) -> Self {
        Self { shard, backoff: None }
    }

    /// How long to wait before the next try.
    fn failed(&mut self, error: &Error) -> Duration {
        let pause = match self.backoff {
            None => {
                tracing::warn!(shard = self.shard, %error, "the views stand still; trying again");
                FIRST_BACKOFF
            }
            Some(last) => {
                tracing::debug!(shard = self.shard, %error, "the views stand still");
                (last * 2).min(LAST_BACKOFF)
            }
        };
        self.backoff = Some(pause);
        pause
    }

    fn over(&mut self) {
        if self.backoff.take().is_some() {
            tracing::info!(shard = self.shard, "the views go on");
        }
    }
}
