//! Devices on sockets: who hears of them, and who is cut off.

use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;

use crate::{
    client::{Client, Said, session},
    support::{ALLOWED_ORIGIN, World, token, world},
};

async fn unlink(world: &World, user: &str, device: &str) -> u64 {
    let authorization = format!("Bearer {}", token(user, Scope::User));
    let headers = [("authorization", authorization.as_str())];
    let answer = world.request("DELETE", &format!("/v1/devices/{device}"), &headers, "").await;
    answer.ok(200)["version"].as_u64().unwrap()
}

/// The close code of a socket that says hello with this token.
async fn greeted(world: &World, token: &str, device: &str) -> Said {
    let mut client = Client::connect(world, &[]).await;
    client.greet(token, device).await;
    client.next().await
}

#[tokio::test]
async fn an_unlinked_device_is_cut_off_at_every_gateway_and_the_others_are_told() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let other = world.another_gateway().await;
    let dead = session(&world, "abe", "phone").await;
    let mut here = Client::connect(&world, &[]).await;
    let mut there = Client::connect(&other, &[]).await;
    for phone in [&mut here, &mut there] {
        phone.greet(&dead, "phone").await;
        phone.until("caughtUp").await;
    }
    let mut laptop = Client::open(&other, "abe", "laptop").await;
    let mut bob = Client::open(&other, "ben", "phone").await;
    // With the marketplace's word it is the same device.
    let authorization = format!("Bearer {}", token("abe", Scope::User));
    let mut word = Client::connect(&other, &[("authorization", &authorization)]).await;
    word.say(&json!({"type":"hello","deviceId":"phone"})).await;
    word.until("caughtUp").await;

    assert_eq!(unlink(&world, "abe", "phone").await, 3);
    assert_eq!(here.closed().await, 4403);
    assert_eq!(there.closed().await, 4403);
    assert_eq!(word.closed().await, 4403);
    let frames = laptop.until_frame(|frame| frame["event"]["type"] == "device.unlinked").await;
    let event = &frames.last().unwrap()["event"];
    assert_eq!((&event["subject"], &event["version"]), (&json!("a.abe"), &json!(3)));
    assert_eq!(event["data"], json!({"deviceId": "phone"}));
    // Its session is dead.
    for gateway in [&world, &other] {
        assert_eq!(greeted(gateway, &dead, "phone").await, Said::Closed(4403));
        let cookie = format!("parley_session={dead}");
        let headers = [("cookie", cookie.as_str()), ("origin", ALLOWED_ORIGIN)];
        assert_eq!(Client::connect(gateway, &headers).await.closed().await, 4403);
        let authorization = format!("Bearer {dead}");
        let upgrade = [
            ("authorization", authorization.as_str()),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let answer = gateway.request("GET", "/v1/connect", &upgrade, "").await;
        answer.refused(401, "unauthenticated");
    }
    // Nobody else's is; and linked again, the device is welcome, but not its old session.
    bob.say(&json!({"type":"ping"})).await;
    bob.until("pong").await;
    let mut again = Client::open(&other, "abe", "phone").await;
    again.say(&json!({"type":"ping"})).await;
    again.until("pong").await;
    assert_eq!(greeted(&other, &dead, "phone").await, Said::Closed(4403));
    other.shutdown().begin();
    world.shutdown().begin();
}

#[tokio::test]
async fn a_device_syncs_its_account_and_then_hears_of_every_change() {
    let world = world();
    let mut first = Client::open(world, "cal", "one").await;
    let mut second = Client::open(world, "cal", "two").await;
    let two = |frame: &serde_json::Value| frame["event"]["data"]["deviceId"] == "two";
    let frames = first.until_frame(two).await;
    let event = &frames.last().unwrap()["event"];
    assert_eq!((&event["type"], &event["version"]), (&json!("device.registered"), &json!(2)));
    assert_eq!(event["data"], json!({"deviceId": "two", "platform": "test"}));
    // Away for a while: told out of the ring, in order.
    let first = first.leave().await;
    unlink(world, "cal", "two").await;
    assert_eq!(second.closed().await, 4403);
    let (mut first, _) = first.reconnect(world, "cal", "one").await;
    let gone = |frame: &serde_json::Value| frame["event"]["type"] == "device.unlinked";
    first.until_frame(gone).await;
    assert_eq!(first.known["account"], 3);
    // Or as a state, by whoever knows nothing.
    let shown = world.get_until("/v1/sync", "cal", |page| page["account"]["version"] == 3).await;
    assert_eq!(shown["account"]["devices"][0]["deviceId"], "one");
    assert_eq!(shown["account"]["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_postgres_devices_are_linked_and_cut_off() {
    let postgres = TestPostgres::dedicated().await;
    let world = World::start(&postgres.url()).await;
    let other = world.another_gateway().await;
    let mut dan = Client::open(&other, "dan", "phone").await;
    let dead = session(&world, "dan", "phone").await;
    postgres.kill9().await;
    // Of an account in memory, and of one that is not even in the log.
    for (user, device) in [("dan", "laptop"), ("eli", "phone")] {
        let token = session(&world, user, device).await;
        assert!(matches!(greeted(&world, &token, device).await, Said::Frame(_)));
        assert!(matches!(greeted(&other, &token, device).await, Said::Frame(_)));
    }
    unlink(&world, "dan", "phone").await;
    assert_eq!(dan.closed().await, 4403);
    for gateway in [&world, &other] {
        assert_eq!(greeted(gateway, &dead, "phone").await, Said::Closed(4403));
    }
    other.shutdown().begin();
    world.shutdown().begin();
}

#[tokio::test]
async fn whoever_was_let_in_without_postgres_is_cut_off_once_it_says_no() {
    let postgres = TestPostgres::dedicated().await;
    // What was before its start, a gateway then knows from the views only.
    let forgetful = [("PARLEY_RING_PRELOAD_EVENTS", "0")];
    let world = World::start_with(&postgres.url(), &forgetful).await;
    let dead = session(&world, "gil", "phone").await;
    let alive = session(&world, "gil", "laptop").await;
    unlink(&world, "gil", "phone").await;
    let none = |shown: &serde_json::Value| shown["devices"].as_array().unwrap().len() == 1;
    world.get_until("/v1/devices", "gil", none).await;
    postgres.kill9().await;
    let later = world.another_gateway().await;
    let mut wrong = Client::connect(&later, &[]).await;
    wrong.greet(&dead, "phone").await;
    wrong.until("ready").await;
    let mut right = Client::connect(&later, &[]).await;
    right.greet(&alive, "laptop").await;
    right.until("ready").await;
    postgres.restart().await;
    assert_eq!(wrong.closed().await, 4403);
    right.until("caughtUp").await;
    assert_eq!(greeted(&later, &dead, "phone").await, Said::Closed(4403));
    later.shutdown().begin();
    world.shutdown().begin();
}
