//! What operators and analysts run beside a deployment.

use std::time::Duration;

use parley_domain::Event;
use serde_json::json;

use crate::harness::{Client, Deployment, Up, eventually, free_address};

/// What `parley …` printed.
async fn lines(up: &Up, args: &[&str]) -> Vec<String> {
    up.parley(args).await.printed().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_log_is_replayed_and_the_views_are_verified_and_rebuilt() {
    let up = Up::start().await;
    let alice = up.client("alice").await;
    for (other, n) in [("bob", 1), ("bob", 2), ("carol", 3)] {
        let body = json!({
            "clientMessageId": format!("c-{n}"), "body": {"kind": "text", "text": format!("number {n}")},
        });
        let path = format!("/v1/conversations/d.alice.{other}/messages");
        alice.post(&path, &body).await.expect(202);
    }

    let of_one = lines(&up, &["replay", "d.alice.bob"]).await;
    let events: Vec<Event> =
        of_one.iter().map(|line| Event::from_json(line.as_bytes()).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
    assert!(events.iter().all(|event| event.subject.as_str() == "d.alice.bob"));
    let all = lines(&up, &["replay"]).await;
    assert_eq!(all.len(), 3);
    let mut by_shard = 0;
    for shard in 0..4 {
        by_shard += lines(&up, &["replay", "--shard", &shard.to_string()]).await.len();
    }
    assert_eq!(by_shard, all.len());
    for wrong in
        [&["replay", "d.bob.alice"][..], &["replay", "--shard", "4"], &["replay", "--follow"]]
    {
        assert_eq!(up.parley(wrong).await.code, Some(64), "{wrong:?}");
    }

    assert_eq!(lines(&up, &["verify"]).await, ["The views are what the log says."]);
    let pool = sqlx::PgPool::connect(&up.database_url()).await.unwrap();
    sqlx::query("DELETE FROM messages WHERE conversation_id = 'd.alice.carol'")
        .execute(&pool)
        .await
        .unwrap();
    let verified = up.parley(&["verify"]).await;
    assert_eq!(verified.code, Some(70));
    assert_eq!(verified.stdout, "messages [\"d.alice.carol\", 1] is missing\n");
    assert_eq!(lines(&up, &["rebuild"]).await.len(), 1);
    assert_eq!(lines(&up, &["verify"]).await.len(), 1);
    let history = alice.get("/v1/conversations/d.alice.carol/messages").await.expect(200);
    assert_eq!(history["messages"][0]["body"]["text"], "number 3");
}

#[tokio::test]
async fn each_service_shows_what_it_counts() {
    let deployment = Deployment::start_with(&[
        ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for these tests only"),
        ("PARLEY_NOTIFY_GRACE_SECONDS", "0"),
    ])
    .await;
    let outbox = deployment.dir().join("outbox.jsonl");
    let outbox = ("PARLEY_NOTIFY_OUTBOX_FILE", outbox.to_str().unwrap());
    let mut services = Vec::new();
    for (name, line) in [
        ("commands", "parley_commands_answered_total{outcome=\"accepted\"} 1"),
        ("projections", "parley_projections_events_total{shard="),
        (
            "notifier",
            "parley_notifier_decisions_total{decision=\"skipped\",reason=\"noEndpoint\"} 1",
        ),
    ] {
        let listen = free_address().to_string();
        let variables = [("PARLEY_METRICS_LISTEN", listen.as_str()), outbox];
        services.push((deployment.service_with(name, &variables).await, listen, line));
    }
    let gateway = deployment.gateway().await;
    let message = json!({"clientMessageId": "c", "body": {"kind": "text", "text": "hi"}});
    let alice = gateway.client("alice").await;
    alice.post("/v1/conversations/d.alice.bob/messages", &message).await.expect(202);
    for (_, listen, line) in &services {
        let client = Client::anonymous(&format!("http://{listen}"));
        eventually(line, Duration::from_secs(30), async || {
            let answer = client.try_get("/metrics").await?;
            String::from_utf8_lossy(&answer.body).contains(line).then_some(())
        })
        .await;
        assert_eq!(client.get("/healthz").await.status, 200);
        assert_eq!(client.get("/").await.status, 404);
        assert_eq!(client.post("/metrics", &json!({})).await.status, 405);
    }
}

#[tokio::test]
async fn a_process_with_all_services_shows_what_all_of_them_count() {
    let up = Up::start().await;
    let message = json!({"clientMessageId": "c", "body": {"kind": "text", "text": "hi"}});
    let alice = up.client("alice").await;
    alice.post("/v1/conversations/d.alice.bob/messages", &message).await.expect(202);
    eventually("all are there", Duration::from_secs(30), async || {
        let answer = alice.get("/metrics").await;
        let text = String::from_utf8_lossy(&answer.body);
        let all = [
            "parley_gateway_connections",
            "parley_commands_owned{shard=\"3\"} 1",
            "parley_projections_position{shard=",
            "parley_notifier_position{shard=",
        ];
        all.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
}
