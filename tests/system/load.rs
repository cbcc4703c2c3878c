//! People who talk while the system is hurt, and devices that must miss nothing.
//!
//! Senders do what clients do: the same message, with the same clientMessageId, until it is
//! accepted. Devices keep a store as the contract tells them to (drop what is known, apply
//! version+1), come back with their token, and fail the test at the first gap.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::device::Store;
use crate::harness::{Client, Socket, eventually};

/// How long an answer may take while something is being restarted.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(60);
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const COMPLETE_WITHIN: Duration = Duration::from_secs(60);

/// Conversations under way.
pub struct Load {
    url: String,
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Sent>>,
}

/// What one sender was told, and what the other one's device saw.
pub struct Sent {
    conversation: String,
    reader: String,
    /// clientMessageIds by conversationSeq.
    accepted: BTreeMap<u64, String>,
}

impl Load {
    /// `conversations` senders, each with a message every `pause` (later ones wait for earlier).
    pub fn start(url: &str, conversations: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let senders = (0..conversations)
            .map(|n| {
                let talk = talk(url.to_owned(), n, pause, Arc::clone(&stop));
                tokio::spawn(talk)
            })
            .collect();
        Self { url: url.to_owned(), stop, senders }
    }

    /// Stops sending, and checks that every device and history hold what was accepted: each message
    /// once, under the number that its sender was told, without a gap. Returns how many there were.
    pub async fn check(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = 0;
        for sender in self.senders {
            let sent = sender.await.unwrap();
            let last = *sent.accepted.keys().last().unwrap();
            assert_eq!(sent.accepted.len() as u64, last, "the numbers have gaps");
            let unique: HashSet<_> = sent.accepted.values().collect();
            assert_eq!(unique.len(), sent.accepted.len(), "a message has two numbers");
            let history = history(&self.url, &sent, last).await;
            assert_eq!(history, sent.accepted, "history differs from what was accepted");
            total += sent.accepted.len();
        }
        total
    }
}

async fn talk(url: String, n: usize, pause: Duration, stop: Arc<AtomicBool>) -> Sent {
    let (sender, reader) = (format!("s{n}"), format!("t{n}"));
    let conversation = format!("d.{sender}.{reader}");
    let client = sign_in(&url, &sender).await;
    let end = Arc::new(AtomicU64::new(NO_END));
    let (caught_up, is_caught_up) = oneshot::channel();
    let device = tokio::spawn(read(url.clone(), reader.clone(), caught_up, Arc::clone(&end)));
    // A device without a token is given summaries only, so it must be there before the messages.
    is_caught_up.await.unwrap();
    let path = format!("/v1/conversations/{conversation}/messages");
    let mut accepted = BTreeMap::new();
    let mut tick = tokio::time::interval(pause);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        count += 1;
        let name = format!("m-{count}");
        let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
        let answer = accept(&client, &path, &body).await;
        accepted.insert(answer["conversationSeq"].as_u64().unwrap(), name);
    }
    let last = accepted.keys().last().copied().unwrap_or_default();
    end.store(last, Ordering::Relaxed);
    let seen = tokio::time::timeout(COMPLETE_WITHIN, device).await;
    let store = seen.expect("the device is complete in time").unwrap();
    if store.messages != accepted {
        assert_eq!(store.messages.len() as u64, last, "the device has another number of messages");
        assert_eq!(store.messages, accepted, "the device differs from what was accepted");
    }
    Sent { conversation, reader, accepted }
}

/// Sends the same until it is accepted.
pub async fn accept(client: &Client, path: &str, body: &Value) -> Value {
    let end = Instant::now() + ACCEPTED_WITHIN;
    loop {
        if let Ok(post) = client.try_request(hyper::Method::POST, path, Some(body)).await {
            // Nothing but «try again» is another answer to this.
            assert!([202, 503].contains(&post.status), "{post:?}");
            if post.status == 202 {
                return post.json;
            }
        }
        assert!(Instant::now() < end, "not accepted within {ACCEPTED_WITHIN:?}");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// The last message is not known yet.
const NO_END: u64 = u64::MAX;

/// A device that reads up to message `end`, and until nothing follows for a while.
async fn read(
    url: String,
    user: String,
    first_caught_up: oneshot::Sender<()>,
    end: Arc<AtomicU64>,
) -> Store {
    let mut store = Store::default();
    let mut first_caught_up = Some(first_caught_up);
    loop {
        let client = sign_in(&url, &user).await;
        let opened = Socket::try_open(&url, Some(client.token())).await;
        let Some(mut socket) = opened else { continue };
        let mut hello = json!({"type": "hello", "deviceId": "phone"});
        if let Some(token) = &store.token {
            hello["since"] = json!(token);
        }
        if socket.try_send(&hello).await.is_none() {
            continue;
        }
        let mut caught_up = false;
        loop {
            match tokio::time::timeout(Duration::from_millis(1_500), socket.next()).await {
                Ok(Ok(frame)) => {
                    caught_up |= frame["type"] == "caughtUp";
                    store.apply(&frame);
                    if caught_up && let Some(sender) = first_caught_up.take() {
                        sender.send(()).unwrap();
                    }
                }
                // Closed or cut: come back with the token.
                Ok(Err(_)) => break,
                Err(_) if store.reached.load(Ordering::Relaxed) >= end.load(Ordering::Relaxed) => {
                    return store;
                }
                Err(_) => {}
            }
        }
    }
}

async fn sign_in(url: &str, user: &str) -> Client {
    let end = Instant::now() + ACCEPTED_WITHIN;
    loop {
        if let Some(client) = Client::try_sign_in(url, user).await {
            return client;
        }
        assert!(Instant::now() < end, "not signed in within {ACCEPTED_WITHIN:?}");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn history(url: &str, sent: &Sent, last: u64) -> BTreeMap<u64, String> {
    let client = sign_in(url, &sent.reader).await;
    let mut messages = BTreeMap::new();
    eventually("history is complete", COMPLETE_WITHIN, async || {
        let reached = messages.keys().last().copied().unwrap_or(0);
        let conversation = &sent.conversation;
        let path =
            format!("/v1/conversations/{conversation}/messages?afterSeq={reached}&limit=200");
        let page = client.try_get(&path).await?;
        for message in page.json["messages"].as_array()? {
            let seq = message["conversationSeq"].as_u64().unwrap();
            messages.insert(seq, message["clientMessageId"].as_str().unwrap().to_owned());
        }
        (messages.keys().last() == Some(&last)).then_some(())
    })
    .await;
    messages
}
