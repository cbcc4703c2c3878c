//! A device that was away for long gets all it missed, page by page, in bounded memory.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::harness::{Client, Deployment, Service, Socket, eventually};
use crate::storm::metric;

const USER: &str = "Away";
/// Of each conversation.
const MESSAGES: usize = 200;
/// As the configuration has them by default.
const MAX_PAGE_MESSAGES: usize = 200;
const MAX_PAGE_CONVERSATIONS: usize = 50;
/// More than 200 messages of this test and their summaries ever take.
const MAX_PAGE_BYTES: usize = 96 * 1_024;
/// What the gateway may grow by while it serves all of it: a part of what the long run serves.
const MAX_GROWTH_BYTES: u64 = 16 * 1_024 * 1_024;
/// Commands under way at once.
const AT_ONCE: usize = 256;

/// `PARLEY_TEST_MISSED_MESSAGES`: 4,000 by default, 100000 for the long run.
fn conversations() -> usize {
    let messages = std::env::var("PARLEY_TEST_MISSED_MESSAGES").ok();
    messages.and_then(|messages| messages.parse().ok()).unwrap_or(4_000_usize).div_ceil(MESSAGES)
}

fn conversation(n: usize) -> String {
    format!("d.{USER}.p{n}")
}

fn name(n: usize, seq: usize) -> String {
    format!("m-{n}-{seq}")
}

