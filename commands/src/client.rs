//! Reaching the owner of a conversation's shard.

use std::time::Duration;

use async_nats::{Subject, client::Request as NatsRequest, client::RequestErrorKind};
use parley_domain::Answer;
use parley_nats::{
    Connection,
    subjects::{shard_of, shard_subject},
};
use parley_runtime::clock::{Clock, SystemClock};
use tokio::time::Instant;

use crate::{
    problem::{Code, Problem},
    wire::{Reply, Request, Sealed},
};

/// Bounds of waiting.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How long a caller waits in all, over owners that come and go.
    pub patience: Duration,
    /// How long one attempt may go unanswered before the command is sent again.
    pub attempt_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { patience: Duration::from_secs(6), attempt_timeout: Duration::from_secs(2) }
    }
}

/// Sends commands to whoever owns their shard; cheap to clone.
///
/// Sending again is safe: a message is known by its clientMessageId, and a cursor only moves once.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    shards: u16,
    config: ClientConfig,
}

impl Client {
    pub fn new(connection: Connection, shards: u16, config: ClientConfig) -> Self {
        Self { connection, shards, config }
    }

    /// The answer, once what it says is durable. A refusal comes at once; without an owner, or with
    /// one that dies, this waits and sends again; in the end [`Code::Unavailable`].
    ///
    /// Commands whose futures are first polled in some order reach their owner in that order.
    pub async fn execute(&self, request: Request) -> Result<Answer, Problem> {
        let shard = shard_of(&request.conversation_id, self.shards);
        let subject = Subject::from(shard_subject(shard));
        let patience = i64::try_from(self.config.patience.as_millis()).unwrap_or(i64::MAX);
        let sealed = Sealed { request, deadline_ms: SystemClock.now_millis() + patience };
        let payload = serde_json::to_vec(&sealed)
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let payload = bytes::Bytes::from(payload);
        let end = Instant::now() + self.config.patience;
        let mut pause = Duration::from_millis(10);
        loop {
            let epoch = self.connection.link().epoch;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Problem::unavailable("no server took the command in time"));
            }
            let attempt = NatsRequest::new()
                .payload(payload.clone())
                .timeout(Some(left.min(self.config.attempt_timeout)));
            let answer = tokio::select! {
                biased;
                answer = self.connection.client().send_request(subject.clone(), attempt) => answer,
                // What was under way on a connection that was cut is not answered any more.
                () = self.connection.cut(epoch) => {
                    self.connection.connected(left).await;
                    continue;
                }
            };
            match answer {
                Ok(message) => {
                    return match serde_json::from_slice(&message.payload) {
                        Ok(Reply::Answer(answer)) => Ok(answer),
                        Ok(Reply::Problem(problem)) => Err(problem),
                        Err(error) => Err(Problem::new(Code::Internal, error.to_string())),
                    };
                }
                Err(error) if error.kind() == RequestErrorKind::TimedOut => {}
                Err(error) => {
                    // Mostly no responders: the shard has no owner at the moment.
                    tracing::trace!(shard, %error, "a command is sent again");
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(Duration::from_millis(250));
                }
            }
        }
    }
}
