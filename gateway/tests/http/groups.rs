//! Groups, channels and blocking, as clients see them.

use serde_json::{Value, json};

use crate::support::{World, world};

fn text(id: &str, text: &str) -> Value {
    json!({"clientMessageId": id, "body": {"kind": "text", "text": text}})
}

async fn create(world: &World, kind: &str, owner: &str, members: &[&str]) -> String {
    let body = json!({"kind": kind, "title": "Flea market", "memberIds": members});
    let created = world.post("/v1/conversations", owner, &body).await.ok(201);
    format!("/v1/conversations/{}", created["conversationId"].as_str().unwrap())
}

fn seqs(page: &Value) -> Vec<u64> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["conversationSeq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_group_lives() {
    let world = world();
    let path = create(world, "group", "grp_olga", &["grp_mia", "grp_adam", "grp_mia"]).await;
    let messages = format!("{path}/messages");
    let member = |name: &str| format!("{path}/members/{name}");
    world.post(&messages, "grp_mia", &text("1", "one")).await.ok(202);
    let admin = json!({"role": "admin"});
    world.send("PUT", &member("grp_adam"), "grp_olga", &admin).await.ok(200);
    world.send("PUT", &member("grp_joe"), "grp_adam", &json!({})).await.ok(200);
    world.post(&messages, "grp_joe", &text("1", "two")).await.ok(202);
    let summary = world.get_until(&path, "grp_joe", |summary| summary["lastSeq"] == 2).await;
    assert_eq!((&summary["title"], &summary["memberCount"]), (&json!("Flea market"), &json!(4)));
    assert_eq!(
        summary["members"],
        json!([
            {"userId": "grp_adam", "role": "admin"}, {"userId": "grp_joe", "role": "member"},
            {"userId": "grp_mia", "role": "member"}, {"userId": "grp_olga", "role": "owner"}
        ])
    );
    assert_eq!((&summary["unread"], &summary["canSend"]), (&json!(0), &json!(true)));
    assert_eq!(seqs(&world.get(&messages, "grp_joe").await.ok(200)), [2]);
    assert_eq!(seqs(&world.get(&messages, "grp_mia").await.ok(200)), [1, 2]);
    world
        .send("PUT", &format!("{path}/title"), "grp_mia", &json!({"title": "Mine"}))
        .await
        .refused(403, "forbidden");
    let title = json!({"title": "  Saturday market "});
    world.send("PUT", &format!("{path}/title"), "grp_adam", &title).await.ok(200);
    let renamed = |summary: &Value| summary["title"] == "Saturday market";
    world.get_until(&path, "grp_mia", renamed).await;

    let read = json!({"readThroughSeq": 2});
    world.post(&format!("{path}/read-cursors"), "grp_mia", &read).await.ok(200);
    let by_mia = |shown: &Value| shown["readBy"] == json!([{"userId": "grp_mia"}]);
    let shown = world.get_until(&format!("{path}/receipts/2"), "grp_joe", by_mia).await;
    assert_eq!(shown["members"], 4);

    // Ownership passes on, and who left keeps what they saw, and no more.
    world.send("DELETE", &member("grp_joe"), "grp_adam", &Value::Null).await.ok(200);
    let left = world.send("DELETE", &member("grp_olga"), "grp_olga", &Value::Null).await.ok(200);
    let again = world.send("DELETE", &member("grp_olga"), "grp_olga", &Value::Null).await.ok(200);
    assert_eq!(left, again);
    world.post(&messages, "grp_joe", &text("2", "three")).await.refused(404, "not_found");
    world.post(&messages, "grp_mia", &text("2", "three")).await.ok(202);
    let summary = world.get_until(&path, "grp_mia", |summary| summary["lastSeq"] == 3).await;
    assert_eq!(summary["members"][0], json!({"userId": "grp_adam", "role": "owner"}));
    assert_eq!(seqs(&world.get(&messages, "grp_joe").await.ok(200)), [2]);
    let frozen = world.get(&path, "grp_joe").await.ok(200);
    assert_eq!((&frozen["lastSeq"], &frozen["canSend"]), (&json!(2), &json!(false)));
    assert!(frozen.get("members").is_none());
    world
        .send("DELETE", &member("grp_nobody"), "grp_adam", &Value::Null)
        .await
        .refused(404, "not_member");
}

#[tokio::test]
async fn a_retry_under_the_clients_own_id_is_the_same_conversation() {
    let world = world();
    let id = "g.0193e5a0-7b1c-7def-8123-4567000000a1";
    let body = json!({"conversationId": id, "kind": "group", "title": "Twice"});
    let path = "/v1/conversations";
    assert_eq!(world.post(path, "crt_a", &body).await.ok(201), json!({"conversationId": id}));
    assert_eq!(world.post(path, "crt_a", &body).await.ok(200), json!({"conversationId": id}));
    world.post(path, "crt_eve", &body).await.refused(404, "not_found");
    for (bad, status, code) in [
        (json!({"kind": "direct", "title": "x"}), 422, "invalid_body"),
        (json!({"kind": "group", "title": " "}), 422, "invalid_body"),
        (json!({"kind": "group", "title": "x".repeat(129)}), 422, "invalid_body"),
        (json!({"kind": "group"}), 400, "invalid_body"),
        (json!({"kind": "crowd", "title": "x"}), 400, "invalid_body"),
        (json!({"kind": "group", "title": "x", "memberIds": ["a.b"]}), 400, "invalid_id"),
        (json!({"kind": "channel", "title": "x", "conversationId": id}), 400, "invalid_id"),
        (
            json!({"kind": "group", "title": "x",
                "conversationId": "g.0193e5a0-7b1c-4def-8123-456700000000"}),
            400,
            "invalid_id",
        ),
    ] {
        world.post(path, "crt_a", &bad).await.refused(status, code);
    }
}

