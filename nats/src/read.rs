//! Bounded reads of the log.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::RawMessageErrorKind,
};
use futures_util::StreamExt;
use parley_domain::LogId;

use crate::{
    Connection, Failure,
    subjects::{event_subject, stream_name},
    tail::{LogMessage, Tail, TailOptions, from_position},
};

/// How long a bounded read may stand still before it fails.
const STALLED: Duration = Duration::from_secs(5);
const BATCH: usize = 1_000;

/// Sequence of the last message of a shard, from the stream's leader; 0 for an empty one.
pub async fn last_position(connection: &Connection, shard: u16) -> Result<u64, Failure> {
    let stream = connection
        .jetstream()
        .get_stream(stream_name(shard))
        .await
        .map_err(|error| Failure::jetstream("tell a stream's state", error))?;
    Ok(stream.cached_info().state.last_sequence)
}

/// Hands every message behind `after` up to the end that the log has now to `take`, in order;
/// returns that end.
pub async fn read_to_end(
    connection: &Connection,
    shard: u16,
    after: u64,
    mut take: impl FnMut(LogMessage),
) -> Result<u64, Failure> {
    let end = last_position(connection, shard).await?;
    if end <= after {
        return Ok(end);
    }
    let mut tail = Tail::open(connection, shard, after, TailOptions::default());
    let mut reached = after;
    while reached < end {
        let batch = tokio::time::timeout(STALLED, tail.next_batch(BATCH, Duration::ZERO)).await;
        match batch {
            Ok(batch) => {
                for message in batch.into_iter().filter(|message| message.position <= end) {
                    reached = message.position;
                    take(message);
                }
                // The last messages may have been erased: then the tail has passed the end.
                if tail.position() >= end {
                    break;
                }
            }
            // Nothing comes although the log has not ended: either its last messages were erased,
            // or the server is not there.
            Err(_) if last_position(connection, shard).await.is_ok() => {
                if erased_until(connection, shard, reached, end).await? {
                    break;
                }
            }
            Err(_) => return Err(Failure::jetstream("deliver the log's end", "it stood still")),
        }
    }
    Ok(end)
}

/// Whether no message is left behind `reached` up to `end`.
pub async fn erased_until(
    connection: &Connection,
    shard: u16,
    reached: u64,
    end: u64,
) -> Result<bool, Failure> {
    let stream = connection
        .jetstream()
        .get_stream_no_info(stream_name(shard))
        .await
        .map_err(|error| Failure::jetstream("open a stream", error))?;
    for position in reached + 1..=end {
        match stream.get_raw_message(position).await {
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
            // No answer is no proof: a message that is taken for erased would be numbered again.
            Err(error) => return Err(Failure::jetstream("give a message", error)),
        }
    }
    Ok(true)
}

/// All messages of one conversation or account that the log holds, in order. Slow for an old one:
/// the server walks its blocks.
pub async fn read_subject(
    connection: &Connection,
    shard: u16,
    id: &impl LogId,
) -> Result<Vec<LogMessage>, Failure> {
    read_subject_after(connection, shard, id, 0).await
}

/// The same from a position on: those behind `after`. Quick if that is not far from the log's end.
pub async fn read_subject_after(
    connection: &Connection,
    shard: u16,
    id: &impl LogId,
    after: u64,
) -> Result<Vec<LogMessage>, Failure> {
    let subject = event_subject(shard, id);
    let consumer = connection
        .jetstream()
        .create_consumer_on_stream(
            pull::Config {
                ack_policy: AckPolicy::None,
                memory_storage: true,
                num_replicas: 1,
                inactive_threshold: STALLED * 2,
                filter_subject: subject,
                ..from_position(after)
            },
            stream_name(shard),
        )
        .await
        .map_err(|error| Failure::jetstream("create a consumer", error))?;
    let expected = consumer.cached_info().num_pending;
    let mut found = Vec::new();
    while (found.len() as u64) < expected {
        let mut batch = consumer
            .batch()
            .max_messages(BATCH)
            .expires(STALLED)
            .messages()
            .await
            .map_err(|error| Failure::jetstream("deliver a subject's events", error))?;
        let before = found.len();
        while let Some(message) = batch.next().await {
            let message =
                message.map_err(|error| Failure::jetstream("deliver a subject's events", error))?;
            let position = message
                .info()
                .map_err(|error| Failure::jetstream("number a message", error))?
                .stream_sequence;
            let async_nats::Message { subject, payload, .. } = message.message;
            found.push(LogMessage { position, subject, payload });
            if found.len() as u64 >= expected {
                break;
            }
        }
        if found.len() == before {
            // The rest may have been erased meanwhile.
            let info = consumer
                .get_info()
                .await
                .map_err(|error| Failure::jetstream("tell a consumer's state", error))?;
            if info.num_pending == 0 {
                break;
            }
            return Err(Failure::jetstream("deliver a subject's events", "it stood still"));
        }
    }
    Ok(found)
}
