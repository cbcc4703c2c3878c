//! A device: it keeps its token and what it knows, and checks that versions never jump.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::World;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    socket: WebSocketStream<TcpStream>,
    pub token: Option<String>,
    /// The last version of each conversation, and of the `account`.
    pub known: BTreeMap<String, u64>,
}

/// What a server said last.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Frame(Value),
    Closed(u16),
    /// Without a close frame.
    Cut,
}

/// A session token, as a browser gets it.
pub async fn session(world: &World, user: &str, device: &str) -> String {
    let answer = world
        .post("/v1/sessions/bootstrap", user, &json!({"deviceId": device, "platform": "test"}))
        .await;
    answer.ok(200)["sessionToken"].as_str().unwrap().to_owned()
}

impl Client {
    /// Without a hello.
    pub async fn connect(world: &World, headers: &[(&'static str, &str)]) -> Self {
        Self::connect_with(world, headers, None).await
    }

    pub async fn connect_with(
        world: &World,
        headers: &[(&'static str, &str)],
        receive_buffer_bytes: Option<u32>,
    ) -> Self {
        let tcp = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer_bytes {
            tcp.set_recv_buffer_size(bytes).unwrap();
        }
        let tcp = tcp.connect(world.address().parse().unwrap()).await.unwrap();
        let mut request =
            format!("ws://{}/v1/connect", world.address()).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = client_async(request, tcp).await.unwrap();
        Self { socket, token: None, known: BTreeMap::new() }
    }

    /// Signed in and caught up.
    pub async fn open(world: &World, user: &str, device: &str) -> Self {
        let token = session(world, user, device).await;
        let mut client = Self::connect(world, &[]).await;
        client.greet(&token, device).await;
        client.until("caughtUp").await;
        client
    }

    pub async fn hello(&mut self, world: &World, user: &str, device: &str) {
        let token = session(world, user, device).await;
        self.greet(&token, device).await;
        self.until("caughtUp").await;
    }

    /// A hello, with what is known.
    pub async fn greet(&mut self, session: &str, device: &str) {
        let since = &self.token;
        self.say(&json!({"type":"hello","sessionToken":session,"deviceId":device,"since":since}))
            .await;
    }

    /// Again, with what is known.
    pub async fn reconnect(self, world: &World, user: &str, device: &str) -> (Self, Vec<Value>) {
        let Self { token, known, .. } = self;
        let session = session(world, user, device).await;
        let mut client = Self { token, known, ..Self::connect(world, &[]).await };
        client.greet(&session, device).await;
        let frames = client.until("caughtUp").await;
        (client, frames)
    }

    pub async fn say(&mut self, frame: &Value) {
        self.raw(Message::text(frame.to_string())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        // A server that has closed may not take it; what it said is read next.
        let _ = self.socket.send(message).await;
    }

    pub async fn next(&mut self) -> Said {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let frame: Value = match next.expect("nothing came") {
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(Some(close)))) => return Said::Closed(close.code.into()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Said::Cut,
                Some(Ok(_)) => continue,
            };
            self.learn(&frame);
            return Said::Frame(frame);
        }
    }

    fn learn(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "event" => {
                let event = &frame["event"];
                let subject = event["subject"].as_str().unwrap();
                let subject = if subject.starts_with("a.") { "account" } else { subject };
                let known = self.known.entry(subject.to_owned()).or_default();
                let version = event["version"].as_u64().unwrap();
                assert!(version <= *known + 1, "a jump from {known}: {event}");
                *known = version.max(*known);
            }
            "sync" => {
                for shown in frame["conversations"].as_array().unwrap() {
                    let shown = &shown["conversation"];
                    let id = shown["conversationId"].as_str().unwrap().to_owned();
                    let known = self.known.entry(id).or_default();
                    *known = shown["version"].as_u64().unwrap().max(*known);
                }
                if let Some(version) = frame["account"]["version"].as_u64() {
                    let known = self.known.entry("account".to_owned()).or_default();
                    *known = version.max(*known);
                }
            }
            _ => {}
        }
        if let Some(token) = frame["token"].as_str() {
            self.token = Some(token.to_owned());
        }
    }

    /// All frames up to the first of this type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        self.until_frame(|frame| frame["type"] == kind).await
    }

    /// All frames up to the first message.
    pub async fn until_message(&mut self) -> Vec<Value> {
        self.until_frame(|frame| frame["event"]["type"] == "message.sent").await
    }

    pub async fn until_frame(&mut self, right: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Said::Frame(frame) => {
                    frames.push(frame);
                    if frames.last().is_some_and(&right) {
                        return frames;
                    }
                }
                end @ (Said::Closed(_) | Said::Cut) => panic!("{end:?} after {frames:?}"),
            }
        }
    }

    /// The close code; frames before it are read over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Said::Frame(_) => {}
                Said::Closed(code) => return code,
                Said::Cut => panic!("cut without a close frame"),
            }
        }
    }

    pub async fn send_message(&mut self, id: &str, client_message_id: &str, text: &str) {
        self.say(&json!({"type":"message.send","ref":client_message_id,"conversationId":id,
            "clientMessageId":client_message_id,"body":{"kind":"text","text":text}}))
            .await;
    }

    pub async fn leave(mut self) -> Self {
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
        self
    }
}

/// The texts of the messages in these events, in order.
pub fn texts(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["event"]["data"]["body"]["text"].as_str()).collect()
}
