//! Two people talk: one order, the same numbers everywhere, whoever asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Socket, Up, eventually};

const CONVERSATION: &str = "d.alice.bob";
const MESSAGES: &str = "/v1/conversations/d.alice.bob/messages";

fn frame(name: &str) -> Value {
    json!({
        "type": "message.send", "ref": name, "conversationId": CONVERSATION,
        "clientMessageId": name, "body": {"kind": "text", "text": name},
    })
}

/// One device's view of the conversation.
struct Device {
    socket: Socket,
    /// clientMessageIds, in the order of their events.
    order: Vec<String>,
    /// Answers to what was sent here, by clientMessageId.
    acks: BTreeMap<String, Value>,
}

impl Device {
    async fn of(up: &Up, user: &str, device: &str) -> Self {
        let mut socket = up.socket(user, device, None).await;
        socket.until("caughtUp").await;
        Self { socket, order: Vec::new(), acks: BTreeMap::new() }
    }

    async fn say(&mut self, name: &str) {
        self.socket.send(&frame(name)).await;
    }

    /// Reads until it has seen so many messages, and so many answers to its own.
    async fn until(&mut self, messages: usize, acks: usize) {
        while self.order.len() < messages || self.acks.len() < acks {
            let frame = self.socket.next().await.expect("an open socket");
            assert_ne!(frame["type"], "error", "{frame}");
            if frame["type"] == "message.ack" {
                assert_eq!(frame["duplicate"], false);
                let name = frame["ref"].as_str().unwrap().to_owned();
                self.acks.insert(name, frame);
            } else if frame["event"]["type"] == "message.sent" {
                let data = &frame["event"]["data"];
                self.order.push(data["clientMessageId"].as_str().unwrap().to_owned());
                assert_eq!(data["conversationSeq"], self.order.len());
                assert_eq!(frame["event"]["version"], self.order.len());
            }
        }
    }
}

/// A command as a backend service gives it.
async fn over_nats_command(
    nats: &async_nats::Client,
    actor: &str,
    name: &str,
    text: &str,
) -> Value {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Dm-Actor", actor);
    let body = json!({
        "conversationId": CONVERSATION, "clientMessageId": name,
        "body": {"kind": "text", "text": text},
    });
    let answer = nats
        .request_with_headers("dm.cmd.message.send", headers, body.to_string().into())
        .await
        .unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// The conversation as the log has it.
async fn log(nats: &async_nats::Client) -> Vec<String> {
    let jetstream = async_nats::jetstream::new(nats.clone());
    let mut found = Vec::new();
    for shard in 0..4 {
        let mut stream = jetstream.get_stream(format!("DM_{shard}")).await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        for position in 1..=last {
            let message = stream.get_raw_message(position).await.unwrap();
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!(message.subject.as_str(), format!("dm.evt.{shard}.{CONVERSATION}"));
            assert_eq!(message.headers.get("Dm-Type").unwrap().as_str(), event["type"]);
            found.push(event["data"]["clientMessageId"].as_str().unwrap().to_owned());
        }
    }
    found
}

#[tokio::test]
async fn five_hundred_messages_from_two_sides_have_one_order() {
    let mut up = Up::start().await;
    let mut alice = Device::of(&up, "alice", "desk").await;
    let mut bob = Device::of(&up, "bob", "phone").await;
    let mut tablet = Device::of(&up, "bob", "tablet").await;
    // 300 at once, from both sides; then 200 in turn.
    for n in 0..150 {
        alice.say(&format!("a-{n}")).await;
        bob.say(&format!("b-{n}")).await;
    }
    tokio::join!(alice.until(300, 150), bob.until(300, 150));
    for n in 150..250 {
        alice.say(&format!("a-{n}")).await;
        tokio::join!(alice.until(2 * n + 1, n + 1), bob.until(2 * n + 1, n));
        bob.say(&format!("b-{n}")).await;
        tokio::join!(alice.until(2 * n + 2, n + 1), bob.until(2 * n + 2, n + 1));
    }
    tablet.until(500, 0).await;
    assert_eq!(alice.order, bob.order);
    assert_eq!(alice.order, tablet.order);
    // What one side sends one after the other stays in that order.
    for side in ["a-", "b-"] {
        let own: Vec<&String> = alice.order.iter().filter(|name| name.starts_with(side)).collect();
        let sent: Vec<String> = (0..250).map(|n| format!("{side}{n}")).collect();
        assert_eq!(own, sent.iter().collect::<Vec<_>>());
    }
    let nats = async_nats::connect(up.nats_url()).await.unwrap();
    assert_eq!(log(&nats).await, alice.order);

    let client = up.client("bob").await;
    let mut history = Vec::new();
    eventually("history is complete", Duration::from_secs(10), async || {
        let path = format!("{MESSAGES}?afterSeq={}&limit=200", history.len());
        let page = client.get(&path).await.expect(200);
        for message in page["messages"].as_array()? {
            history.push(message["clientMessageId"].as_str()?.to_owned());
            assert_eq!(message["conversationSeq"], history.len());
        }
        (history.len() == 500).then_some(())
    })
    .await;
    assert_eq!(history, alice.order);

    // A retry answers the first numbers, on every way in, also after everything was restarted.
    for restarted in [false, true] {
        if restarted {
            up.kill9();
            up.restart().await;
        }
        let nats = async_nats::connect(up.nats_url()).await.unwrap();
        let alices = up.client("alice").await;
        let mut socket = up.socket("alice", "desk", None).await;
        for name in ["a-0", "a-149", "a-249"] {
            let first = &alice.acks[name];
            socket.send(&frame(name)).await;
            let again = socket.until("message.ack").await;
            let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
            let over_http = alices.post(MESSAGES, &body).await.expect(202);
            let over_nats = over_nats_command(&nats, "alice", name, name).await;
            for answer in [&again, &over_http, &over_nats] {
                for number in ["messageId", "conversationSeq", "version"] {
                    assert_eq!(answer[number], first[number], "{name} {number}");
                }
                assert_eq!(answer["duplicate"], true);
            }
            let other = json!({"clientMessageId": name, "body": {"kind": "text", "text": "other"}});
            let refused = alices.post(MESSAGES, &other).await.expect(409);
            assert_eq!(refused["code"], "client_message_id_reused");
            let refused = over_nats_command(&nats, "alice", name, "other").await;
            assert_eq!(refused["code"], "client_message_id_reused");
        }
    }
    assert_eq!(up.terminate().await.code(), Some(0), "{}", up.output());
}
