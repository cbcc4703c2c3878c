//! Who is connected where: a bucket in memory, written by each gateway for itself and followed by
//! all of them.
//!
//! A gateway writes an entry for each of its users and, much more often, one for itself, its sign
//! of life. Entries of users are published without waiting for an answer, so that thousands of them
//! cost no round trip; whoever writes follows the bucket, and sees what did not arrive. The server
//! forgets whatever was not written again for [`MAX_AGE`]: what dead gateways left needs no
//! cleaning up.
//!
//! [`Table`] is what the entries come to, [`Reader`] takes them in.

mod reader;
mod table;

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::consumer::{AckPolicy, DeliverPolicy, pull},
};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{
    Connection, Failure,
    subjects::{PRESENCE_BUCKET, PresenceKey, parse_presence_subject, presence_subject},
    topology,
};

pub use self::{
    reader::Reader,
    table::{Shown, Size, Table, TableConfig},
};

/// How long the server keeps an entry that is not written again.
pub const MAX_AGE: Duration = Duration::from_secs(600);
/// How long a sign of life may take to be acknowledged.
const ANSWER: Duration = Duration::from_secs(2);
/// A tail's own signs of life, by which a dead one is noticed.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(2);
const EXPIRES: Duration = Duration::from_secs(30);
const INACTIVE: Duration = Duration::from_secs(60);
const PREFETCH: usize = 2_000;

const OPERATION: &str = "KV-Operation";
const DELETED: &str = "DEL";

/// The bucket, as one gateway sees it.
#[derive(Debug, Clone)]
pub struct PresenceBucket {
    connection: Connection,
    gateway: String,
    replicas: usize,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// A gateway lives; `beat` is its own count.
    Alive {
        gateway: String,
        beat: u64,
    },
    /// A gateway has ended in order.
    Ended {
        gateway: String,
    },
    Joined {
        gateway: String,
        user: String,
    },
    /// The last connection there was closed at that time.
    Left {
        gateway: String,
        user: String,
        at_millis: Option<i64>,
    },
}

/// An entry with the server's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub sign: Sign,
    pub at_millis: i64,
}

impl PresenceBucket {
    /// For the gateway of this name, a single token of a subject.
    pub fn new(connection: Connection, gateway: String, replicas: usize) -> Self {
        Self { connection, gateway, replicas }
    }

    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Makes the bucket, if the server does not have it (any more).
    pub async fn ensure(&self) -> Result<(), Failure> {
        let bucket = topology::presence_bucket(&self.connection, self.replicas, MAX_AGE);
        self.connection.unless_cut("create the bucket of presence", bucket).await.map(|_| ())
    }

    /// Says that this gateway lives, and waits until the bucket has it.
    pub async fn beat(&self, beat: u64) -> Result<(), Failure> {
        const WHAT: &str = "take a gateway's sign of life";
        let subject = presence_subject(PresenceKey::Gateway { gateway: &self.gateway });
        let said = async {
            let jetstream = self.connection.jetstream();
            let acknowledged = jetstream
                .publish(subject, beat.to_string().into())
                .await
                .map_err(|error| Failure::jetstream(WHAT, error))?;
            acknowledged.await.map_err(|error| Failure::jetstream(WHAT, error))?;
            Ok(())
        };
        match tokio::time::timeout(ANSWER, self.connection.unless_cut(WHAT, said)).await {
            Ok(said) => said,
            Err(_) => Err(Failure::jetstream(WHAT, "no answer in time")),
        }
    }

    /// Says that this gateway has ended.
    pub async fn end(&self) -> Result<(), Failure> {
        let subject = presence_subject(PresenceKey::Gateway { gateway: &self.gateway });
        self.tell(subject, Some(deleted()), Bytes::new()).await?;
        self.connection
            .client()
            .flush()
            .await
            .map_err(|error| Failure::jetstream("take a gateway's end", error))
    }

