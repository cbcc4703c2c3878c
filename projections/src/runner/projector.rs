//! The projector of one shard: following the log into the views.

use std::{sync::Arc, time::Duration};

use parley_nats::{
    Connection as Nats,
    tail::{LogMessage, Tail, TailOptions},
};
use sqlx::PgConnection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Failure,
    apply::{NotApplied, apply},
    checkpoint,
    elected::{self, Halt, LOG_DEADLINE, SIGN_OF_LIFE_INTERVAL, Work},
    failure::within,
    metrics,
    response_times::Waiting,
};

/// How long a batch may take before its connection is given up.
const APPLY_DEADLINE: Duration = Duration::from_secs(15);

pub(super) struct Projector {
    pub shard: u16,
    pub config: Arc<Config>,
    pub nats: Arc<Nats>,
    pub stop: CancellationToken,
    /// Those whose response time is to be computed.
    pub waiting: Option<Arc<Waiting>>,
}

impl Work for Projector {
    async fn work(&mut self, session: &mut PgConnection, mut begun: impl FnMut() + Send) -> Halt {
        let mut position = match self.begin(session).await {
            Ok(position) => position,
            Err(halt) => return halt,
        };
        begun();
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
                    match elected::keep(session).await {
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
}

impl Projector {
    /// Where to go on from; checks that the log is the one that the views were made from.
    async fn begin(&self, session: &mut PgConnection) -> Result<u64, Halt> {
        let checkpoint = within(LOG_DEADLINE, checkpoint::begin(session, self.shard)).await?;
        elected::check_log(&self.nats, self.shard, checkpoint).await?;
        Ok(checkpoint)
    }

    async fn apply(
        &self,
        session: &mut PgConnection,
        position: u64,
        batch: &[LogMessage],
    ) -> Result<u64, Halt> {
        let shard = self.shard;
        let begun = Instant::now();
        let applied = apply(session, shard, position, batch);
        match tokio::time::timeout(APPLY_DEADLINE, applied).await {
            Ok(Ok(applied)) => {
                let label = shard.to_string();
                let seconds = begun.elapsed().as_secs_f64();
                metrics::BATCH_SECONDS.with_label_values(&[&label]).observe(seconds);
                metrics::EVENTS.with_label_values(&[&label]).inc_by(batch.len() as u64);
                let dead = applied.dead_letters.len() as u64;
                metrics::DEAD_LETTERS.with_label_values(&[&label]).inc_by(dead);
                let position = i64::try_from(applied.checkpoint).unwrap_or(i64::MAX);
                metrics::POSITION.with_label_values(&[&label]).set(position);
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
