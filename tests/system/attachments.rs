//! Files, from one person to another and away again, through everything that may be killed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Answer, Client, Up, eventually};

const WITHIN: Duration = Duration::from_secs(30);
const CONVERSATION: &str = "d.alice.bob";
/// Erase at once, and look for it often.
const SOON: [(&str, &str); 2] =
    [("PARLEY_TIDY_INTERVAL_MILLIS", "100"), ("PARLEY_ATTACHMENTS_TIDY_INTERVAL_MILLIS", "100")];

/// Larger than what goes through in one piece.
fn file(first: u8) -> Bytes {
    (0..3_000_000_u32).map(|n| first.wrapping_add((n % 251) as u8)).collect()
}

/// The id, and where to upload it.
async fn reserve(client: &Client, content: &Bytes) -> (String, String) {
    let asked = json!({"conversationId": CONVERSATION, "fileName": "box.jpg",
        "contentType": "image/jpeg", "sizeBytes": content.len()});
    let reserved = client.post("/v1/attachments", &asked).await.expect(201);
    assert_eq!(reserved["method"], "PUT");
    let text = |field: &str| reserved[field].as_str().unwrap().to_owned();
    (text("attachmentId"), text("uploadUrl"))
}

async fn upload(client: &Client, address: &str, content: &Bytes) -> Answer {
    client.try_address(Method::PUT, address, content.clone()).await.unwrap()
}

async fn uploaded(client: &Client, content: &Bytes) -> String {
    let (id, address) = reserve(client, content).await;
    assert_eq!(upload(client, &address, content).await.status, 200);
    id
}

fn message(name: &str, id: &str) -> Value {
    json!({"clientMessageId": name,
        "body": {"kind": "attachment", "attachments": [{"attachmentId": id}]}})
}

async fn fetch(client: &Client, id: &str) -> Answer {
    client.get(&format!("/v1/attachments/{id}")).await
}

/// What the person gets, as soon as they may know of the message.
async fn download(client: &Client, id: &str) -> Bytes {
    let found = fetch(client, id).await;
    assert_eq!(found.status, 302, "{}", found.json);
    let address = found.headers["location"].to_str().unwrap().to_owned();
    let answer = client.try_address(Method::GET, &address, Bytes::new()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    answer.body
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

/// As a backend service sends.
async fn send_over_nats(up: &Up, actor: &str, body: &Value) -> Value {
    let nats = parley_nats::connect(&up.nats_url(), "test").await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Dm-Actor", actor);
    let mut asked = body.clone();
    asked["conversationId"] = json!(CONVERSATION);
    let asked = asked.to_string().into();
    let client = nats.client();
    let answer = client.request_with_headers("dm.cmd.message.send", headers, asked).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn files_come_by_every_way_and_go_with_their_message() {
    let mut up = Up::start_with(&[], &SOON).await;
    let (alice, bob) = (up.client("alice").await, up.client("bob").await);
    let eve = up.client("eve").await;
    let store = up.data().join("attachments");
    let contents = [file(1), file(2), file(3)];
    let mut ids = Vec::new();
    for content in &contents {
        ids.push(uploaded(&alice, content).await);
    }
    let mut theirs = up.socket("bob", "phone", None).await;
    let path = format!("/v1/conversations/{CONVERSATION}/messages");
    alice.post(&path, &message("c-1", &ids[0])).await.expect(202);
    let mut socket = up.socket("alice", "laptop", None).await;
    let mut frame = message("c-2", &ids[1]);
    frame["type"] = json!("message.send");
    frame["ref"] = json!("1");
    frame["conversationId"] = json!(CONVERSATION);
    socket.send(&frame).await;
    assert_eq!(socket.until("message.ack").await["conversationSeq"], 2);
    let sent = send_over_nats(&up, "alice", &message("c-3", &ids[2])).await;
    assert_eq!(sent["conversationSeq"], 3);
    let refused = send_over_nats(&up, "alice", &message("c-4", &ids[2])).await;
    assert_eq!(refused["code"], "invalid_attachment");
    // Whoever reads needs to look up nothing.
    for id in &ids {
        let event = theirs.until("event").await;
        let attachment = &event["event"]["data"]["body"]["attachments"][0];
        let expected = json!({"attachmentId": id, "fileName": "box.jpg",
            "contentType": "image/jpeg", "sizeBytes": contents[0].len()});
        assert_eq!(*attachment, expected);
    }
    for (id, content) in ids.iter().zip(&contents) {
        assert!(download(&bob, id).await == *content);
        assert!(download(&alice, id).await == *content);
        assert_eq!(fetch(&eve, id).await.expect(404)["code"], "not_found");
    }

    alice.request(Method::DELETE, &format!("{path}/2"), None).await.expect(200);
    eventually("its bytes are gone", WITHIN, async || (files(&store).len() == 2).then_some(()))
        .await;
    for client in [&alice, &bob] {
        assert_eq!(fetch(client, &ids[1]).await.status, 404);
    }
    up.kill9();
    up.restart().await;
    let bob = up.client("bob").await;
    for place in [0, 2] {
        assert!(download(&bob, &ids[place]).await == contents[place]);
    }
    assert_eq!(up.parley(&["verify"]).await.printed(), "The views are what the log says.\n");
    up.parley(&["rebuild"]).await.printed();
    for place in [0, 2] {
        assert!(download(&bob, &ids[place]).await == contents[place]);
    }
    assert_eq!(fetch(&bob, &ids[1]).await.status, 404);
    assert_eq!(fetch(&up.client("eve").await, &ids[0]).await.status, 404);
}

#[tokio::test]
async fn an_upload_that_is_killed_is_not_there_and_may_be_repeated() {
    let mut up = Up::start_with(&[], &SOON).await;
    let alice = up.client("alice").await;
    let content = file(7);
    let (id, address) = reserve(&alice, &content).await;
    let store = up.data().join("attachments");
    let (host, _) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    for part in [1, content.len() / 2, content.len() - 1] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let target = address.split_once(host).unwrap().1;
        let head = format!(
            "PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n",
            content.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&content[..part]).await.unwrap();
        eventually("it is under way", WITHIN, async || {
            let folder = store.join("unfinished");
            let newest = fs::read_dir(folder).unwrap().flatten();
            newest.map(|entry| entry.metadata().unwrap().len()).any(|len| len > 0).then_some(())
        })
        .await;
        up.kill9();
        up.restart().await;
        let alice = up.client("alice").await;
        assert_eq!(fetch(&alice, &id).await.status, 404);
        let path = format!("/v1/conversations/{CONVERSATION}/messages");
        let refused = alice.post(&path, &message("c-1", &id)).await.expect(422);
        assert_eq!(refused["code"], "invalid_attachment");
        assert!(files(&store).iter().all(|name| !name.contains(&id.replace('-', ""))));
        // What was left is not mistaken for the next one's.
        for entry in fs::read_dir(store.join("unfinished")).unwrap().flatten() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let alice = up.client("alice").await;
    assert_eq!(upload(&alice, &address, &content).await.status, 200);
    assert_eq!(upload(&alice, &address, &content).await.status, 409);
    let path = format!("/v1/conversations/{CONVERSATION}/messages");
    alice.post(&path, &message("c-1", &id)).await.expect(202);
    assert!(download(&up.client("bob").await, &id).await == content);
}
