//! The one writer of a shard: group commit, fenced by the stream's own sequence.
//!
//! Whoever appends gets a position at once: a single writer knows the next sequence. What queues
//! up while a flight is out forms the next flight: a lone event goes singly, several as one atomic
//! batch, flushed once. Every flight expects the stream to end where the writer believes it does,
//! so a second writer's flight is refused whole.
//!
//! **One flight is out at a time.** A second one, sent ahead, would expect the sequence that the
//! first one *should* reach; were the first refused because another writer had appended exactly as
//! many events, the second would be accepted although it was decided on a state that never came to
//! be (docs/adr/0002). Deciding goes on meanwhile, so the writer is never idle for it.
//!
//! Refused, timed out or cut off: the log itself is asked. What stands behind the last known
//! position is this flight (committed), nothing (sent again: the fence lets only one copy in), or
//! another writer's (this writer is over).

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{HeaderMap, Subject, client::Request, header, jetstream};
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::{
    Connection, Failure, read,
    subjects::{self, stream_name},
};

/// Bounds of a committer.
#[derive(Debug, Clone)]
pub struct CommitterConfig {
    /// Events of one flight; nats-server takes 1,000 a batch at most.
    pub flight_events: usize,
    /// Payload of one flight.
    pub flight_bytes: usize,
    /// Events that may wait or be under way before `append` says no.
    pub queue_events: usize,
    /// How long the server may take to answer a flight before the log is asked.
    pub answer_timeout: Duration,
    /// How often a flight that is not in the log is sent again.
    pub attempts: u32,
}

impl Default for CommitterConfig {
    fn default() -> Self {
        Self {
            flight_events: 500,
            flight_bytes: 4 * 1024 * 1024,
            queue_events: 20_000,
            answer_timeout: Duration::from_secs(2),
            attempts: 20,
        }
    }
}

/// One event on its way into the log.
#[derive(Debug, Clone)]
pub struct Append {
    pub subject: String,
    pub payload: Bytes,
    pub headers: HeaderMap,
}

/// Why a writer is over. What it had not confirmed may or may not be in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Ended {
    #[error("another writer appended to the shard")]
    Fenced,
    #[error("the shard's log ends before what was read of it")]
    LogShrank,
    #[error("the server did not take the events: {0}")]
    Refused(String),
    #[error("the writer was stopped")]
    Stopped,
}

/// Where events are appended, and where their durability is learned.
#[derive(Debug)]
pub struct Committer {
    shard: u16,
    config: CommitterConfig,
    queue: Mutex<Queue>,
    arrived: Notify,
    durable: watch::Sender<Durable>,
}

#[derive(Debug, Clone)]
struct Durable {
    position: u64,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Append>,
    /// Places promised to commands that are being decided.
    reserved: usize,
    /// Events of the flight that is out.
    flying: usize,
    next_position: u64,
    ended: bool,
}

/// A place in the queue; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    committer: std::sync::Arc<Committer>,
}

