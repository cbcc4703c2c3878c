//! Many devices at once: a gateway is drained, and all of them come back to another one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Client, Deployment, Service, Socket, eventually};

/// `PARLEY_TEST_SOCKETS`: 400 by default, so that the whole suite stays quick; 5000 for the long run.
fn sockets() -> usize {
    std::env::var("PARLEY_TEST_SOCKETS").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

struct Device {
    user: String,
    client: Client,
    socket: Socket,
    token: String,
}

impl Device {
    async fn connect(gateway: &Service, user: String, since: Option<&str>) -> Self {
        let client = Client::sign_in(&gateway.url(), &user).await;
        let mut socket = Socket::connect(&gateway.url(), client.token(), "phone", since).await;
        let token = token(&socket.until("caughtUp").await);
        Self { user, client, socket, token }
    }

    /// The next message's text.
    async fn text(&mut self) -> String {
        let event = self.socket.until("event").await;
        event["event"]["data"]["body"]["text"].as_str().unwrap().to_owned()
    }
}

fn token(frame: &Value) -> String {
    frame["token"].as_str().unwrap().to_owned()
}

/// A number of the gateway's metrics.
pub async fn metric(gateway: &Service, name: &str) -> u64 {
    let text = Client::anonymous(&gateway.url()).get("/metrics").await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

async fn write(client: &Client, to: &str, name: &str) {
    let path = format!("/v1/conversations/d.Writer.{to}/messages");
    let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
    client.post(&path, &body).await.expect(202);
}

/// In waves, so that the machine's backlog of half-open connections is not what is tested.
async fn in_waves<T, F: Future<Output = T>>(all: impl Iterator<Item = F>) -> Vec<T> {
    let mut done = Vec::new();
    let mut wave = Vec::new();
    for one in all {
        wave.push(one);
        if wave.len() == 100 {
            done.extend(join_all(wave.drain(..)).await);
        }
    }
    done.extend(join_all(wave).await);
    done
}

#[tokio::test]
async fn a_drained_gateways_devices_come_back_to_another_without_a_query() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let mut first = deployment.gateway().await;
    let second = deployment.gateway().await;
    let writer = Client::sign_in(&second.url(), "Writer").await;

    let users = (0..sockets()).map(|n| format!("u{n}"));
    let mut devices = in_waves(users.map(|user| Device::connect(&first, user, None))).await;
    // Everybody is told something, so that every token has a place in the log.
    in_waves(devices.iter().map(|device| write(&writer, &device.user, "before"))).await;
    for device in &mut devices {
        assert_eq!(device.text().await, "before");
    }

    let ending = tokio::spawn(async move {
        let began = Instant::now();
        let status = first.terminate().await;
        (status.code(), began.elapsed(), first.output())
    });
    let moved = in_waves(devices.into_iter().map(|mut device| {
        let (second, writer) = (&second, &writer);
        async move {
            let draining = device.socket.until("draining").await;
            assert!(draining["reconnectAfterMs"].as_u64().unwrap() <= 10_000, "{draining}");
            assert_eq!(device.socket.until_closed().await, 4503);
            // What is written while it is nowhere is what it must get.
            write(writer, &device.user, "meanwhile").await;
            let since = device.token.clone();
            let mut device = Device::connect(second, device.user, Some(&since)).await;
            // Its token is from before both; what it has already it is given again.
            while device.text().await != "meanwhile" {}
            device
        }
    }))
    .await;
    let (code, took, output) = ending.await.unwrap();
    assert_eq!(code, Some(0), "{output}");
    assert!(took < Duration::from_secs(15), "{took:?}");

    assert_eq!(moved.len(), sockets());
    assert_eq!(metric(&second, r#"parley_gateway_syncs_total{from="database"}"#).await, 0);
    let from_memory = metric(&second, r#"parley_gateway_syncs_total{from="memory"}"#).await;
    assert_eq!(from_memory, sockets() as u64);
    // And they go on live.
    for device in moved.iter().take(20) {
        write(&writer, &device.user, "after").await;
    }
    for mut device in moved.into_iter().take(20) {
        assert_eq!(device.text().await, "after");
        drop(device.client);
    }
}

/// `PARLEY_TEST_CONVERSATIONS`: 300 by default, 5000 for the long run.
#[tokio::test]
async fn a_new_device_with_many_conversations_has_its_first_page_soon() {
    let count: usize = std::env::var("PARLEY_TEST_CONVERSATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(300);
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let writer = Client::sign_in(&gateway.url(), "Writer").await;
    let users: Vec<String> = (0..count).map(|n| format!("u{n}")).collect();
    in_waves(users.iter().map(|user| write(&writer, user, "hi"))).await;
    // In every shard: what the views lack comes with its messages.
    for user in &users {
        eventually("the inbox has it", Duration::from_secs(30), async || {
            let page = writer.get(&format!("/v1/conversations/d.Writer.{user}")).await;
            (page.json["lastSeq"] == 1).then_some(())
        })
        .await;
    }

    let began = Instant::now();
    let mut socket = Socket::connect(&gateway.url(), writer.token(), "new", None).await;
    let first = socket.until("sync").await;
    println!("first page of {count} conversations after {:?}", began.elapsed());
    let mut seen = Vec::new();
    let mut frame = first;
    loop {
        for one in frame["conversations"].as_array().unwrap() {
            let id = one["conversation"]["conversationId"].as_str().unwrap().to_owned();
            assert_eq!(one["messages"], json!([]));
            seen.push(id);
        }
        if frame["more"] == false {
            break;
        }
        frame = socket.until("sync").await;
    }
    socket.until("caughtUp").await;
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}
