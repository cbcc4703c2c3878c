//! Coming back with a token: out of memory, out of the database, and across gateways.

use std::time::Duration;

use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{
    client::{Client, texts},
    support::{World, world},
};

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_short_absence_is_served_from_memory() {
    let world = world();
    let ina = Client::open(world, "ina", "d").await;
    let mut jan = Client::open(world, "jan", "d").await;
    let ina = ina.leave().await;
    for n in 0..20 {
        jan.send_message("d.ina.jan", &format!("c-{n}"), &format!("m-{n}")).await;
    }
    jan.until_frame(|frame| frame["ref"] == "c-19").await;
    let (mut ina, frames) = ina.reconnect(world, "ina", "d").await;
    assert_eq!(kinds(&frames), ["ready", "caughtUp"]);
    let got = ina.until_frame(|frame| frame["event"]["version"] == 20).await;
    assert_eq!(texts(&got), (0..20).map(|n| format!("m-{n}")).collect::<Vec<_>>());
    // A sync of one's own, at any time.
    let token = ina.token.clone();
    ina.say(&json!({"type":"sync","ref":"s","since":token})).await;
    let frames = ina.until("caughtUp").await;
    assert_eq!(frames.last().unwrap()["ref"], "s");
}

#[tokio::test]
async fn a_long_absence_is_served_by_the_database_and_goes_on_live() {
    let database = TestPostgres::database().await;
    let small = [
        ("PARLEY_RING_BYTES", "65536"),
        ("PARLEY_SYNC_PAGE_MESSAGES", "50"),
        ("PARLEY_SOCKET_BURST_FRAMES", "100000"),
    ];
    let world = World::start_with(&database, &small).await;
    let kim = Client::open(&world, "kim", "d").await;
    let mut lea = Client::open(&world, "lea", "d").await;
    let (first_token, kim) = (kim.token.clone(), kim.leave().await);
    for n in 0..300 {
        let text = format!("{n} {}", "x".repeat(500));
        lea.send_message("d.kim.lea", &format!("c-{n}"), &text).await;
    }
    lea.until_frame(|frame| frame["ref"] == "c-299").await;

    let (mut kim, frames) = kim.reconnect(&world, "kim", "d").await;
    let pages: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "sync").collect();
    assert!(pages.len() > 1, "{:?}", kinds(&frames));
    let mut seqs: Vec<u64> = pages
        .iter()
        .flat_map(|page| page["conversations"].as_array().unwrap())
        .flat_map(|shown| shown["messages"].as_array().unwrap())
        .map(|message| message["conversationSeq"].as_u64().unwrap())
        .collect();
    while kim.known.get("d.kim.lea") != Some(&300) {
        let events = kim.until_message().await;
        seqs.push(events.last().unwrap()["event"]["data"]["conversationSeq"].as_u64().unwrap());
    }
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
    lea.send_message("d.kim.lea", "live", "live").await;
    let live = kim.until_frame(|frame| frame["event"]["version"] == 301).await;
    assert!(texts(&live).ends_with(&["live"]));

    // Once more, now that the views have it all: page by page. A page's own token, as of a device
    // that was cut in the middle, goes on behind that page.
    world.get_until("/v1/conversations/d.kim.lea", "kim", |shown| shown["version"] == 301).await;
    let mut first_seqs = Vec::new();
    kim.token = first_token.clone();
    for _ in 0..3 {
        let (client, frames) = kim.leave().await.reconnect(&world, "kim", "d").await;
        kim = client;
        let page = frames.iter().find(|frame| frame["type"] == "sync").unwrap();
        assert_eq!(page["more"], true);
        first_seqs.push(page["conversations"][0]["messages"][0]["conversationSeq"].clone());
        kim.token = page["token"].as_str().map(str::to_owned);
    }
    assert_eq!(first_seqs, [1, 51, 101]);
    // Of no use is a damaged one: everything again, from the first page on.
    let mut kim = kim.leave().await;
    kim.token = first_token.map(|token| format!("{token}x"));
    let (_kim, again) = kim.reconnect(&world, "kim", "d").await;
    assert_eq!(kinds(&again), ["ready", "sync", "caughtUp"]);
    assert_eq!(again[1]["conversations"][0]["conversation"]["lastSeq"], 301);
    assert_eq!(again[1]["conversations"][0]["messages"], json!([]));
}

#[tokio::test]
async fn a_token_of_one_gateway_is_good_at_another() {
    let world = world();
    let mia = Client::open(world, "mia", "d").await.leave().await;
    let mut ned = Client::open(world, "ned", "d").await;
    ned.send_message("d.mia.ned", "c-1", "hello").await;
    ned.until("message.ack").await;
    let other = world.another_gateway().await;
    let (mut mia, frames) = mia.reconnect(&other, "mia", "d").await;
    assert_eq!(kinds(&frames), ["ready", "caughtUp"]);
    assert_eq!(texts(&mia.until_message().await), ["hello"]);
    ned.send_message("d.mia.ned", "c-2", "live").await;
    assert_eq!(texts(&mia.until_message().await), ["live"]);
    other.shutdown().begin();
    assert_eq!(mia.closed().await, 4503);
    assert!(
        tokio::time::timeout(Duration::from_secs(20), other.shutdown().drained()).await.unwrap()
    );
}
