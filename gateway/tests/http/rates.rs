//! Limits, over two gateways of one deployment.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::support::{Answer, World, token};

fn text(id: impl std::fmt::Display) -> Value {
    json!({"clientMessageId": id.to_string(), "body": {"kind": "text", "text": "hello"}})
}

async fn send(world: &World, from: &str, to: &str, id: impl std::fmt::Display) -> Answer {
    let (lo, hi) = if from < to { (from, to) } else { (to, from) };
    world.post(&format!("/v1/conversations/d.{lo}.{hi}/messages"), from, &text(id)).await
}

async fn world(variables: &[(&str, &str)]) -> World {
    World::start_with(&TestPostgres::database().await, variables).await
}

#[tokio::test]
async fn a_persons_messages_are_limited_over_all_gateways() {
    let one = world(&[("PARLEY_RATE_MESSAGES_PER_MINUTE", "100")]).await;
    let other = one.another_gateway().await;
    let both = [&one, &other];
    let answers: Vec<Answer> = stream::iter(0..300_usize)
        .map(|n| send(both[n % 2], "alice", if n % 3 == 0 { "bob" } else { "carol" }, n))
        .buffer_unordered(8)
        .collect()
        .await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    // Within 10 %; never more than the limit, since nothing is given out twice.
    assert!((90..=100).contains(&accepted), "{accepted}");
    for refused in answers.iter().filter(|answer| answer.status != 202) {
        refused.refused(429, "rate_limited");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&seconds), "{seconds}");
        assert!(refused.json()["retryAfterMs"].as_u64().unwrap() > 0);
    }
    // Somebody else is not concerned, nor is a service that speaks for the same person.
    assert_eq!(send(&one, "bob", "alice", "b-1").await.status, 202);
    let authorization = format!("Bearer {}", token("alice", Scope::Service));
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let path = "/v1/conversations/d.alice.bob/messages";
    let served = one.request("POST", path, &headers, text("s-1").to_string()).await;
    assert_eq!(served.status, 202, "{served:?}");
}

#[tokio::test]
async fn a_new_account_begins_some_conversations_a_day() {
    let limits = [("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "3")];
    let one = world(&limits).await;
    let other = one.another_gateway().await;
    assert_eq!(send(&one, "eager", "one", 1).await.status, 202);
    assert_eq!(send(&other, "eager", "two", 2).await.status, 202);
    // Somebody writes first: going on with that is no beginning.
    assert_eq!(send(&one, "stranger", "eager", 3).await.status, 202);
    one.get_until("/v1/conversations", "eager", |page| {
        page["conversations"].as_array().unwrap().len() == 3
    })
    .await;
    assert_eq!(send(&other, "eager", "stranger", 4).await.status, 202);
    assert_eq!(send(&one, "eager", "three", 5).await.status, 202);
    for world in [&one, &other] {
        let refused = send(world, "eager", "four", 6).await;
        refused.refused(429, "new_account_limit");
        assert!(!refused.header("retry-after").is_empty());
        // What was begun goes on.
        assert_eq!(send(world, "eager", "one", world.address()).await.status, 202);
    }
}

#[tokio::test]
async fn an_account_that_is_no_longer_new_begins_as_many_as_it_likes() {
    let limits = [
        ("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "1"),
        ("PARLEY_RATE_NEW_ACCOUNT_SECONDS", "1"),
    ];
    let world = world(&limits).await;
    assert_eq!(send(&world, "once", "one", 1).await.status, 202);
    send(&world, "once", "two", 2).await.refused(429, "new_account_limit");
    let grown = |answer: &Answer| answer.status == 202;
    world.until(Duration::from_secs(20), || send(&world, "once", "two", 2), grown).await;
}

#[tokio::test]
async fn an_address_guesses_only_so_often() {
    let world = world(&[("PARLEY_RATE_STRANGER_CALLS_PER_MINUTE", "20")]).await;
    let mut refused = 0;
    for _ in 0..30 {
        let answer = world.get("/v1/conversations", "").await;
        match answer.status {
            401 => assert_eq!(refused, 0, "the limit does not come and go"),
            _ => {
                answer.refused(429, "rate_limited");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 10);
    // Whoever is signed in at the same address goes on.
    assert_eq!(world.get("/v1/conversations", "alice").await.status, 200);
}
