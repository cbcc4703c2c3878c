//! A device that keeps its store as the contract tells it to, over any transport.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::harness::{Client, Socket};

/// What a device knows of its conversation: drop what is known, apply version+1, fail at a gap.
#[derive(Debug, Default)]
pub struct Store {
    pub version: u64,
    /// clientMessageIds by conversationSeq.
    pub messages: BTreeMap<u64, String>,
    pub token: Option<String>,
    /// Number of its last message, for whoever waits for it.
    pub reached: Arc<AtomicU64>,
}

impl Store {
    /// Takes in a frame of the WebSocket or the stream.
    pub fn apply(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "sync" => self.apply_sync(frame),
            "caughtUp" | "token" => self.token = frame["token"].as_str().map(str::to_owned),
            "event" => {
                let event = &frame["event"];
                let version = event["version"].as_u64().unwrap();
                if version <= self.version {
                    return;
                }
                assert_eq!(version, self.version + 1, "a device missed an event: {event}");
                self.version = version;
                if event["type"] == "message.sent" {
                    self.add(&event["data"]);
                }
            }
            _ => {}
        }
    }

    /// Takes in the pages of section 5.
    pub fn apply_sync(&mut self, sync: &Value) {
        for changed in sync["conversations"].as_array().unwrap() {
            let version = changed["conversation"]["version"].as_u64().unwrap();
            self.version = self.version.max(version);
            for message in changed["messages"].as_array().unwrap() {
                self.add(message);
            }
        }
    }

    fn add(&mut self, message: &Value) {
        let seq = message["conversationSeq"].as_u64().unwrap();
        let name = message["clientMessageId"].as_str().unwrap();
        let known = self.messages.insert(seq, name.to_owned());
        assert!(known.is_none_or(|known| known == name), "number {seq} changed its message");
        self.reached.fetch_max(seq, Ordering::Relaxed);
    }
}

/// How a device listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    Stream,
    LongPoll,
}

/// Listens for as long as `life`, from the store's token on, and is then cut off at whatever point
/// it has reached. Also ends when the server does.
pub async fn listen(
    transport: Transport,
    url: &str,
    user: &str,
    store: &mut Store,
    life: Duration,
) {
    let Some(client) = Client::try_sign_in(url, user).await else { return };
    let end = tokio::time::Instant::now() + life;
    // Dropping the future is the cut.
    let listening = async {
        match transport {
            Transport::WebSocket => web_socket(url, &client, store).await,
            Transport::Stream => stream(url, &client, store).await,
            Transport::LongPoll => long_poll(&client, store).await,
        }
    };
    let _: Result<Option<()>, _> = tokio::time::timeout_at(end, listening).await;
}

async fn web_socket(url: &str, client: &Client, store: &mut Store) -> Option<()> {
    let mut socket = Socket::try_open(url, Some(client.token())).await?;
    let mut hello = json!({"type": "hello", "deviceId": "phone"});
    if let Some(token) = &store.token {
        hello["since"] = json!(token);
    }
    socket.try_send(&hello).await?;
    while let Ok(frame) = socket.next().await {
        store.apply(&frame);
    }
    None
}

async fn stream(url: &str, client: &Client, store: &mut Store) -> Option<()> {
    let http: HyperClient<_, Empty<Bytes>> =
        HyperClient::builder(TokioExecutor::new()).build_http();
    let mut request = Request::get(format!("{url}/v1/stream"))
        .header("authorization", format!("Bearer {}", client.token()));
    if let Some(token) = &store.token {
        request = request.header("last-event-id", token);
    }
    let response = http.request(request.body(Empty::new()).unwrap()).await.ok()?;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while let Some(chunk) = body.next().await {
        text.push_str(std::str::from_utf8(&chunk.ok()?).unwrap());
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start)
            };
            if let Some(data) = field("data:") {
                store.apply(&serde_json::from_str(data).unwrap());
            }
            if let Some(token) = field("id:") {
                store.token = Some(token.to_owned());
            }
        }
    }
    None
}

async fn long_poll(client: &Client, store: &mut Store) -> Option<()> {
    loop {
        let since = store.token.as_ref().map(|token| format!("&since={token}"));
        let path = format!("/v1/sync?wait=1{}", since.unwrap_or_default());
        let answer = client.try_get(&path).await?;
        // A gateway without a database says so; what is in its memory it gives all the same.
        if answer.status == 503 {
            return None;
        }
        let sync = answer.expect(200);
        store.apply_sync(&sync);
        store.token = Some(sync["token"].as_str().unwrap().to_owned());
    }
}
