//! What operators and analysts run beside a deployment.

use std::process::Output;

use parley_domain::Event;
use serde_json::json;

use crate::harness::{Up, program};

async fn parley(up: &Up, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(program());
    command
        .args(args)
        .env("PARLEY_NATS_URL", up.nats_url())
        .env("PARLEY_DATABASE_URL", up.database_url())
        .current_dir(std::env::temp_dir());
    command.output().await.unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
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

    let of_one = lines(&parley(&up, &["replay", "d.alice.bob"]).await);
    let events: Vec<Event> =
        of_one.iter().map(|line| Event::from_json(line.as_bytes()).unwrap()).collect();
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
    assert!(events.iter().all(|event| event.subject.as_str() == "d.alice.bob"));
    let all = lines(&parley(&up, &["replay"]).await);
    assert_eq!(all.len(), 3);
    let mut by_shard = 0;
    for shard in 0..4 {
        by_shard += lines(&parley(&up, &["replay", "--shard", &shard.to_string()]).await).len();
    }
    assert_eq!(by_shard, all.len());
    for wrong in
        [&["replay", "d.bob.alice"][..], &["replay", "--shard", "4"], &["replay", "--follow"]]
    {
        assert_eq!(parley(&up, wrong).await.status.code(), Some(64), "{wrong:?}");
    }

    assert_eq!(lines(&parley(&up, &["verify"]).await), ["The views are what the log says."]);
    let pool = sqlx::PgPool::connect(&up.database_url()).await.unwrap();
    sqlx::query("DELETE FROM messages WHERE conversation_id = 'd.alice.carol'")
        .execute(&pool)
        .await
        .unwrap();
    let output = parley(&up, &["verify"]).await;
    assert_eq!(output.status.code(), Some(70));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "messages [\"d.alice.carol\", 1] is missing\n");
    assert_eq!(lines(&parley(&up, &["rebuild"]).await).len(), 1);
    assert_eq!(lines(&parley(&up, &["verify"]).await).len(), 1);
    let history = alice.get("/v1/conversations/d.alice.carol/messages").await.expect(200);
    assert_eq!(history["messages"][0]["body"]["text"], "number 3");
}
