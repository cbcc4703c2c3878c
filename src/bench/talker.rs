//! One person at one socket: sends, and notes when acks and the other's messages come.
//!
//! A message's clientMessageId is `<socket>-<n>-<µs>`, the last being when it was (to be) sent,
//! since the bench began: whoever sees the message knows its age without sharing anything.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::failure::Failure;

/// What all talkers do.
#[derive(Debug)]
pub struct Plan {
    pub begin: Instant,
    pub measure_from: Instant,
    pub end: Instant,
    /// When stragglers are given up.
    pub settled: Instant,
    pub in_flight: usize,
    /// Between two messages of one socket, if sent by a clock.
    pub pause: Option<Duration>,
    pub sockets: u32,
    pub text: String,
}

/// A message that was acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    pub conversation: String,
    pub seq: u64,
    pub name: String,
}

/// What a talker has seen; latencies in microseconds, of messages of the measured time only.
#[derive(Debug, Default)]
pub struct Told {
    pub acked_us: Vec<u32>,
    pub delivered_us: Vec<u32>,
    /// Foreign messages that arrived within the measured time.
    pub delivered: u64,
    pub acknowledged: Vec<Acknowledged>,
    pub unacknowledged: u64,
    pub errors: u64,
}

impl Told {
    pub fn merge(&mut self, other: Self) {
        self.acked_us.extend(other.acked_us);
        self.delivered_us.extend(other.delivered_us);
        self.delivered += other.delivered;
        self.acknowledged.extend(other.acknowledged);
        self.unacknowledged += other.unacknowledged;
        self.errors += other.errors;
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connected, and ready to talk.
pub struct Talker {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    socket: u32,
    conversation: String,
    sent: u64,
    in_flight: usize,
    told: Told,
}

impl Talker {
    /// Connects and reads until `caughtUp`.
    pub async fn connect(
        url: &str,
        token: &str,
        socket: u32,
        conversation: String,
    ) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::unavailable(format!("the WebSocket of {url} cannot be opened: {error}"))
        };
        let address = format!("{}/v1/connect", url.replacen("http", "ws", 1));
        let mut request = address.into_client_request().map_err(|error| failed(&error))?;
        let header = format!("Bearer {token}").parse().map_err(|error| failed(&error))?;
        request.headers_mut().insert("authorization", header);
        let (mut stream, _) = connect_async(request).await.map_err(|error| failed(&error))?;
        if let MaybeTlsStream::Plain(stream) = stream.get_ref() {
            stream.set_nodelay(true).map_err(|error| failed(&error))?;
        }
        let hello = format!(r#"{{"type":"hello","deviceId":"bench_{socket}"}}"#);
        stream.send(Message::text(hello)).await.map_err(|error| failed(&error))?;
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(frame))) if frame.starts_with(r#"{"type":"caughtUp""#) => {
                    let (sink, stream) = stream.split();
                    let told = Told::default();
                    return Ok(Self {
                        sink,
                        stream,
                        socket,
                        conversation,
                        sent: 0,
                        in_flight: 0,
                        told,
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failed(&error)),
                None => return Err(failed(&"it was closed")),
            }
        }
    }

    /// Talks as planned; errors if the socket is closed.
    pub async fn talk(mut self, plan: Arc<Plan>) -> Result<Told, Failure> {
        let start = Instant::now();
        // Clocks that all tick at once would make waves.
        let offset = plan.pause.map(|pause| pause * self.socket / plan.sockets);
        let mut due = start + offset.unwrap_or_default();
        let mut heartbeat = tokio::time::interval(Duration::from_secs(15));
        loop {
            let now = Instant::now();
            if now >= plan.settled || (now >= plan.end && self.in_flight == 0) {
                break;
            }
            let may_send = now < plan.end && self.in_flight < plan.in_flight;
            let clocked = plan.pause.is_some();
            if may_send && !clocked {
                while self.in_flight < plan.in_flight {
                    self.send(&plan, Instant::now()).await?;
                }
                self.sink.flush().await.map_err(closed)?;
            }
            tokio::select! {
                frame = self.stream.next() => self.read(frame, &plan)?,
                () = tokio::time::sleep_until(due.into()), if may_send && clocked => {
                    // Its age counts from when it was due, also if it could not go out then.
                    self.send(&plan, due).await?;
                    self.sink.flush().await.map_err(closed)?;
                    due += plan.pause.unwrap_or_default();
                }
                _ = heartbeat.tick() => {
                    self.sink.send(Message::text(r#"{"type":"ping"}"#)).await.map_err(closed)?;
                }
                () = tokio::time::sleep_until(plan.end.into()), if now < plan.end => {}
                () = tokio::time::sleep_until(plan.settled.into()) => {}
            }
        }
        // The other side may still be waiting for what this one sent.
        let linger = Duration::from_secs(1);
        let until = tokio::time::Instant::now() + linger;
        while let Ok(Some(frame)) = tokio::time::timeout_at(until, self.stream.next()).await {
            self.read(Some(frame), &plan)?;
        }
        self.told.unacknowledged = self.in_flight as u64;
        Ok(self.told)
    }

    async fn send(&mut self, plan: &Plan, at: Instant) -> Result<(), Failure> {
        let micros = at.duration_since(plan.begin).as_micros();
        let frame = format!(
            r#"{{"type":"message.send","ref":"{n}","conversationId":"{to}","clientMessageId":"{socket}-{n}-{micros}","body":{{"kind":"text","text":"{text}"}}}}"#,
            n = self.sent,
            to = self.conversation,
            socket = self.socket,
            text = plan.text,
        );
        self.sent += 1;
        self.in_flight += 1;
        self.sink.feed(Message::text(frame)).await.map_err(closed)
    }

    fn read(
        &mut self,
        frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
        plan: &Plan,
    ) -> Result<(), Failure> {
        let frame = match frame {
            Some(Ok(Message::Text(frame))) => frame,
            Some(Ok(Message::Close(why))) => {
                return Err(closed(format!("{why:?}")));
            }
            Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => return Err(closed(error)),
            None => return Err(closed("without a reason")),
        };
        if frame.starts_with(r#"{"type":"error""#) {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.told.errors += 1;
            return Ok(());
        }
        let Some(name) = after(&frame, r#""clientMessageId":""#) else { return Ok(()) };
        let mut parts = name.split('-');
        let (Some(socket), Some(_), Some(micros)) = (parts.next(), parts.next(), parts.next())
        else {
            return Ok(());
        };
        let sent = plan.begin + Duration::from_micros(micros.parse().unwrap_or_default());
        let now = Instant::now();
        let measured = sent >= plan.measure_from && sent < plan.end;
        let age = u32::try_from(now.duration_since(sent).as_micros()).unwrap_or(u32::MAX);
        if frame.starts_with(r#"{"type":"message.ack""#) {
            self.in_flight = self.in_flight.saturating_sub(1);
            if measured {
                self.told.acked_us.push(age);
            }
            let seq = number_after(&frame, r#""conversationSeq":"#);
            let conversation = self.conversation.clone();
            let name = name.to_owned();
            self.told.acknowledged.push(Acknowledged { conversation, seq, name });
        } else if socket != self.socket.to_string() {
            if measured {
                self.told.delivered_us.push(age);
            }
            if now >= plan.measure_from && now < plan.end {
                self.told.delivered += 1;
            }
        }
        Ok(())
    }
}

fn closed(why: impl ToString) -> Failure {
    Failure::unavailable(format!("a socket was closed: {}", why.to_string()))
}

/// The JSON string without escapes behind `key`. (Parsing whole frames would make the bench the
/// busiest process of the machine.)
fn after<'a>(frame: &'a str, key: &str) -> Option<&'a str> {
    let start = frame.find(key)? + key.len();
    let rest = &frame[start..];
    Some(&rest[..rest.find('"')?])
}

fn number_after(frame: &str, key: &str) -> u64 {
    let Some(start) = frame.find(key) else { return 0 };
    let digits = frame[start + key.len()..].bytes().take_while(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