    /// Says that a user is connected here; lost if the server is away.
    pub async fn join(&self, user: &str) -> Result<(), Failure> {
        let key = PresenceKey::User { gateway: &self.gateway, user };
        self.tell(presence_subject(key), None, Bytes::new()).await
    }

    /// Says that a user is not connected here any more; lost if the server is away. `at_millis`: since when.
    pub async fn leave(&self, user: &str, at_millis: Option<i64>) -> Result<(), Failure> {
        let key = PresenceKey::User { gateway: &self.gateway, user };
        let since = at_millis.map_or_else(Bytes::new, |at| at.to_string().into());
        self.tell(presence_subject(key), Some(deleted()), since).await
    }

    async fn tell(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), Failure> {
        let client = self.connection.client();
        let told = async {
            match headers {
                Some(headers) => client.publish_with_headers(subject, headers, payload).await,
                None => client.publish(subject, payload).await,
            }
            .map_err(|error| Failure::jetstream("take an entry of presence", error))
        };
        self.connection.unless_cut("take an entry of presence", told).await
    }

    /// Follows the bucket from its oldest entry.
    pub async fn tail(&self) -> Result<PresenceTail, Failure> {
        let epoch = self.connection.link().epoch;
        let consumer = self.consumer();
        let source = self.connection.unless_cut("follow the bucket of presence", consumer).await?;
        Ok(PresenceTail { connection: self.connection.clone(), epoch, source, count: 0 })
    }

    async fn consumer(&self) -> Result<pull::Stream, Failure> {
        const WHAT: &str = "follow the bucket of presence";
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::All,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let consumer = self
            .connection
            .jetstream()
            .create_consumer_on_stream(config, format!("KV_{PRESENCE_BUCKET}"))
            .await
            .map_err(|error| Failure::jetstream(WHAT, error))?;
        consumer
            .stream()
            .max_messages_per_batch(PREFETCH)
            .heartbeat(IDLE_HEARTBEAT)
            .expires(EXPIRES)
            .messages()
            .await
            .map_err(|error| Failure::jetstream(WHAT, error))
    }
}

fn deleted() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(OPERATION, DELETED);
    headers
}

/// The bucket's entries, the present ones and then each as it comes.
pub struct PresenceTail {
    connection: Connection,
    epoch: u64,
    source: pull::Stream,
    count: u64,
}

impl PresenceTail {
    /// The next entry; `None` if one may have been missed: then another tail has to be opened.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            let received = tokio::select! {
                biased;
                received = self.source.next() => received,
                () = self.connection.cut(self.epoch) => None,
            };
            let message = match received? {
                Ok(message) => message,
                Err(error) => {
                    tracing::debug!(%error, "the bucket of presence is followed anew");
                    return None;
                }
            };
            let info = message.info().ok()?;
            if info.consumer_sequence != self.count + 1 {
                return None;
            }
            self.count += 1;
            let at_millis = i64::try_from(info.published.unix_timestamp_nanos() / 1_000_000);
            if let (Some(sign), Ok(at_millis)) = (read(&message), at_millis) {
                return Some(Seen { sign, at_millis });
            }
        }
    }
}

fn read(message: &async_nats::Message) -> Option<Sign> {
    let operation = message.headers.as_ref().and_then(|headers| headers.get(OPERATION));
    let number = || std::str::from_utf8(&message.payload).ok()?.parse().ok();
    let is_there = operation.is_none();
    Some(match parse_presence_subject(&message.subject)? {
        PresenceKey::Gateway { gateway } if is_there => {
            let beat = number().and_then(|beat: i64| u64::try_from(beat).ok())?;
            Sign::Alive { gateway: gateway.to_owned(), beat }
        }
        PresenceKey::Gateway { gateway } => Sign::Ended { gateway: gateway.to_owned() },
        PresenceKey::User { gateway, user } if is_there => {
            Sign::Joined { gateway: gateway.to_owned(), user: user.to_owned() }
        }
        PresenceKey::User { gateway, user } => {
            Sign::Left { gateway: gateway.to_owned(), user: user.to_owned(), at_millis: number() }
        }
    })
}
