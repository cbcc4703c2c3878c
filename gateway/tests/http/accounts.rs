//! What people do with their own accounts over HTTP, each seen by the very next request.

use serde_json::{Value, json};

use crate::support::{World, world};

const NONE: Value = Value::Null;

async fn send(world: &World, user: &str, to: &str, name: &str) {
    let mut people = [user, to];
    people.sort_unstable();
    let path = format!("/v1/conversations/d.{}.{}/messages", people[0], people[1]);
    let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": "hello"}});
    world.post(&path, user, &body).await.ok(202);
}

fn ids(inbox: &Value) -> Vec<String> {
    let conversations = inbox["conversations"].as_array().unwrap();
    conversations.iter().map(|one| one["conversationId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn contacts_are_added_listed_and_removed() {
    let world = world();
    let one = "/v1/contacts/con_bob";
    world.get(one, "con_ann").await.refused(404, "not_found");
    assert_eq!(world.send("PUT", one, "con_ann", &NONE).await.ok(200), json!({"version": 1}));
    assert_eq!(world.send("PUT", one, "con_ann", &NONE).await.ok(200), json!({"version": 1}));
    let shown = world.get(one, "con_ann").await.ok(200);
    assert_eq!(shown["userId"], "con_bob");
    assert!(shown["addedAt"].as_str().unwrap().ends_with('Z'));
    let all = world.get("/v1/contacts", "con_ann").await.ok(200);
    assert_eq!(all, json!({"contacts": [shown]}));
    // They are nobody else's.
    assert_eq!(world.get("/v1/contacts", "con_bob").await.ok(200), json!({"contacts": []}));
    assert_eq!(world.send("DELETE", one, "con_ann", &NONE).await.ok(200), json!({"version": 2}));
    assert_eq!(world.send("DELETE", one, "con_ann", &NONE).await.ok(200), json!({"version": 2}));
    assert_eq!(world.get("/v1/contacts", "con_ann").await.ok(200), json!({"contacts": []}));
    let own = world.send("PUT", "/v1/contacts/con_ann", "con_ann", &NONE).await;
    own.refused(400, "invalid_id");
    world.send("PUT", "/v1/contacts/b.b", "con_ann", &NONE).await.refused(400, "invalid_id");
    world.send("PUT", one, "", &NONE).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_conversation_is_muted_for_a_time_or_for_good() {
    let world = world();
    let (path, mute) = ("/v1/conversations/d.mu_a.mu_b", "/v1/conversations/d.mu_a.mu_b/mute");
    send(world, "mu_a", "mu_b", "c").await;
    world.get_until(path, "mu_b", |summary| summary["lastSeq"] == 1).await;
    world.send("PUT", mute, "mu_b", &NONE).await.ok(200);
    let summary = world.get(path, "mu_b").await.ok(200);
    assert_eq!((&summary["muted"], summary.get("mutedUntil")), (&json!(true), None));
    // It is one's own view.
    assert_eq!(world.get(path, "mu_a").await.ok(200)["muted"], false);
    let until = json!({"until": "2999-01-01T00:00:00.000Z"});
    world.send("PUT", mute, "mu_b", &until).await.ok(200);
    assert_eq!(world.get(path, "mu_b").await.ok(200)["mutedUntil"], until["until"]);
    world.send("DELETE", mute, "mu_b", &NONE).await.ok(200);
    assert_eq!(world.get(path, "mu_b").await.ok(200)["muted"], false);
    let past = json!({"until": "2001-01-01T00:00:00.000Z"});
    world.send("PUT", mute, "mu_b", &past).await.refused(422, "invalid_body");
    let soon =
        parley_domain::Timestamp::from_unix_millis(crate::support::now().unix_millis() + 1_500);
    world.send("PUT", mute, "mu_b", &json!({"until": soon})).await.ok(200);
    assert_eq!(world.get(path, "mu_b").await.ok(200)["muted"], true);
    let over = world.get_until(path, "mu_b", |summary| summary["muted"] == false).await;
    assert!(over.get("mutedUntil").is_none());
    assert!(crate::support::now() >= soon);
}

#[tokio::test]
async fn pinned_come_first_and_archived_come_back_with_a_message() {
    let world = world();
    for other in ["pa_b", "pa_c", "pa_d"] {
        send(world, other, "pa_a", "c-1").await;
        let id = format!("/v1/conversations/d.pa_a.{other}");
        world.get_until(&id, "pa_a", |summary| summary["lastSeq"] == 1).await;
    }
    let inbox = async |filter: &str| {
        ids(&world.get(&format!("/v1/conversations?filter={filter}"), "pa_a").await.ok(200))
    };
    let of = |other: &str, what: &str| format!("/v1/conversations/d.pa_a.{other}/{what}");
    world.send("PUT", &of("pa_b", "pin"), "pa_a", &NONE).await.ok(200);
    assert_eq!(inbox("all").await, ["d.pa_a.pa_b", "d.pa_a.pa_d", "d.pa_a.pa_c"]);
    world.send("DELETE", &of("pa_b", "pin"), "pa_a", &NONE).await.ok(200);
    assert_eq!(inbox("all").await, ["d.pa_a.pa_d", "d.pa_a.pa_c", "d.pa_a.pa_b"]);

    // At once behind a message of one's own.
    send(world, "pa_a", "pa_c", "c-2").await;
    world.send("PUT", &of("pa_c", "archive"), "pa_a", &NONE).await.ok(200);
    assert_eq!(inbox("archived").await, ["d.pa_a.pa_c"]);
    assert_eq!(inbox("all").await, ["d.pa_a.pa_d", "d.pa_a.pa_b"]);
    world.send("DELETE", &of("pa_c", "archive"), "pa_a", &NONE).await.ok(200);
    assert_eq!(inbox("archived").await, [""; 0]);
    world.send("PUT", &of("pa_d", "archive"), "pa_a", &NONE).await.ok(200);
    assert_eq!(inbox("archived").await, ["d.pa_a.pa_d"]);
    send(world, "pa_d", "pa_a", "c-2").await;
    let back = |page: &Value| ids(page).first().is_some_and(|id| id == "d.pa_a.pa_d");
    world.get_until("/v1/conversations", "pa_a", back).await;
    assert_eq!(inbox("archived").await, [""; 0]);
}

#[tokio::test]
async fn the_last_draft_by_the_devices_clocks_is_the_draft() {
    let world = world();
    let (path, draft) = ("/v1/conversations/d.dr_a.dr_b", "/v1/conversations/d.dr_a.dr_b/draft");
    let shown = async || world.get(path, "dr_a").await.ok(200).get("draft").cloned();
    let save = async |text: &str, second: u8| {
        let body = json!({"text": text, "savedAt": format!("2026-01-01T00:00:{second:02}.000Z")});
        world.send("PUT", draft, "dr_a", &body).await.ok(200)["version"].as_u64().unwrap()
    };
    assert_eq!(save("later", 20).await, 1);
    assert_eq!(save("earlier", 10).await, 1);
    assert_eq!(shown().await, Some(json!("later")));
    let cleared = json!({"savedAt": "2026-01-01T00:00:15.000Z"});
    world.send("DELETE", draft, "dr_a", &cleared).await.ok(200);
    assert_eq!(shown().await, Some(json!("later")));
    world.send("DELETE", draft, "dr_a", &NONE).await.ok(200);
    assert_eq!(shown().await, None);
    assert_eq!(save("before the clearing", 30).await, 2);
    assert_eq!(shown().await, None);
    world.send("PUT", draft, "dr_a", &json!({"text": "new"})).await.ok(200);
    assert_eq!(shown().await, Some(json!("new")));
    world.send("PUT", draft, "dr_a", &json!({"text": ""})).await.ok(200);
    assert_eq!(shown().await, None);
    let long = json!({"text": "x".repeat(4_097)});
    world.send("PUT", draft, "dr_a", &long).await.refused(422, "invalid_body");
    world.send("PUT", draft, "dr_a", &NONE).await.refused(415, "unsupported_media_type");
    world.send("PUT", draft, "dr_a", &json!({})).await.refused(400, "invalid_body");
}

#[tokio::test]
async fn settings_are_read_as_they_were_set() {
    let world = world();
    let defaults = world.get("/v1/settings", "set_a").await.ok(200);
    assert_eq!(defaults["presenceVisibility"], "everyone");
    let mut wanted = defaults.clone();
    wanted["readReceipts"] = json!(false);
    wanted["quietHours"] = json!({"from": "22:00", "to": "07:00"});
    wanted["timeZone"] = json!("Europe/Berlin");
    wanted["notifications"]["conversations"] = json!({"d.a.b": {"email": false}});
    let set = world.send("PUT", "/v1/settings", "set_a", &wanted).await.ok(200);
    assert_eq!(set["version"], 1);
    assert_eq!(world.get("/v1/settings", "set_a").await.ok(200), wanted);
    assert_eq!(world.get("/v1/settings", "set_b").await.ok(200), defaults);
    for (wrong, status) in [
        (json!({"timeZone": "Mars/Base"}), 422),
        (json!({"locale": "?"}), 422),
        (json!({"quietHours": {"from": "25:00", "to": "07:00"}}), 422),
        (json!({"presenceVisibility": "friends"}), 400),
        (json!({"readReceipts": "no"}), 400),
        (json!({"notifications": {"conversations": {"x": {}}}}), 400),
    ] {
        let answer = world.send("PUT", "/v1/settings", "set_a", &wrong).await;
        answer.refused(status, "invalid_body");
    }
    assert_eq!(world.get("/v1/settings", "set_a").await.ok(200), wanted);
    world.send("PUT", "/v1/settings", "set_a", &json!({})).await.ok(200);
    assert_eq!(world.get("/v1/settings", "set_a").await.ok(200), defaults);
}

#[tokio::test]
async fn endpoints_are_added_shown_and_removed_by_their_owner() {
    let world = world();
    const ALL: &str = "/v1/notification-endpoints";
    let email = json!({"channel": "email", "address": "ann@example.com"});
    let added = world.post(ALL, "end_a", &email).await.ok(201);
    // Where nothing is really sent, nothing can be verified.
    assert_eq!(added["state"], "verified");
    assert_eq!(world.post(ALL, "end_a", &email).await.ok(201), added);
    let keys = json!({"p256dh": "B".repeat(87), "auth": "a".repeat(22)});
    let subscription = json!({"endpoint": "https://push.example.com/x", "keys": keys});
    let push = json!({"channel": "webpush", "subscription": subscription});
    world.post(ALL, "end_a", &push).await.ok(201);
    let shown = world.get(ALL, "end_a").await.ok(200);
    assert_eq!(shown["endpoints"][0]["address"], "ann@example.com");
    assert_eq!(shown["endpoints"][0]["endpointId"], added["endpointId"]);
    assert_eq!(shown["endpoints"][1]["address"], subscription);
    assert!(shown.get("vapidPublicKey").is_none());
    let one = format!("{ALL}/{}", added["endpointId"].as_str().unwrap());
    world.send("DELETE", &one, "end_b", &NONE).await.refused(404, "not_found");
    world.send("DELETE", &one, "end_a", &NONE).await.ok(200);
    world.send("DELETE", &one, "end_a", &NONE).await.refused(404, "not_found");
    let shown = world.get(ALL, "end_a").await.ok(200);
    assert_eq!(shown["endpoints"].as_array().unwrap().len(), 1);
    for (wrong, status) in [
        (json!({"channel": "email", "address": "nowhere"}), 422),
        (json!({"channel": "sms", "address": "0151 123"}), 422),
        (json!({"channel": "webhook", "address": "http://x.example"}), 422),
        (json!({"channel": "webpush", "address": "https://x.example"}), 400),
        (json!({"channel": "pigeon", "address": "x"}), 400),
    ] {
        world.post(ALL, "end_a", &wrong).await.refused(status, "invalid_body");
    }
    world.send("DELETE", &format!("{ALL}/x"), "end_a", &NONE).await.refused(400, "invalid_id");
}

#[tokio::test]
async fn another_persons_conversation_does_not_exist() {
    let world = world();
    for what in ["mute", "pin", "archive", "draft"] {
        let path = format!("/v1/conversations/d.bob.carol/{what}");
        for method in ["PUT", "DELETE"] {
            let body = if (method, what) == ("PUT", "draft") { json!({"text": "x"}) } else { NONE };
            world.send(method, &path, "eve", &body).await.refused(404, "not_found");
        }
    }
}
