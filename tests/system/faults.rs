//! Everything is killed, under load, again and again; what was accepted is there exactly once.
//!
//! Each test hurts the system every two seconds for `PARLEY_TEST_FAULT_SECONDS` (12 by default, so
//! that the whole suite stays quick; 60 for the long run).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Client, Deployment, Up, eventually};
use crate::load::{Load, accept};

const BETWEEN: Duration = Duration::from_secs(2);
/// 200 messages a second in all.
const CONVERSATIONS: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);

pub fn duration() -> Duration {
    let seconds = std::env::var("PARLEY_TEST_FAULT_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(12))
}

/// Hurts every two seconds, then checks.
async fn under_load(url: &str, mut hurt: impl AsyncFnMut()) {
    let load = Load::start(url, CONVERSATIONS, PAUSE);
    let end = Instant::now() + duration();
    let mut tick = tokio::time::interval(BETWEEN);
    tick.tick().await;
    while Instant::now() < end {
        tick.tick().await;
        hurt().await;
    }
    let accepted = load.check().await;
    assert!(accepted > CONVERSATIONS, "almost nothing got through: {accepted}");
    println!("{accepted} messages accepted in {:?}", duration());
}

#[tokio::test]
async fn a_commands_process_is_killed_again_and_again() {
    let deployment = Deployment::start().await;
    let mut one = deployment.service("commands").await;
    let mut two = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let mut turn = false;
    under_load(&gateway.url(), async || {
        let service = if turn { &mut one } else { &mut two };
        turn = !turn;
        service.kill9();
        service.restart().await;
    })
    .await;
}

#[tokio::test]
async fn the_projections_process_is_killed_again_and_again() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let mut projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    under_load(&gateway.url(), async || {
        projections.kill9();
        projections.restart().await;
    })
    .await;
}

#[tokio::test]
async fn the_gateway_is_killed_again_and_again() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let mut gateway = deployment.gateway().await;
    let url = gateway.url();
    under_load(&url, async || {
        gateway.kill9();
        gateway.restart().await;
    })
    .await;
}

#[tokio::test]
async fn the_nats_server_is_killed_again_and_again() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    under_load(&gateway.url(), async || {
        deployment.nats.kill9().await;
        deployment.nats.restart().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_of_a_cluster_is_killed_again_and_again() {
    let deployment = Deployment::start_in_cluster().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let servers = deployment.nats.nodes();
    let alice = gateway.client("alice").await;
    let mut turn = 0;
    under_load(&gateway.url(), async || {
        let server = &servers[turn % servers.len()];
        turn += 1;
        server.kill9().await;
        // The other two go on, in every shard, though some need another leader first.
        for n in 0..16 {
            let body = json!({"clientMessageId": format!("m-{turn}"), "body": {"kind": "text", "text": "x"}});
            let path = format!("/v1/conversations/d.alice.bob{n}/messages");
            accept(&alice, &path, &body).await;
        }
        server.restart().await;
        deployment.nats.wait_ready().await;
    })
    .await;
}

#[tokio::test]
async fn postgresql_is_killed_again_and_again() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    under_load(&gateway.url(), async || {
        deployment.postgres.kill9().await;
        deployment.postgres.restart().await;
    })
    .await;
}

#[tokio::test]
async fn everything_is_killed_at_once_ten_times() {
    let mut up = Up::start().await;
    let url = up.url();
    let load = Load::start(&url, CONVERSATIONS, PAUSE);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        up.kill9();
        up.restart().await;
    }
    load.check().await;
}

#[tokio::test]
async fn without_postgresql_talk_goes_on_and_the_views_catch_up() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let url = gateway.url();
    let history = "/v1/conversations/d.alice.bob/messages?afterSeq=0&limit=200";
    let send = "/v1/conversations/d.alice.bob/messages";
    let text = |n: u64| serde_json::json!({"clientMessageId": format!("c-{n}"), "body": {"kind": "text", "text": "x"}});
    let alice = Client::sign_in(&url, "alice").await;
    let mut bob = gateway.socket("bob", "phone", None).await;
    bob.until("caughtUp").await;
    alice.post(send, &text(1)).await.expect(202);
    bob.until("event").await;

    deployment.postgres.stop().await;
    let away = duration().max(Duration::from_secs(10)) / 2;
    let end = Instant::now() + away;
    let mut sent = 1;
    while Instant::now() < end {
        sent += 1;
        let accepted = alice.post(send, &text(sent)).await.expect(202);
        assert_eq!(accepted["conversationSeq"], sent);
        assert_eq!(bob.until("event").await["event"]["data"]["conversationSeq"], sent);
        // Also in a conversation that nobody has in memory.
        let other = format!("/v1/conversations/d.alice.c{sent}/messages");
        alice.post(&other, &text(sent)).await.expect(202);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = alice.get(history).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.json["code"], "unavailable");

    deployment.postgres.restart().await;
    eventually("the views are complete", Duration::from_secs(5), async || {
        let page = alice.get(send).await;
        let last = page.json["messages"].as_array()?.last()?["conversationSeq"].as_u64();
        (last == Some(sent)).then_some(())
    })
    .await;
}
