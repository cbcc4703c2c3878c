//! Frames in and out of a WebSocket, both ways in one task, without splitting it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use crate::realtime::session::Outbox;

/// Below this much there is room for more; a session's events wait in its mailbox until then.
pub(super) const ROOM_BYTES: usize = 16 * 1_024;

/// What happened on the wire.
#[derive(Debug)]
pub(super) enum Event {
    Read(Message),
    /// A message too large to be read.
    TooLarge,
    /// Bytes that are no WebSocket.
    Garbled,
    /// The client left, or the connection broke.
    Gone,
    /// The outbox was over [`ROOM_BYTES`], and no longer is.
    Room,
}

pub(super) struct Wire<S> {
    stream: S,
    must_flush: bool,
    /// Since when the client has taken nothing although something waits.
    blocked_since: Option<Instant>,
    /// It will never be read again.
    ended: bool,
}

impl<S> Wire<S>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    pub(super) fn new(stream: S) -> Self {
        Self { stream, must_flush: false, blocked_since: None, ended: false }
    }

    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Writes what waits in `out`, several frames a flush, and reads if it may.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        out: &mut Outbox,
        may_read: bool,
    ) -> Poll<Event> {
        let was_full = out.bytes() >= ROOM_BYTES;
        // A pending write has registered the task; reading goes on meanwhile.
        if let Poll::Ready(Err(_)) = self.poll_write(context, out) {
            self.ended = true;
            return Poll::Ready(Event::Gone);
        }
        if was_full && out.bytes() < ROOM_BYTES {
            return Poll::Ready(Event::Room);
        }
        if may_read && !self.ended { self.poll_read(context) } else { Poll::Pending }
    }

    /// Ready once everything has been handed to the operating system.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        out: &mut Outbox,
    ) -> Poll<Result<(), Error>> {
        while !out.is_empty() {
            if self.wait(context, |stream, context| stream.poll_ready(context))?.is_pending() {
                return Poll::Pending;
            }
            if let Some(frame) = out.next_frame() {
                Pin::new(&mut self.stream).start_send(Message::Text(frame))?;
                self.must_flush = true;
            }
        }
        if self.must_flush {
            if self.wait(context, |stream, context| stream.poll_flush(context))?.is_pending() {
                return Poll::Pending;
            }
            self.must_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Polls, and notes since when nothing has moved.
    fn wait(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<Result<(), Error>>,
    ) -> Result<Poll<()>, Error> {
        match poll(Pin::new(&mut self.stream), context) {
            Poll::Ready(result) => {
                self.blocked_since = None;
                result.map(Poll::Ready)
            }
            Poll::Pending => {
                self.blocked_since.get_or_insert_with(Instant::now);
                Ok(Poll::Pending)
            }
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let event = match Pin::new(&mut self.stream).poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(Message::Close(_))) | None) => Event::Gone,
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Event::Read(message)),
            Poll::Ready(Some(Err(error))) => fault(error),
        };
        self.ended = true;
        Poll::Ready(event)
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// Whose fault it is that a message could not be read.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; the others mean an end")]
fn fault(error: Error) -> Event {
    match error {
        Error::Capacity(_) => Event::TooLarge,
        Error::Utf8(_) => Event::Garbled,
        // Cut in the middle.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Event::Gone,
        Error::Protocol(why) => {
            tracing::debug!(%why, "not a WebSocket frame");
            Event::Garbled
        }
        _ => Event::Gone,
    }
}
