//! Servers that go away while messages are sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Deployment, Service, Socket, eventually};

const SEND: &str = "/v1/conversations/d.alice.bob/messages";
const HISTORY: &str = "/v1/conversations/d.alice.bob/messages?afterSeq=0&limit=200";

fn text(client_message_id: &str) -> Value {
    json!({
        "clientMessageId": client_message_id,
        "body": {"kind": "text", "text": client_message_id},
    })
}

/// Sends as a client does: the same message until it is accepted.
async fn send(client: &Client, client_message_id: &str) -> Value {
    let message = text(client_message_id);
    eventually("the message is accepted", Duration::from_secs(60), async || {
        let answer = client.try_request(hyper::Method::POST, SEND, Some(&message)).await.ok()?;
        assert!([202, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 202).then_some(answer.json)
    })
    .await
}

/// The text of every message in the history, once it holds `count`.
async fn history(client: &Client, count: usize) -> Vec<String> {
    eventually("the history is complete", Duration::from_secs(30), async || {
        let answer = client.get(HISTORY).await;
        let messages = answer.json["messages"].as_array()?;
        let texts = messages.iter().map(|message| message["body"]["text"].as_str());
        let texts = texts.map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>();
        (texts.len() >= count).then_some(texts)
    })
    .await
}

/// The texts of the next `count` messages of a socket, each version one more than the last.
async fn received(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let event = socket.until("event").await["event"].clone();
        if event["type"] == "message.sent" {
            texts.push(event["data"]["body"]["text"].as_str().unwrap().to_owned());
        }
    }
    texts
}

struct System {
    gateway: Service,
    _commands: Service,
    _projections: Service,
    deployment: Deployment,
}

async fn system() -> System {
    let deployment = Deployment::start().await;
    System {
        _commands: deployment.service("commands").await,
        _projections: deployment.service("projections").await,
        gateway: deployment.gateway().await,
        deployment,
    }
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|index| format!("m-{index}")).collect()
}

#[tokio::test]
async fn messages_survive_a_killed_nats_server_once_each_and_in_order() {
    let system = system().await;
    let (nats, gateway) = (&system.deployment.nats, &system.gateway);
    let alice = gateway.client("alice").await;
    let mut bob = gateway.socket("bob", "phone", None).await;
    bob.until("caughtUp").await;
    let sender = async {
        for id in ids(0..40) {
            send(&alice, &id).await;
        }
    };
    let killer = async {
        eventually("some messages are sent", Duration::from_secs(30), async || {
            let answer = alice.get(HISTORY).await;
            (answer.json["messages"].as_array()?.len() > 3).then_some(())
        })
        .await;
        nats.kill9().await;
        nats.restart().await;
    };
    tokio::join!(sender, killer);
    assert_eq!(history(&alice, 40).await, ids(0..40));
    assert_eq!(received(&mut bob, 40).await, ids(0..40));
}

#[tokio::test]
async fn sending_goes_on_while_postgres_is_down() {
    let system = system().await;
    let (postgres, gateway) = (&system.deployment.postgres, &system.gateway);
    let alice = gateway.client("alice").await;
    let mut bob = gateway.socket("bob", "phone", None).await;
    bob.until("caughtUp").await;
    send(&alice, "m-0").await;
    postgres.kill9().await;
    for id in ids(1..5) {
        send(&alice, &id).await;
    }
    assert_eq!(received(&mut bob, 5).await, ids(0..5));
    let refused: Answer = alice.get(HISTORY).await;
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    assert_eq!(refused.expect(503)["code"], "unavailable");
    postgres.restart().await;
    assert_eq!(history(&alice, 5).await, ids(0..5));
}

#[tokio::test]
async fn a_frame_that_is_no_json_closes_the_socket() {
    let system = system().await;
    let mut alice = system.gateway.socket("alice", "phone", None).await;
    alice.send_text("not a frame").await;
    assert_eq!(alice.until_closed().await, 4400);
}