impl Committer {
    /// A writer that knows the shard's log up to `end`.
    pub fn new(shard: u16, end: u64, config: CommitterConfig) -> std::sync::Arc<Self> {
        let (durable, _) = watch::channel(Durable { position: end, ended: None });
        std::sync::Arc::new(Self {
            shard,
            config,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                reserved: 0,
                flying: 0,
                next_position: end + 1,
                ended: false,
            }),
            arrived: Notify::new(),
            durable,
        })
    }

    /// Keeps a place for one event; errors with [`Failure::Overloaded`] when the queue is full.
    pub fn reserve(self: &std::sync::Arc<Self>) -> Result<Reservation, Failure> {
        let mut queue = self.queue();
        if queue.ended {
            return Err(Failure::Overloaded("the shard is changing its owner"));
        }
        if queue.waiting.len() + queue.flying + queue.reserved >= self.config.queue_events {
            return Err(Failure::Overloaded("too many events wait for the log"));
        }
        queue.reserved += 1;
        Ok(Reservation { committer: std::sync::Arc::clone(self) })
    }

    /// Resolves once everything up to `position` is in the log for good.
    pub async fn durable(&self, position: u64) -> Result<(), Ended> {
        let mut durable = self.durable.subscribe();
        let reached = durable.wait_for(|now| now.position >= position || now.ended.is_some()).await;
        match reached {
            Ok(now) if now.position >= position => Ok(()),
            Ok(now) => Err(now.ended.clone().unwrap_or(Ended::Stopped)),
            Err(_) => Err(Ended::Stopped),
        }
    }

    /// Everything up to here is in the log for good.
    pub fn durable_position(&self) -> u64 {
        self.durable.borrow().position
    }

    /// Writes until it is over; then everybody who waits is told why.
    pub async fn run(&self, connection: &Connection) -> Ended {
        let mut writer = Writer { connection, shard: self.shard, config: &self.config };
        loop {
            let flight = self.next_flight().await;
            let last = self.durable_position();
            match writer.write(last, &flight).await {
                Ok(()) => {
                    self.queue().flying = 0;
                    let reached = last + flight.len() as u64;
                    self.durable.send_modify(|durable| durable.position = reached);
                }
                Err(ended) => {
                    self.end(ended.clone());
                    return ended;
                }
            }
        }
    }

    /// Takes no more; tells everybody who waits. What is out may still arrive.
    pub fn end(&self, why: Ended) {
        self.queue().ended = true;
        self.durable.send_modify(|durable| {
            durable.ended.get_or_insert(why);
        });
    }

    /// Whether nothing waits and nothing is out.
    pub fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.waiting.is_empty() && queue.flying == 0 && queue.reserved == 0
    }

    async fn next_flight(&self) -> Vec<Append> {
        loop {
            {
                let mut queue = self.queue();
                let mut flight = Vec::new();
                let mut bytes = 0;
                while flight.len() < self.config.flight_events {
                    let Some(next) = queue.waiting.front() else { break };
                    bytes += next.payload.len();
                    if bytes > self.config.flight_bytes && !flight.is_empty() {
                        break;
                    }
                    flight.extend(queue.waiting.pop_front());
                }
                if !flight.is_empty() {
                    queue.flying = flight.len();
                    return flight;
                }
            }
            self.arrived.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Queues the event; its position in the shard, should this writer get it there. Events go
    /// into the log in the order of these calls.
    pub fn append(self, event: Append) -> u64 {
        let mut queue = self.committer.queue();
        let position = queue.next_position;
        queue.next_position += 1;
        queue.waiting.push_back(event);
        drop(queue);
        self.committer.arrived.notify_one();
        position
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.committer.queue().reserved -= 1;
    }
}

/// What the log says of a flight whose answer was no answer.
enum Found {
    Ours,
    Nothing,
    Foreign,
    Shorter,
}

struct Writer<'a> {
    connection: &'a Connection,
    shard: u16,
    config: &'a CommitterConfig,
}

