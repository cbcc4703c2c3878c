//! Catching up and listening by HTTP: pages, the long poll, Server-Sent Events.

use std::time::Duration;

use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use crate::support::{World, token, world};

fn text(id: &str) -> serde_json::Value {
    json!({"clientMessageId": id, "body": {"kind": "text", "text": id}})
}

#[tokio::test]
async fn a_token_gives_what_came_after_it() {
    let world = world();
    let path = "/v1/conversations/d.sync_a.sync_b/messages";
    let first = world.get("/v1/sync", "sync_a").await.ok(200);
    assert_eq!((&first["more"], &first["conversations"]), (&json!(false), &json!([])));
    let account = &first["account"];
    assert_eq!((&account["version"], &account["devices"]), (&json!(0), &json!([])));
    assert_eq!((&account["marks"], &account["settings"]["locale"]), (&json!([]), &json!("en")));
    let since = |answer: &serde_json::Value| {
        format!("/v1/sync?wait=30&since={}", answer["token"].as_str().unwrap())
    };
    let (poll, message) = (since(&first), text("c-1"));
    let (answer, sent) =
        tokio::join!(world.get(&poll, "sync_a"), world.post(path, "sync_b", &message));
    sent.ok(202);
    let answer = answer.ok(200);
    let changed = &answer["conversations"][0];
    assert_eq!(changed["conversation"]["lastSeq"], 1);
    assert_eq!(changed["messages"][0]["body"]["text"], "c-1");
    let nothing = since(&answer).replace("wait=30", "wait=0");
    assert_eq!(world.get(&nothing, "sync_a").await.ok(200)["conversations"], json!([]));
    // What is no token gives everything again.
    let again = world.get("/v1/sync?since=x", "sync_a").await.ok(200);
    assert_eq!(again["conversations"][0]["messages"], json!([]));
    for bad in ["limit=0", "limit=x", "wait=-1", "wait=x"] {
        world.get(&format!("/v1/sync?{bad}"), "sync_a").await.refused(400, "invalid_body");
    }
    world.get("/v1/sync", "").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_poll_outlasts_the_time_of_other_requests_but_not_a_drain() {
    let database = TestPostgres::database().await;
    let limit = [("PARLEY_REQUEST_TIMEOUT_MILLIS", "500")];
    let world = World::start_with(&database, &limit).await;
    let token = world.get("/v1/sync", "wait_a").await.ok(200)["token"].clone();
    let poll = |wait: u64| format!("/v1/sync?wait={wait}&since={}", token.as_str().unwrap());
    let started = Instant::now();
    world.get(&poll(1), "wait_a").await.ok(200);
    assert!(started.elapsed() >= Duration::from_secs(1));

    let path = poll(30);
    let waiting = world.get(&path, "wait_a");
    let drain = async {
        // It has arrived for sure once somebody who came later has waited a second.
        world.get(&poll(1), "wait_b").await.ok(200);
        world.shutdown().begin();
    };
    let (answer, ()) = tokio::join!(waiting, drain);
    answer.ok(200);
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// A stream of events, read line by line.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(world: &World, user: &str, since: &str) -> Self {
        let mut stream = TcpStream::connect(world.address()).await.unwrap();
        let bearer = token(user, Scope::User);
        let request = format!(
            "GET /v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n\
             last-event-id: {since}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// The data and the id of the next event of this type.
    async fn next(&mut self, kind: &str) -> (serde_json::Value, Option<String>) {
        let (mut is_it, mut id) = (false, None);
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line);
            let read = tokio::time::timeout(Duration::from_secs(10), read).await;
            assert!(read.unwrap().unwrap() > 0, "the stream ended before {kind}");
            match line.trim_end().split_once(": ") {
                Some(("event", found)) => (is_it, id) = (found == kind, None),
                Some(("id", token)) => id = Some(token.to_owned()),
                Some(("data", data)) if is_it => return (serde_json::from_str(data).unwrap(), id),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn who_only_listens_hears_everything_and_goes_on_where_they_were() {
    let world = world();
    let path = "/v1/conversations/d.sse_a.sse_b/messages";
    let mut events = Events::open(world, "sse_a", "").await;
    let (_, id) = events.next("caughtUp").await;
    world.post(path, "sse_b", &text("c-1")).await.ok(202);
    let (frame, _) = events.next("event").await;
    assert_eq!(frame["event"]["data"]["body"]["text"], "c-1");
    drop(events);
    world.post(path, "sse_b", &text("c-2")).await.ok(202);
    let mut events = Events::open(world, "sse_a", &id.unwrap()).await;
    for expected in ["c-1", "c-2"] {
        let (frame, _) = events.next("event").await;
        assert_eq!(frame["event"]["data"]["body"]["text"], expected);
    }
    world.get("/v1/stream", "").await.refused(401, "unauthenticated");
}
