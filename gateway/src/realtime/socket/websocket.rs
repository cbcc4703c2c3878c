//! A WebSocket that is cheap to keep.
//!
//! axum's own is not used for one reason: tungstenite keeps a buffer as large as the largest frame
//! that it ever wrote, so a device that was once sent a page of 50 KiB would hold as much for as
//! long as it stays. Here long frames go past that buffer, and are not even copied.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, buf::Chain};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        protocol::{
            Role, WebSocketConfig,
            frame::{
                FrameHeader,
                coding::{Data, OpCode},
            },
        },
    },
};

use super::super::protocol::MAX_FRAME_BYTES;

/// Idle connections hold this much for reading; most frames are smaller.
const READ_BUFFER_BYTES: usize = 1_024;
/// So much is gathered before it is written, if more frames wait.
const WRITE_BUFFER_BYTES: usize = 512;
/// Longer frames are written by themselves. So idle connections hold two times this for writing.
const LONG_BYTES: usize = 512;
/// Frames up to this size are read, so that a client that sent too large a one is told so by the
/// close code; a larger one may be cut off.
const MAX_READ_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// The server's side of one.
#[derive(Debug)]
pub struct WebSocket {
    /// Boxed, as it is moved from future to future, each of which would have room for it.
    inner: Box<WebSocketStream<Line>>,
    /// Waits until everything before it is on the line.
    long: Option<Utf8Bytes>,
}

impl WebSocket {
    pub(super) async fn over(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(MAX_READ_BYTES))
            .max_frame_size(Some(MAX_READ_BYTES));
        let line = Line { stream: TokioIo::new(upgraded), first: None };
        let inner = WebSocketStream::from_raw_socket(line, Role::Server, Some(config)).await;
        Self { inner: Box::new(inner), long: None }
    }

    /// Ready once no long frame is on its way.
    fn poll_long(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.long.is_some() {
            ready!(self.inner.poll_flush_unpin(context))?;
        }
        if let Some(text) = self.long.take() {
            self.inner.get_mut().first = Some(frame(text)?);
        }
        if self.inner.get_ref().first.is_some() {
            ready!(self.inner.poll_flush_unpin(context))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// A text frame as a server writes it: a header, and the text as it is.
fn frame(text: Utf8Bytes) -> Result<Chain<Bytes, Bytes>, Error> {
    let payload = Bytes::from(text);
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    let mut written = Vec::new();
    header.format(payload.len() as u64, &mut written)?;
    Ok(Bytes::from(written).chain(payload))
}

impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

impl Sink<Message> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_long(context))?;
        self.inner.poll_ready_unpin(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        if let Message::Text(text) = &message
            && text.len() > LONG_BYTES
        {
            self.long = Some(text.clone());
            return Ok(());
        }
        self.inner.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_long(context))?;
        self.inner.poll_flush_unpin(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_long(context))?;
        self.inner.poll_close_unpin(context)
    }
}

/// The connection below tungstenite, which writes nothing of its own (a pong, say) into a frame
/// that is on its way.
#[derive(Debug)]
struct Line {
    stream: TokioIo<Upgraded>,
    /// Goes out before anything else.
    first: Option<Chain<Bytes, Bytes>>,
}

impl Line {
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = &mut self.first {
            let mut parts = [IoSlice::new(&[]); 2];
            let count = first.chunks_vectored(&mut parts);
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write_vectored(context, &parts[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            first.advance(written);
            if !first.has_remaining() {
                self.first = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
