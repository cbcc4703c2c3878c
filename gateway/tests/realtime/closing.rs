//! Every way in which the server ends a connection, and that nothing brings it down.

use parley_runtime::engines::testing::TestPostgres;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Client, session},
    support::{World, world},
};

#[tokio::test]
async fn what_is_not_of_the_contract_is_closed_by_its_code() {
    let world = world();
    for (message, code) in [
        (Message::text("hi"), 4400),
        (Message::text("[]"), 4400),
        (Message::text(r#"{"type":"teleport"}"#), 4400),
        (Message::text(r#"{"type":"hello","deviceId":"d"}"#), 4400),
        (Message::binary(vec![1, 2, 3]), 4400),
        (Message::text("x".repeat(65_537)), 4413),
        (Message::text("x".repeat(200_000)), 4413),
        (Message::text("x".repeat(1_000_000)), 4413),
    ] {
        let mut client = Client::open(world, "olaf", "d").await;
        client.raw(message).await;
        assert_eq!(client.closed().await, code);
    }
    let mut flood = Client::open(world, "olaf", "d").await;
    for _ in 0..20_000 {
        flood.say(&json!({"type":"ping"})).await;
    }
    assert_eq!(flood.closed().await, 4429);
}

#[tokio::test]
async fn who_says_nothing_is_shut_out() {
    let database = TestPostgres::database().await;
    let hasty = [("PARLEY_HELLO_TIMEOUT_MILLIS", "100"), ("PARLEY_HEARTBEAT_SECONDS", "1")];
    let world = World::start_with(&database, &hasty).await;
    assert_eq!(Client::connect(&world, &[]).await.closed().await, 4401);
    let mut early = Client::connect(&world, &[]).await;
    early.say(&json!({"type":"ping"})).await;
    assert_eq!(early.closed().await, 4401);
    let mut silent = Client::open(&world, "paul", "d").await;
    assert_eq!(silent.closed().await, 4408);
}

#[tokio::test]
async fn too_many_messages_are_refused_and_the_socket_stays() {
    let database = TestPostgres::database().await;
    let world = World::start_with(&database, &[("PARLEY_RATE_MESSAGES_PER_MINUTE", "20")]).await;
    let mut client = Client::open(&world, "hasty", "d").await;
    let mut accepted = Vec::new();
    for n in 0..30 {
        client.send_message("d.hasty.olaf", &format!("c-{n}"), "hello").await;
        let r#ref = format!("c-{n}");
        let frames = client.until_frame(|frame| frame["ref"] == r#ref.as_str()).await;
        let answer = frames.last().unwrap();
        match answer["type"].as_str() {
            Some("message.ack") => accepted.push(n),
            _ => {
                assert_eq!(answer["code"], "rate_limited", "{answer}");
                assert!(answer["retryAfterMs"].as_u64().unwrap() > 0, "{answer}");
            }
        }
    }
    assert_eq!(accepted, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slow_reader_is_let_go_and_loses_nothing() {
    let database = TestPostgres::database().await;
    let tight = [
        ("PARLEY_SOCKET_OUTBOUND_BYTES", "65536"),
        ("PARLEY_RING_BYTES", "1048576"),
        ("PARLEY_SOCKET_BURST_FRAMES", "100000"),
        // It is let go for what waits, however slow this machine is.
        ("PARLEY_SOCKET_WRITE_TIMEOUT_MILLIS", "120000"),
    ];
    let world = World::start_with(&database, &tight).await;
    let mut slow = Client::connect_with(&world, &[], Some(4_096)).await;
    slow.hello(&world, "quin", "d").await;
    let mut rosa = Client::open(&world, "rosa", "d").await;
    let text = "x".repeat(4_000);
    let total = 2_000;
    for n in 0..total {
        rosa.send_message("d.quin.rosa", &format!("c-{n}"), &text).await;
        if n % 8 == 7 {
            let r#ref = format!("c-{n}");
            rosa.until_frame(|frame| frame["ref"] == r#ref.as_str()).await;
        }
    }
    assert_eq!(slow.closed().await, 4409);
    let known = slow.known.get("d.quin.rosa").copied().unwrap_or_default();
    assert!(known < total, "{known} of {total} had room in the buffers of the system");
    let (mut back, _) = slow.reconnect(&world, "quin", "d").await;
    while back.known.get("d.quin.rosa") != Some(&total) {
        back.next().await;
    }
}

#[tokio::test]
async fn nothing_that_is_sent_brings_it_down() {
    let world = world();
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    let token = session(world, "sven", "d").await;
    for round in 0..60 {
        let mut client = Client::connect(world, &[]).await;
        if round % 2 == 0 {
            client.say(&json!({"type":"hello","sessionToken":token,"deviceId":"d"})).await;
        }
        for _ in 0..rng.random_range(1..6) {
            let bytes: Vec<u8> = (0..rng.random_range(0..300)).map(|_| rng.random()).collect();
            let message = match rng.random_range(0..5) {
                0 => Message::binary(bytes),
                1 => Message::Ping(bytes[..bytes.len().min(100)].to_vec().into()),
                2 => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
                3 => Message::text(r#"{"type":"sync","ref":"r"}"#),
                _ => Message::text(
                    json!({"type":"message.send","ref":String::from_utf8_lossy(&bytes),"body":7})
                        .to_string(),
                ),
            };
            client.raw(message).await;
        }
        if rng.random() {
            // Cut without a word.
            drop(client);
        } else {
            client.raw(Message::Close(None)).await;
        }
    }
    let mut sven = Client::open(world, "sven", "d").await;
    sven.send_message("d.sven.tina", &format!("seed-{seed}"), "still here").await;
    sven.until("message.ack").await;
}