/// Everybody writes to the one who is away, as a backend service would do it for them.
async fn write_all(deployment: &Deployment) {
    let nats = async_nats::connect(deployment.nats.url()).await.unwrap();
    for seq in 1..=MESSAGES {
        let round = stream::iter(0..conversations()).map(|n| {
            let nats = &nats;
            async move {
                let mut headers = async_nats::HeaderMap::new();
                headers.insert("Dm-Actor", format!("p{n}"));
                let body = json!({
                    "conversationId": conversation(n), "clientMessageId": name(n, seq),
                    "body": {"kind": "text", "text": format!("message {seq} of p{n}, of usual length")},
                });
                let payload = body.to_string().into();
                let sent = nats.request_with_headers("dm.cmd.message.send", headers, payload);
                let answer: Value = serde_json::from_slice(&sent.await.unwrap().payload).unwrap();
                assert_eq!(answer["conversationSeq"], seq, "{answer}");
            }
        });
        round.buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

/// What a device has been given, by conversation: clientMessageIds in their order.
#[derive(Default)]
struct Got {
    messages: BTreeMap<String, Vec<String>>,
    pages: usize,
    largest_page_bytes: usize,
}

impl Got {
    fn take(&mut self, page: &Value) {
        let bytes = page.to_string().len();
        assert!(bytes <= MAX_PAGE_BYTES, "a page of {bytes} bytes");
        let conversations = page["conversations"].as_array().unwrap();
        assert!(conversations.len() <= MAX_PAGE_CONVERSATIONS, "{}", conversations.len());
        let mut count = 0;
        for changed in conversations {
            let id = changed["conversation"]["conversationId"].as_str().unwrap();
            let known = self.messages.entry(id.to_owned()).or_default();
            for message in changed["messages"].as_array().unwrap() {
                count += 1;
                known.push(message["clientMessageId"].as_str().unwrap().to_owned());
                assert_eq!(message["conversationSeq"], known.len(), "{id} has a gap or a double");
            }
            // No part claims more than it has brought.
            assert!(changed["conversation"]["version"].as_u64() <= Some(known.len() as u64));
        }
        assert!(count <= MAX_PAGE_MESSAGES, "a page of {count} messages");
        self.pages += 1;
        self.largest_page_bytes = self.largest_page_bytes.max(bytes);
    }

    fn check(&self, history: &BTreeMap<String, Vec<String>>, how: &str) {
        assert!(self.messages == *history, "what came by {how} differs from history");
        let (pages, largest) = (self.pages, self.largest_page_bytes);
        println!("by {how}: {pages} pages, the largest of {largest} bytes");
        let fewest = history.len() * MESSAGES / MAX_PAGE_MESSAGES;
        assert!(pages >= fewest, "{pages} pages by {how}");
    }
}

async fn by_socket(gateway: &Service, client: &Client, since: &str) -> Got {
    let mut socket = Socket::connect(&gateway.url(), client.token(), "phone", Some(since)).await;
    let mut got = Got::default();
    loop {
        let frame = socket.next().await.unwrap();
        match frame["type"].as_str().unwrap() {
            "sync" => got.take(&frame),
            "caughtUp" => return got,
            other => panic!("{other} before caughtUp"),
        }
    }
}

async fn by_poll(client: &Client, since: &str) -> Got {
    let mut got = Got::default();
    let mut token = since.to_owned();
    loop {
        let page = client.get(&format!("/v1/sync?since={token}")).await.expect(200);
        got.take(&page);
        token = page["token"].as_str().unwrap().to_owned();
        if page["more"] == false {
            return got;
        }
    }
}

async fn history(client: &Client) -> BTreeMap<String, Vec<String>> {
    let all = stream::iter(0..conversations()).map(|n| async move {
        let id = conversation(n);
        let path = format!("/v1/conversations/{id}/messages?afterSeq=0&limit={MESSAGES}");
        eventually("history is complete", Duration::from_secs(120), async || {
            let page = client.get(&path).await.expect(200);
            let messages = page["messages"].as_array()?;
            let names = messages.iter().map(|message| message["clientMessageId"].as_str());
            let names: Vec<String> = names.map(|name| name.unwrap().to_owned()).collect();
            (names.len() == MESSAGES).then_some((id.clone(), names))
        })
        .await
    });
    all.buffer_unordered(4).collect().await
}

/// A line of `/proc/<pid>/status`, which counts in KiB.
fn memory_bytes(gateway: &Service, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.program().pid())).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// How far the gateway's memory rose above where it began while `work` was done.
async fn growth<T>(gateway: &Service, work: impl Future<Output = T>) -> (T, u64) {
    // The high-water mark begins anew.
    fs::write(format!("/proc/{}/clear_refs", gateway.program().pid()), "5").unwrap();
    let before = memory_bytes(gateway, "VmRSS:");
    let done = work.await;
    (done, memory_bytes(gateway, "VmHWM:").saturating_sub(before))
}

#[tokio::test]
async fn what_was_missed_arrives_page_by_page_in_bounded_memory() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    // Its ring forgets at once, so that everything comes from the views.
    let small = [("PARLEY_RING_BYTES", "65536"), ("PARLEY_RING_PRELOAD_EVENTS", "10")];
    let gateway = deployment.service_with("gateway", &small).await;
    gateway.wait_ready().await;
    let client = gateway.client(USER).await;
    let mut socket = gateway.socket(USER, "phone", None).await;
    let since = socket.until("caughtUp").await["token"].as_str().unwrap().to_owned();
    drop(socket);

    let began = Instant::now();
    write_all(&deployment).await;
    println!("{} messages written in {:?}", conversations() * MESSAGES, began.elapsed());
    let history = history(&client).await;
    let expected = (0..conversations())
        .map(|n| (conversation(n), (1..=MESSAGES).map(|seq| name(n, seq)).collect()));
    assert!(history == expected.collect(), "history differs from what was sent");

    // The first time, the allocator and the database's connections grow to their size.
    by_poll(&client, &since).await.check(&history, "long poll");
    for how in ["WebSocket", "long poll"] {
        let began = Instant::now();
        let work = async {
            match how {
                "WebSocket" => by_socket(&gateway, &client, &since).await,
                _ => by_poll(&client, &since).await,
            }
        };
        let (got, grown) = growth(&gateway, work).await;
        println!("by {how} in {:?}, the gateway grew by {grown} bytes", began.elapsed());
        got.check(&history, how);
        assert!(grown < MAX_GROWTH_BYTES, "the gateway grew by {grown} bytes");
    }
    assert_ne!(metric(&gateway, r#"parley_gateway_syncs_total{from="database"}"#).await, 0);
}
