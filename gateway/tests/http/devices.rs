//! Devices over HTTP: listed, unlinked, and what becomes of their sessions.

use std::time::Duration;

use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::support::{ALLOWED_ORIGIN, Answer, World, world};

const BOOTSTRAP: &str = "/v1/sessions/bootstrap";
const DEVICES: &str = "/v1/devices";
const SOON: Duration = Duration::from_secs(10);

async fn session(world: &World, user: &str, device: &str) -> String {
    let body = json!({"deviceId": device, "platform": "web"});
    let answer = world.post(BOOTSTRAP, user, &body).await.ok(200);
    answer["sessionToken"].as_str().unwrap().to_owned()
}

async fn by_token(world: &World, method: &str, path: &str, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    world.request(method, path, &[("authorization", &authorization)], "").await
}

fn names(answer: &Value) -> Vec<&str> {
    let devices = answer["devices"].as_array().unwrap();
    devices.iter().map(|device| device["deviceId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_user_lists_and_unlinks_devices() {
    let world = world();
    let phone = session(world, "dev_ann", "phone").await;
    session(world, "dev_ann", "laptop").await;
    session(world, "dev_bob", "phone").await;
    // What was just done is seen at once.
    let listed = by_token(world, "GET", DEVICES, &phone).await.ok(200);
    assert_eq!(names(&listed), ["laptop", "phone"]);
    let shown = &listed["devices"][1];
    assert_eq!((&shown["platform"], &shown["current"]), (&json!("web"), &json!(true)));
    assert!(shown["registeredAt"].as_str().unwrap().ends_with('Z'));
    assert!(listed["devices"][0].get("current").is_none());

    let laptop = format!("{DEVICES}/laptop");
    assert_eq!(by_token(world, "DELETE", &laptop, &phone).await.ok(200), json!({"version": 3}));
    assert_eq!(names(&by_token(world, "GET", DEVICES, &phone).await.ok(200)), ["phone"]);
    // Again is no other event.
    assert_eq!(by_token(world, "DELETE", &laptop, &phone).await.ok(200), json!({"version": 3}));
    let unknown = format!("{DEVICES}/tablet");
    by_token(world, "DELETE", &unknown, &phone).await.refused(404, "not_found");
    let wrong = format!("{DEVICES}/a.b");
    by_token(world, "DELETE", &wrong, &phone).await.refused(400, "invalid_id");
    world.request("DELETE", &laptop, &[], "").await.refused(401, "unauthenticated");
    // Another person's phone is another device.
    assert_eq!(names(&world.get(DEVICES, "dev_bob").await.ok(200)), ["phone"]);
    assert_eq!(names(&world.get(DEVICES, "dev_nobody").await.ok(200)), [""; 0]);
}

#[tokio::test]
async fn an_unlinked_devices_session_is_dead_at_every_gateway() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let other = world.another_gateway().await;
    let dead = session(&world, "fay", "phone").await;
    let alive = session(&world, "fay", "laptop").await;
    for gateway in [&world, &other] {
        by_token(gateway, "GET", "/v1/conversations", &dead).await.ok(200);
    }
    let first = by_token(&other, "GET", "/v1/sync", &dead).await.ok(200);
    let poll = format!("/v1/sync?wait=30&since={}", first["token"].as_str().unwrap());
    let phone = format!("{DEVICES}/phone");
    let (waited, unlinked) = tokio::join!(
        by_token(&other, "GET", &poll, &dead),
        by_token(&world, "DELETE", &phone, &dead)
    );
    // A device may unlink itself: that is how it signs out.
    unlinked.ok(200);
    // Told of it, or cut off by it.
    assert!([200, 401].contains(&waited.status), "{waited:?}");
    by_token(&world, "GET", "/v1/conversations", &dead).await.refused(401, "unauthenticated");
    let refused = |answer: &Answer| answer.status == 401;
    let ask = || by_token(&other, "GET", "/v1/conversations", &dead);
    other.until(SOON, ask, refused).await;

    for gateway in [&world, &other] {
        for path in ["/v1/sync", "/v1/stream", DEVICES, "/v1/conversations/d.fay.gus/messages"] {
            by_token(gateway, "GET", path, &dead).await.refused(401, "unauthenticated");
        }
        by_token(gateway, "DELETE", &phone, &dead).await.refused(401, "unauthenticated");
        // Not even to link itself again: that takes the marketplace's word.
        let authorization = format!("Bearer {dead}");
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let renewal = r#"{"deviceId":"phone","platform":"web"}"#;
        let renewed = gateway.request("POST", BOOTSTRAP, &headers, renewal).await;
        renewed.refused(401, "unauthenticated");
        let cookie = format!("parley_session={dead}");
        let headers = [("cookie", cookie.as_str()), ("origin", ALLOWED_ORIGIN)];
        let answer = gateway.request("GET", "/v1/conversations", &headers, "").await;
        answer.refused(401, "unauthenticated");
        by_token(gateway, "GET", "/v1/conversations", &alive).await.ok(200);
    }

    let again = session(&other, "fay", "phone").await;
    for gateway in [&world, &other] {
        by_token(gateway, "GET", "/v1/conversations", &again).await.ok(200);
        by_token(gateway, "GET", "/v1/conversations", &dead).await.refused(401, "unauthenticated");
    }
    other.shutdown().begin();
    world.shutdown().begin();
}

#[tokio::test]
async fn a_gateway_that_has_not_seen_the_unlink_asks_the_views() {
    let database = TestPostgres::database().await;
    let forgetful = [("PARLEY_RING_PRELOAD_EVENTS", "0"), ("PARLEY_DEVICES_REMEMBERED", "1")];
    let world = World::start_with(&database, &forgetful).await;
    let dead = session(&world, "hal", "phone").await;
    let alive = session(&world, "hal", "laptop").await;
    world
        .request("GET", DEVICES, &[("authorization", &format!("Bearer {dead}"))], "")
        .await
        .ok(200);
    by_token(&world, "DELETE", &format!("{DEVICES}/phone"), &alive).await.ok(200);
    world.get_until(DEVICES, "hal", |shown| names(shown) == ["laptop"]).await;
    let later = world.another_gateway().await;
    for gateway in [&later, &world] {
        by_token(gateway, "GET", DEVICES, &dead).await.refused(401, "unauthenticated");
        by_token(gateway, "GET", DEVICES, &alive).await.ok(200);
        by_token(gateway, "GET", DEVICES, &dead).await.refused(401, "unauthenticated");
    }
    later.shutdown().begin();
    world.shutdown().begin();
}
