//! With a server down, what can go on goes on, and nothing is lost.

use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;

use crate::{
    client::{Client, session, texts},
    support::World,
};

#[tokio::test]
async fn without_postgres_recent_tokens_and_commands_are_served() {
    let postgres = TestPostgres::dedicated().await;
    let world = World::start(&postgres.url()).await;
    let uma = Client::open(&world, "uma", "d").await;
    let mut vic = Client::open(&world, "vic", "d").await;
    vic.send_message("d.uma.vic", "c-1", "one").await;
    vic.until("message.ack").await;
    postgres.kill9().await;

    let (mut uma, _) = uma.leave().await.reconnect(&world, "uma", "d").await;
    assert_eq!(texts(&uma.until_message().await), ["one"]);
    vic.send_message("d.uma.vic", "c-2", "two").await;
    assert_eq!(texts(&uma.until_message().await), ["two"]);

    // A new device gets its state once the database is back; until then it can send.
    let mut new = Client::connect(&world, &[]).await;
    let token = session(&world, "uma", "new").await;
    new.say(&json!({"type":"hello","sessionToken":token,"deviceId":"new"})).await;
    new.until("ready").await;
    new.send_message("d.uma.vic", "c-3", "three").await;
    let frames = new.until("message.ack").await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(texts(&uma.until_message().await), ["three"]);
    postgres.restart().await;
    new.until("caughtUp").await;
    while new.known.get("d.uma.vic") != Some(&3) {
        new.next().await;
    }
    world.shutdown().begin();
}

#[tokio::test]
async fn a_nats_server_that_was_killed_costs_no_event() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let mut wim = Client::open(&world, "wim", "d").await;
    let mut xia = Client::open(&world, "xia", "d").await;
    for round in 0..3 {
        for n in 0..20 {
            xia.send_message("d.wim.xia", &format!("c-{round}-{n}"), "text").await;
        }
        world.nats().kill9().await;
        world.nats().restart().await;
        // Acknowledged or refused as unavailable, which a client sends again.
        let mut open: Vec<String> = (0..20).map(|n| format!("c-{round}-{n}")).collect();
        while let Some(name) = open.first().cloned() {
            let frames = xia.until_frame(|frame| frame["ref"].is_string()).await;
            let answer = frames.last().unwrap();
            if answer["type"] == "message.ack" {
                open.retain(|name| answer["ref"] != name.as_str());
            } else {
                assert_eq!(answer["code"], "unavailable");
                xia.send_message("d.wim.xia", &name, "text").await;
            }
        }
    }
    while wim.known.get("d.wim.xia") != Some(&60) {
        wim.until_message().await;
    }
    world.shutdown().begin();
}
