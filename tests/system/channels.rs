//! A broadcast channel with many readers: its messages cost as much as without any.

use std::time::{Duration, Instant};

use futures_util::{TryStreamExt, stream};
use hyper::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::harness::{Client, Up, eventually};

const MESSAGES: u64 = 100;
const JOINING_AT_ONCE: usize = 32;
const WITHIN: Duration = Duration::from_secs(120);

/// `PARLEY_TEST_READERS`: 1,000 by default, 100,000 for the long run.
fn readers() -> u64 {
    let given = std::env::var("PARLEY_TEST_READERS").ok().and_then(|value| value.parse().ok());
    given.unwrap_or(1_000)
}

/// Sends, and says how long each message took, ascending.
async fn send(owner: &Client, channel: &str, name: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 0..MESSAGES {
        let body = json!({
            "clientMessageId": format!("{name}-{n}"), "body": {"kind": "text", "text": "news"},
        });
        let start = Instant::now();
        owner.post(&format!("/v1/conversations/{channel}/messages"), &body).await.expect(202);
        took.push(start.elapsed());
    }
    took.sort_unstable();
    took
}

fn figures(took: &[Duration]) -> String {
    let at = |part: usize| took[took.len() * part / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}

/// The transaction that is being begun now.
async fn transaction(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT txid_current()").fetch_one(pool).await.unwrap()
}

/// How many rows of a view were written since a transaction; a new database's are few.
async fn written_since(pool: &PgPool, table: &str, transaction: i64) -> i64 {
    let query = format!("SELECT count(*) FROM {table} WHERE xmin::text::bigint >= $1");
    sqlx::query_scalar(&query).bind(transaction).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_message_to_many_readers_is_one_event_and_as_few_rows_as_to_none() {
    let up = Up::start().await;
    let owner = up.client("owner").await;
    let body = json!({"kind": "channel", "title": "News", "memberIds": []});
    let created = owner.post("/v1/conversations", &body).await.expect(201);
    let channel = created["conversationId"].as_str().unwrap().to_owned();
    let path = format!("/v1/conversations/{channel}");
    let before = send(&owner, &channel, "before").await;

    let members = (0..readers()).map(|n| format!("{path}/members/reader_{n}"));
    let joined = stream::iter(members.map(Ok::<_, String>)).try_for_each_concurrent(
        JOINING_AT_ONCE,
        |member| {
            let owner = owner.clone();
            async move {
                owner.try_request(Method::PUT, &member, Some(&json!({}))).await?.expect(200);
                Ok(())
            }
        },
    );
    joined.await.unwrap();
    let summary = eventually("the views have everybody", WITHIN, async || {
        let summary = owner.get(&path).await.expect(200);
        (summary["memberCount"] == readers() + 1).then_some(summary)
    })
    .await;
    let version = summary["version"].as_u64().unwrap();

    let pool = PgPool::connect(&up.database_url()).await.unwrap();
    let mut socket = up.socket("reader_7", "phone", None).await;
    socket.until("caughtUp").await;
    let begun = transaction(&pool).await;
    let after = send(&owner, &channel, "after").await;
    for n in 0..MESSAGES {
        let event = socket.until("event").await["event"].clone();
        assert_eq!(event["data"]["clientMessageId"], format!("after-{n}"));
        // One event a message, whoever reads it.
        assert_eq!(event["version"], version + 1 + n);
    }
    println!("{} readers; without: {}; with: {}", readers(), figures(&before), figures(&after));

    let reader = up.client("reader_7").await;
    let unread = |count: u64| {
        let (reader, path) = (reader.clone(), path.clone());
        async move {
            eventually("the reader's summary", WITHIN, async || {
                let summary = reader.get(&path).await.expect(200);
                (summary["unread"] == count).then_some(())
            })
            .await;
        }
    };
    unread(MESSAGES).await;
    // Its own row, the channel's and the writer's; of those who read it, none.
    let messages = i64::try_from(MESSAGES).unwrap();
    for (table, rows) in
        [("messages", messages), ("conversations", 1), ("members", 1), ("conversation_marks", 0)]
    {
        assert_eq!(written_since(&pool, table, begun).await, rows, "{table}");
    }
    let read = json!({"deviceId": "phone", "readThroughSeq": 2 * MESSAGES});
    reader.post(&format!("{path}/read-cursors"), &read).await.expect(200);
    unread(0).await;
    // Nobody else's log knows of it.
    let summary = owner.get(&path).await.expect(200);
    assert_eq!(summary["version"], version + MESSAGES);
}