#[tokio::test]
async fn the_501st_member_is_refused() {
    let world = world();
    let names: Vec<String> = (1..500).map(|n| format!("full_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let path = create(world, "group", "full_olga", &names).await;
    let one_more = format!("{path}/members/full_500");
    let put = async || world.send("PUT", &one_more, "full_olga", &json!({})).await;
    put().await.refused(409, "group_full");
    world
        .send("DELETE", &format!("{path}/members/full_1"), "full_olga", &Value::Null)
        .await
        .ok(200);
    put().await.ok(200);
    let mut many = json!({"kind": "group", "title": "x", "memberIds": names});
    many["memberIds"].as_array_mut().unwrap().push(json!("full_500"));
    world.post("/v1/conversations", "full_olga", &many).await.refused(409, "group_full");
}

#[tokio::test]
async fn a_channel_is_joined_read_and_left_by_anybody() {
    let world = world();
    let path = create(world, "channel", "chn_olga", &[]).await;
    let messages = format!("{path}/messages");
    world.post(&messages, "chn_olga", &text("1", "before")).await.ok(202);
    let myself = format!("{path}/members/chn_rea");
    let joined = world.send("PUT", &myself, "chn_rea", &json!({})).await.ok(200);
    assert_eq!(world.send("PUT", &myself, "chn_rea", &json!({})).await.ok(200), joined);
    world.post(&messages, "chn_rea", &text("1", "me too")).await.refused(403, "forbidden");
    for n in 2..=4 {
        world.post(&messages, "chn_olga", &text(&n.to_string(), "news")).await.ok(202);
    }
    let summary = world.get_until(&path, "chn_rea", |summary| summary["lastSeq"] == 4).await;
    assert_eq!((&summary["unread"], &summary["canSend"]), (&json!(3), &json!(false)));
    assert_eq!(summary["members"], json!([{"userId": "chn_olga", "role": "owner"}]));
    assert_eq!(seqs(&world.get(&messages, "chn_rea").await.ok(200)), [2, 3, 4]);

    let cursor = format!("{path}/read-cursors");
    let read =
        async |seq: u64| world.post(&cursor, "chn_rea", &json!({"readThroughSeq": seq})).await;
    assert_eq!(read(3).await.ok(200), json!({"readSeq": 3}));
    assert_eq!(read(2).await.ok(200), json!({"readSeq": 3}), "never back");
    read(5).await.refused(422, "beyond_last_message");
    let shown = world.get_until(&path, "chn_rea", |summary| summary["readSeq"] == 3).await;
    assert_eq!(shown["unread"], 1);
    // Nothing of it is in the channel's log.
    assert_eq!(shown["version"], summary["version"]);
    world.send("DELETE", &myself, "chn_rea", &Value::Null).await.ok(200);
    read(4).await.refused(404, "not_found");
}

#[tokio::test]
async fn blocking_stops_both_and_only_who_blocks_sees_it() {
    let world = world();
    let path = "/v1/conversations/d.blk_a.blk_b";
    let messages = format!("{path}/messages");
    world.post(&messages, "blk_a", &text("1", "hi")).await.ok(202);
    let block = format!("{path}/block");
    let version = world.send("PUT", &block, "blk_b", &Value::Null).await.ok(200);
    assert_eq!(world.send("PUT", &block, "blk_b", &Value::Null).await.ok(200), version);
    for sender in ["blk_a", "blk_b"] {
        world.post(&messages, sender, &text("2", "hello?")).await.refused(403, "blocked");
    }
    let read = json!({"readThroughSeq": 1});
    world.post(&format!("{path}/read-cursors"), "blk_b", &read).await.ok(200);
    let seen = world.get_until(path, "blk_b", |summary| summary["readSeq"] == 1).await;
    assert_eq!((&seen["blockedByMe"], &seen["canSend"]), (&json!(true), &json!(false)));
    let other = world.get(path, "blk_a").await.ok(200);
    assert_eq!((&other["blockedByMe"], &other["peerReadSeq"]), (&json!(false), &json!(0)));
    assert_eq!(
        world.get("/v1/blocks", "blk_b").await.ok(200),
        json!({"blocks": [{"userId": "blk_a"}]})
    );
    assert_eq!(world.get("/v1/blocks", "blk_a").await.ok(200), json!({"blocks": []}));
    world.send("DELETE", &block, "blk_b", &Value::Null).await.ok(200);
    world.post(&messages, "blk_a", &text("2", "hello?")).await.ok(202);
}

#[tokio::test]
async fn a_timer_gives_messages_an_end() {
    let world = world();
    let path = "/v1/conversations/d.tim_a.tim_b";
    let set = async |seconds: u64| {
        world.send("PUT", &format!("{path}/timer"), "tim_b", &json!({"seconds": seconds})).await
    };
    set(60).await.refused(422, "invalid_body");
    set(86_400).await.ok(200);
    world.post(&format!("{path}/messages"), "tim_a", &text("1", "soon gone")).await.ok(202);
    let summary = world.get_until(path, "tim_a", |summary| summary["lastSeq"] == 1).await;
    assert_eq!(summary["timerSeconds"], 86_400);
    assert!(summary["lastMessage"]["expiresAt"].is_string());
    world.send("DELETE", &format!("{path}/timer"), "tim_a", &Value::Null).await.ok(200);
    world.post(&format!("{path}/messages"), "tim_a", &text("2", "stays")).await.ok(202);
    let summary = world.get_until(path, "tim_a", |summary| summary["lastSeq"] == 2).await;
    assert!(summary["lastMessage"].get("expiresAt").is_none());
}
