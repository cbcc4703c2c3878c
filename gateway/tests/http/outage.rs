//! With PostgreSQL down, sending goes on and history says when to ask again.

use std::time::Duration;

use axum::http::header;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn without_postgres_sending_goes_on() {
    let postgres = TestPostgres::dedicated().await;
    let limited = [
        ("PARLEY_RATE_MESSAGES_PER_MINUTE", "200"),
        ("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "1"),
    ];
    let world = World::start_with(&postgres.url(), &limited).await;
    let messages = "/v1/conversations/d.out_a.out_b/messages";
    let text = |id: &str| json!({"clientMessageId": id, "body": {"kind": "text", "text": "x"}});
    world.post(messages, "out_a", &text("c-1")).await.ok(202);
    world
        .get_until(messages, "out_a", |page| page["messages"].as_array().unwrap().len() == 1)
        .await;

    postgres.kill9().await;
    assert_eq!(world.post(messages, "out_a", &text("c-2")).await.ok(202)["conversationSeq"], 2);
    // Who is new is not known without it, and a limit must not stop anybody then.
    for other in ["out_c", "out_d", "out_e"] {
        let path = format!("/v1/conversations/d.out_a.{other}/messages");
        world.post(&path, "out_a", &text("c-1")).await.ok(202);
    }
    assert_eq!(world.get("/readyz", "").await.ok(200)["ready"], true);
    let search = "/v1/search?q=x&conversationId=d.out_a.out_b";
    for path in [messages, "/v1/conversations", "/v1/conversations/d.out_a.out_b", search] {
        let answer = world.get(path, "out_a").await;
        answer.refused(503, "unavailable");
        assert!(answer.header(header::RETRY_AFTER).parse::<u64>().unwrap() >= 1);
        // Who may not see it learns nothing of the outage.
    }
    for path in [messages, search] {
        world.get(path, "eve").await.refused(404, "not_found");
    }

    postgres.restart().await;
    let both = |answer: &crate::support::Answer| {
        answer.status == 200 && answer.json()["messages"].as_array().unwrap().len() == 2
    };
    let ask = || world.get(messages, "out_b");
    world.until(Duration::from_secs(30), ask, both).await;
    world.shutdown().begin();
}

#[tokio::test]
async fn without_nats_a_gateway_is_not_ready_and_says_so() {
    let database = TestPostgres::database().await;
    let patience = [("PARLEY_COMMAND_PATIENCE_MILLIS", "300")];
    let world = World::start_with(&database, &patience).await;
    let messages = "/v1/conversations/d.nats_a.nats_b/messages";
    let text = json!({"clientMessageId": "c-1", "body": {"kind": "text", "text": "x"}});
    let sent = |answer: &crate::support::Answer| answer.status == 202;
    // With so little patience a shard may not have its owner yet.
    world.until(Duration::from_secs(10), || world.post(messages, "nats_a", &text), sent).await;
    world
        .get_until(messages, "nats_a", |page| page["messages"].as_array().unwrap().len() == 1)
        .await;

    world.nats().kill9().await;
    let away = |answer: &crate::support::Answer| answer.status == 503;
    let answer =
        world.until(Duration::from_secs(10), || world.get("/readyz", ""), away).await.json();
    assert_eq!((&answer["ready"], &answer["nats"]), (&json!(false), &json!(false)));
    let refused = world.post(messages, "nats_a", &text).await;
    refused.refused(503, "unavailable");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    // What was said can still be read.
    world.get(messages, "nats_b").await.ok(200);

    world.nats().restart().await;
    let ask = || world.post(messages, "nats_a", &text);
    let answer = world.until(Duration::from_secs(30), ask, sent).await.json();
    assert_eq!((&answer["conversationSeq"], &answer["duplicate"]), (&json!(1), &json!(true)));
    world.shutdown().begin();
}
