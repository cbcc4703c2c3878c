//! Reaching the owner of a conversation's or account's shard.

use std::{sync::Arc, time::Duration};

use parley_nats::Connection;
use parley_runtime::clock::{Clock, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::{
    config::ClientConfig,
    lane::{self, Job},
    problem::{Code, Problem},
    wire::{Ask, Sealed},
};

/// Sends commands to whoever owns their shard; cheap to clone.
///
/// Sending again is safe: a message is known by its clientMessageId, a cursor only moves once, and a
/// device is linked or it is not.
/// The commands of a shard go to its owner in the order in which `execute` was called, also when
/// they have to be sent again.
#[derive(Debug, Clone)]
pub struct Client {
    lanes: Arc<[mpsc::Sender<Job>]>,
    patience: Duration,
}

impl Client {
    /// Starts a task a shard; they end with the last clone.
    pub fn new(connection: Connection, shards: u16, config: ClientConfig) -> Self {
        let patience = config.patience;
        let lanes = (0..shards).map(|shard| lane::start(&connection, shard, &config)).collect();
        Self { lanes, patience }
    }

    /// The answer, once what it says is durable. A refusal comes at once; without an owner, or with
    /// one that dies, this waits and sends again; in the end [`Code::Unavailable`].
    pub async fn execute<R: Ask>(&self, request: R) -> Result<R::Answer, Problem> {
        let to_note = request.to_note();
        let answer = self.ask(request).await?;
        match to_note {
            Some(note) => Ok(R::noted(answer, &self.ask(note).await?)),
            None => Ok(answer),
        }
    }

    async fn ask<R: Ask>(&self, request: R) -> Result<R::Answer, Problem> {
        let asked = request.into_asked();
        let shard = asked.shard(u16::try_from(self.lanes.len()).unwrap_or(1));
        let patience = i64::try_from(self.patience.as_millis()).unwrap_or(i64::MAX);
        let deadline_ms = SystemClock.now_millis().saturating_add(patience);
        let payload = serde_json::to_vec(&Sealed { asked, deadline_ms })
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let (done, answer) = oneshot::channel();
        let job = Job { payload: payload.into(), deadline: Instant::now() + self.patience, done };
        self.lanes[usize::from(shard)]
            .try_send(job)
            .map_err(|_| Problem::unavailable("too many commands wait for the shard"))?;
        match answer.await {
            Ok(reply) => R::answer(reply),
            Err(_) => Err(Problem::unavailable("the service is stopping")),
        }
    }
}
