//! Following a shard from a position, for ever: in order, without a gap, whatever breaks.
//!
//! An ordered consumer of our own making: ephemeral, in memory, without acknowledgements. Each
//! delivery carries the consumer's own gapless count; on a jump, a missed heartbeat, a cut
//! connection or any error the consumer is made again just behind the last position that was
//! handed out. What is delivered twice by this is dropped here.
//!
//! A lost delivery shows as a jump only if another one follows. So a tail that hears nothing for a
//! while asks the server how many there were.

use std::time::Duration;

use async_nats::{
    Subject,
    jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{Connection, Failure, subjects::stream_name};

/// One message of the log.
#[derive(Debug, Clone)]
pub struct LogMessage {
    /// Its sequence in its shard's stream.
    pub position: u64,
    pub subject: Subject,
    /// A CloudEvent in JSON.
    pub payload: Bytes,
}

/// How a tail reads.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// The consumer's name, where operators shall see its lag; only one tail may use it at a time.
    pub name: Option<String>,
    /// How many messages the server sends ahead.
    pub prefetch_messages: usize,
}

impl Default for TailOptions {
    fn default() -> Self {
        Self { name: None, prefetch_messages: 2_000 }
    }
}

/// The server gives an idle consumer up after this.
const INACTIVE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(2);
const EXPIRES: Duration = Duration::from_secs(30);
/// After so much silence the server is asked whether it delivered something.
const SILENCE: Duration = Duration::from_secs(3);
/// How long that answer may take.
const ANSWER: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// A position in a shard that moves forward as messages are taken.
pub struct Tail {
    connection: Connection,
    shard: u16,
    options: TailOptions,
    /// Of the last message handed out, or taken into `taken`.
    position: u64,
    consumer_sequence: u64,
    epoch: u64,
    backoff: Duration,
    source: Option<Source>,
    /// When to ask the server whether a delivery was lost.
    ask_at: Instant,
    /// Kept here, not on the stack, so that a cancelled `next_batch` loses nothing.
    taken: Vec<LogMessage>,
}

struct Source {
    consumer: PullConsumer,
    messages: pull::Stream,
}

impl Tail {
    /// Starts behind `after`, the last position that is known already (0 for the beginning).
    pub fn open(connection: &Connection, shard: u16, after: u64, options: TailOptions) -> Self {
        Self {
            connection: connection.clone(),
            shard,
            options,
            position: after,
            consumer_sequence: 0,
            epoch: 0,
            backoff: FIRST_BACKOFF,
            source: None,
            ask_at: Instant::now(),
            taken: Vec::new(),
        }
    }

    /// Of the last message that was taken.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// Waits for a message, then takes what follows: at most `max` messages, and for at most
    /// `linger` (zero: only what has arrived). Never empty, never an end. Cancel-safe.
    pub async fn next_batch(&mut self, max: usize, linger: Duration) -> Vec<LogMessage> {
        if self.taken.is_empty() {
            let first = self.next().await;
            self.taken.push(first);
        }
        let until = Instant::now() + linger;
        while self.taken.len() < max {
            let next = if linger.is_zero() {
                self.next().now_or_never()
            } else {
                tokio::time::timeout_at(until, self.next()).await.ok()
            };
            match next {
                Some(message) => self.taken.push(message),
                None => break,
            }
        }
        std::mem::take(&mut self.taken)
    }

    /// The next message. Cancel-safe: it is taken only when it is returned.
    async fn next(&mut self) -> LogMessage {
        loop {
            let Some(source) = self.source.as_mut() else {
                self.reopen().await;
                continue;
            };
            let received = tokio::select! {
                biased;
                received = source.messages.next() => received,
                () = self.connection.cut(self.epoch) => None,
                () = lost(&source.consumer, self.consumer_sequence, &mut self.ask_at) => None,
            };
            match received {
                Some(Ok(message)) => match self.accept(message) {
                    Accepted::Next(message) => return message,
                    Accepted::Known => {}
                    Accepted::Jump => self.source = None,
                },
                Some(Err(error)) => {
                    tracing::debug!(shard = self.shard, %error, "a tail is opened again");
                    self.source = None;
                }
                None => self.source = None,
            }
        }
    }

    fn accept(&mut self, message: async_nats::jetstream::Message) -> Accepted {
        let Ok(info) = message.info() else {
            return Accepted::Jump;
        };
        let (position, count) = (info.stream_sequence, info.consumer_sequence);
        if count != self.consumer_sequence + 1 {
            tracing::debug!(shard = self.shard, position, "a tail missed a delivery");
            return Accepted::Jump;
        }
        self.consumer_sequence = count;
        self.ask_at = Instant::now() + SILENCE;
        if position <= self.position {
            return Accepted::Known;
        }
        self.position = position;
        self.backoff = FIRST_BACKOFF;
        let async_nats::Message { subject, payload, .. } = message.message;
        Accepted::Next(LogMessage { position, subject, payload })
    }

    async fn reopen(&mut self) {
        if !self.connection.connected(LAST_BACKOFF).await {
            return;
        }
        self.epoch = self.connection.link().epoch;
        match self.connection.unless_cut("create a consumer", self.consumer()).await {
            Ok(source) => {
                self.consumer_sequence = 0;
                self.ask_at = Instant::now() + SILENCE;
                self.source = Some(source);
            }
            Err(error) => {
                tracing::debug!(shard = self.shard, %error, "a tail cannot be opened yet");
                tokio::time::sleep(self.backoff).await;
                self.backoff = (self.backoff * 2).min(LAST_BACKOFF);
            }
        }
    }

    async fn consumer(&self) -> Result<Source, Failure> {
        let stream = stream_name(self.shard);
        if let Some(name) = &self.options.name {
            // It starts at another place each time, which an existing consumer refuses.
            let deleted = self.connection.jetstream().delete_consumer_from_stream(name, &stream);
            if let Err(error) = deleted.await {
                tracing::trace!(%error, "no consumer of this name was left");
            }
        }
        let config = pull::Config {
            name: self.options.name.clone(),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..from_position(self.position)
        };
        let consumer = self
            .connection
            .jetstream()
            .create_consumer_on_stream(config, stream)
            .await
            .map_err(|error| Failure::jetstream("create a consumer", error))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(self.options.prefetch_messages)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES)
            .messages()
            .await
            .map_err(|error| Failure::jetstream("deliver messages", error))?;
        Ok(Source { consumer, messages })
    }
}

/// Resolves once the server has delivered another number than `seen`, or does not say how many.
/// A delivery that is on its way right now counts as lost too, which costs no more than another
/// consumer. Cancel-safe: it asks again only after another silence.
async fn lost(consumer: &PullConsumer, seen: u64, ask_at: &mut Instant) {
    loop {
        sleep_until(*ask_at).await;
        *ask_at = Instant::now() + SILENCE;
        let asked = timeout(ANSWER, consumer.get_info()).await;
        let delivered = asked.map(|info| info.map(|info| info.delivered.consumer_sequence));
        if !matches!(delivered, Ok(Ok(delivered)) if delivered == seen) {
            tracing::debug!(seen, ?delivered, "a tail may have lost a delivery");
            return;
        }
    }
}

enum Accepted {
    Next(LogMessage),
    Known,
    Jump,
}

/// A consumer that starts just behind `after`.
pub(crate) fn from_position(after: u64) -> pull::Config {
    pull::Config {
        deliver_policy: if after == 0 {
            DeliverPolicy::All
        } else {
            DeliverPolicy::ByStartSequence { start_sequence: after + 1 }
        },
        ..pull::Config::default()
    }
}
