//! A session without a socket, for Server-Sent Events: the same machine, the same frames, the same
//! bounds; only that nobody speaks.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::PollSender;

use super::{Realtime, protocol::Frame, socket};
use crate::auth::{AuthError, Identity};

/// Frames on their way to the response's body; what is behind them waits in the session.
const CAPACITY: usize = 8;
/// How soon it is seen that a reader has gone.
const LOOK: Duration = Duration::from_secs(5);
/// The device of a token that is bound to none.
const DEVICE: &str = "stream";

/// The frames of a session, to its end.
#[derive(Debug)]
pub struct Frames(mpsc::Receiver<Frame>);

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.0.poll_recv(context)
    }
}

impl Realtime {
    /// What a WebSocket of this caller would be sent, from the token `since` on.
    ///
    /// It ends when the caller's token expires, when this server drains, or when the frames are
    /// not taken in time; the reader then comes back with the last token that it was sent.
    pub fn subscribe(&self, caller: Identity, since: Option<&str>) -> Frames {
        let device = caller.device_id.as_ref().map_or(DEVICE, |device| device.as_str());
        let hello = json!({"type": "hello", "deviceId": device, "since": since}).to_string();
        let (sender, frames) = mpsc::channel(CAPACITY);
        let mut looks = interval(LOOK.min(self.0.config.session.heartbeat));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wire = Quiet { hello: Some(hello), looks, frames: PollSender::new(sender) };
        let realtime = self.clone();
        let tasks = self.0.shutdown.tasks().clone();
        let sockets = self.0.sockets.clone();
        tasks.spawn(sockets.track_future(async move {
            // The hello holds no token to be checked.
            let check = |_: &str| Err(AuthError::Invalid);
            socket::run(&realtime, wire, Some(caller), check).await;
        }));
        Frames(frames)
    }
}

/// A wire on which only the hello comes, and then signs of life while there is a reader.
struct Quiet {
    hello: Option<String>,
    looks: Interval,
    frames: PollSender<Frame>,
}

impl Stream for Quiet {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Ok(Message::Text(hello.into()))));
        }
        if self.looks.poll_tick(context).is_pending() {
            return Poll::Pending;
        }
        let has_reader = self.frames.get_ref().is_some_and(|frames| !frames.is_closed());
        Poll::Ready(has_reader.then(|| Ok(Message::Ping(Bytes::new()))))
    }
}

impl Sink<Message> for Quiet {
    type Error = Error;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.frames.poll_reserve(context).map_err(|_| Error::ConnectionClosed)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        match message {
            Message::Text(frame) => {
                self.frames.send_item(frame).map_err(|_| Error::ConnectionClosed)
            }
            Message::Close(_) => {
                self.frames.close();
                Ok(())
            }
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.frames.close();
        Poll::Ready(Ok(()))
    }
}