impl Writer<'_> {
    /// Brings a flight behind `last`, or says why this writer is over.
    async fn write(&mut self, last: u64, flight: &[Append]) -> Result<(), Ended> {
        let mut attempt = 0;
        loop {
            self.connection.connected(self.config.answer_timeout).await;
            let answer = self.send(last, flight).await;
            let why = match answer {
                Ok(reached) if reached == last + flight.len() as u64 => return Ok(()),
                Ok(other) => format!("the server numbered the flight up to {other}"),
                Err(failure) => failure.to_string(),
            };
            self.connection.connected(self.config.answer_timeout).await;
            let asked = self.ask_the_log(last, flight);
            match self.connection.unless_cut("show the log's end", asked).await {
                Ok(Found::Ours) => return Ok(()),
                Ok(Found::Foreign) => return Err(Ended::Fenced),
                Ok(Found::Shorter) => return Err(Ended::LogShrank),
                // Not there. It may still be on its way; the fence lets in one copy only.
                Ok(Found::Nothing) if attempt < self.config.attempts => attempt += 1,
                Ok(Found::Nothing) => return Err(Ended::Refused(why)),
                // The server is away: nothing is known, so nothing is given up.
                Err(failure) => {
                    tracing::debug!(shard = self.shard, %failure, "the log cannot be asked yet");
                }
            }
            tracing::debug!(shard = self.shard, attempt, why, "a flight is sent again");
            let pause = Duration::from_millis((10 << attempt.min(6)).min(500));
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a flight; the sequence of its last event.
    async fn send(&self, last: u64, flight: &[Append]) -> Result<u64, Failure> {
        let answer = async {
            match flight {
                [single] => self.request(single, expecting(last, single.headers.clone())).await,
                events => self.send_batch(last, events).await,
            }
        };
        let within = async {
            match tokio::time::timeout(self.config.answer_timeout, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::jetstream("confirm an append", "no answer in time")),
            }
        };
        self.connection.unless_cut("confirm an append", within).await
    }

    /// An atomic batch (NATS ADR-50): all or nothing, flushed once.
    async fn send_batch(&self, last: u64, events: &[Append]) -> Result<u64, Failure> {
        let batch = uuid::Uuid::new_v4().simple().to_string();
        let (commit, before) = events
            .split_last()
            .ok_or_else(|| Failure::jetstream("confirm an append", "an empty flight"))?;
        let numbered = |number: usize, event: &Append| {
            let mut headers = event.headers.clone();
            headers.insert(header::NATS_BATCH_ID, batch.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, number.to_string());
            if number == 1 { expecting(last, headers) } else { headers }
        };
        for (event, number) in before.iter().zip(1..) {
            self.connection
                .client()
                .publish_with_headers(
                    Subject::from(event.subject.as_str()),
                    numbered(number, event),
                    event.payload.clone(),
                )
                .await
                .map_err(|error| Failure::jetstream("take a batch", error))?;
        }
        let mut headers = numbered(events.len(), commit);
        headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        self.request(commit, headers).await
    }

    async fn request(&self, event: &Append, headers: HeaderMap) -> Result<u64, Failure> {
        let request = Request::new()
            .headers(headers)
            .payload(event.payload.clone())
            .timeout(Some(self.config.answer_timeout));
        let answer = self
            .connection
            .client()
            .send_request(Subject::from(event.subject.as_str()), request)
            .await
            .map_err(|error| Failure::jetstream("confirm an append", error))?;
        let answer: jetstream::response::Response<jetstream::publish::PublishAck> =
            serde_json::from_slice(&answer.payload)
                .map_err(|error| Failure::jetstream("confirm an append", error))?;
        match answer {
            jetstream::response::Response::Ok(ack) => Ok(ack.sequence),
            jetstream::response::Response::Err { error } => {
                Err(Failure::jetstream("accept an append", error))
            }
        }
    }

    /// What stands behind `last`, as the stream's leader sees it.
    async fn ask_the_log(&self, last: u64, flight: &[Append]) -> Result<Found, Failure> {
        let end = read::last_position(self.connection, self.shard).await?;
        match end.cmp(&last) {
            std::cmp::Ordering::Less => return Ok(Found::Shorter),
            std::cmp::Ordering::Equal => return Ok(Found::Nothing),
            std::cmp::Ordering::Greater => {}
        }
        let stream = self
            .connection
            .jetstream()
            .get_stream_no_info(stream_name(self.shard))
            .await
            .map_err(|error| Failure::jetstream("open a stream", error))?;
        let next = stream
            .get_raw_message(last + 1)
            .await
            .map_err(|error| Failure::jetstream("give a message", error))?;
        // An event carries its own id, so equal bytes are this very event; and a flight is whole.
        let ours = flight.first().is_some_and(|first| first.payload == next.payload);
        Ok(if ours { Found::Ours } else { Found::Foreign })
    }
}

fn expecting(last: u64, mut headers: HeaderMap) -> HeaderMap {
    headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, last.to_string());
    headers
}

/// The headers of an event, for consumers that do not parse bodies.
pub fn event_headers(kind: &str, version: u64, traceparent: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(subjects::TYPE_HEADER, kind);
    headers.insert(subjects::VERSION_HEADER, version.to_string());
    if let Some(traceparent) = traceparent {
        headers.insert(subjects::TRACEPARENT_HEADER, traceparent);
    }
    headers
}
