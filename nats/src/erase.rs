//! Taking a message out of the log for good. Positions stay what they are: the log has a gap then.

use async_nats::jetstream::stream::RawMessageErrorKind;

use crate::{Connection, Failure, subjects::stream_name, tail::LogMessage};

/// The message at a position; `None` if there is none (any more).
pub async fn message_at(
    connection: &Connection,
    shard: u16,
    position: u64,
) -> Result<Option<LogMessage>, Failure> {
    let stream = connection
        .jetstream()
        .get_stream_no_info(stream_name(shard))
        .await
        .map_err(|error| Failure::jetstream("open a stream", error))?;
    match stream.get_raw_message(position).await {
        Ok(message) => {
            Ok(Some(LogMessage { position, subject: message.subject, payload: message.payload }))
        }
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        // No answer is no proof.
        Err(error) => Err(Failure::jetstream("give a message", error)),
    }
}

/// Erases what is at a position, which must be there: the server overwrites it on its disk
/// (JetStream's secure delete).
pub async fn erase(connection: &Connection, shard: u16, position: u64) -> Result<(), Failure> {
    let stream = connection
        .jetstream()
        .get_stream_no_info(stream_name(shard))
        .await
        .map_err(|error| Failure::jetstream("open a stream", error))?;
    match stream.delete_message(position).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::jetstream("erase a message", "it did not say why")),
        Err(error) => Err(Failure::jetstream("erase a message", error)),
    }
}
