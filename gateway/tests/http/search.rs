//! Searching, as a client sees it.

use std::time::Duration;

use axum::http::header;
use futures_util::{StreamExt, stream};
use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::support::{Answer, World, token, world};

async fn say(world: &World, from: &str, conversation: &str, id: &str, text: &str) {
    let body = json!({"clientMessageId": id, "body": {"kind": "text", "text": text}});
    let path = format!("/v1/conversations/{conversation}/messages");
    world.post(&path, from, &body).await.ok(202);
}

fn hits(page: &Value) -> Vec<(String, u64)> {
    let hit = |hit: &Value| {
        let message = &hit["message"];
        let id = message["conversationId"].as_str().unwrap().to_owned();
        (id, message["conversationSeq"].as_u64().unwrap())
    };
    page["hits"].as_array().unwrap().iter().map(hit).collect()
}

fn of(conversation: &str, seqs: &[u64]) -> Vec<(String, u64)> {
    seqs.iter().map(|seq| (conversation.to_owned(), *seq)).collect()
}

/// Once these are found: the views follow the log.
async fn found(world: &World, who: &str, query: &str, expected: &[(String, u64)]) -> Value {
    world.get_until(&format!("/v1/search?{query}"), who, |page| hits(page) == expected).await
}

#[tokio::test]
async fn what_was_said_is_found_by_both_and_nobody_else() {
    let world = world();
    let (one, other) = ("d.sea_a.sea_b", "d.sea_a.sea_c");
    say(world, "sea_a", one, "c-1", "Schöne Grüße aus Köln").await;
    say(world, "sea_b", one, "c-2", "thanks").await;
    say(world, "sea_c", other, "c-1", "viele gruesse, and GRÜSSE").await;
    // Percent-encoded: grüsse
    let query = "q=gr%C3%BCsse";
    let both = [of(other, &[1]), of(one, &[1])].concat();
    let page = found(world, "sea_a", query, &both).await;
    assert!(page.get("nextCursor").is_none());
    let history = format!("/v1/conversations/{one}/messages?limit=200");
    let history = world.get(&history, "sea_a").await.ok(200);
    let expected = json!({"message": history["messages"][0], "snippet": "Schöne Grüße aus Köln"});
    assert_eq!(page["hits"][1], expected);
    found(world, "sea_b", query, &of(one, &[1])).await;
    assert_eq!(world.get("/v1/search?q=gruss", "sea_d").await.ok(200), json!({"hits": []}));

    let only = |more: &str| format!("{query}&{more}");
    let at = page["hits"][1]["message"]["createdAt"].as_str().unwrap();
    for (more, expected) in [
        ("conversationId=d.sea_a.sea_b", of(one, &[1])),
        ("from=sea_c", of(other, &[1])),
        (&format!("after={at}"), of(other, &[1])),
        (&format!("before={at}"), vec![]),
        ("after=2000-01-01&before=2999-12-31", both.clone()),
    ] {
        let page = world.get(&format!("/v1/search?{}", only(more)), "sea_a").await.ok(200);
        assert_eq!(hits(&page), expected, "{more}");
    }

    let first = found(world, "sea_a", &only("limit=1"), &of(other, &[1])).await;
    // Something new moves nothing, and is not found by a search that began before it.
    say(world, "sea_b", one, "c-3", "grüße").await;
    found(world, "sea_a", query, &[of(one, &[3, 1]), of(other, &[1])].concat()).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = only(&format!("limit=1&cursor={cursor}"));
    let second = found(world, "sea_a", &rest, &of(one, &[1])).await;
    assert!(second.get("nextCursor").is_none());
}

#[tokio::test]
async fn whoever_has_left_finds_what_they_saw_and_a_stranger_no_conversation() {
    let world = world();
    let body = json!({"kind": "group", "title": "Search", "memberIds": ["seg_b", "seg_c"]});
    let created = world.post("/v1/conversations", "seg_a", &body).await.ok(201);
    let id = created["conversationId"].as_str().unwrap();
    say(world, "seg_a", id, "c-1", "needle one").await;
    let member = format!("/v1/conversations/{id}/members/seg_b");
    world.send("DELETE", &member, "seg_b", &Value::Null).await.ok(200);
    say(world, "seg_c", id, "c-2", "needle two").await;
    world.send("PUT", &member.replace("seg_b", "seg_d"), "seg_a", &json!({})).await.ok(200);
    say(world, "seg_d", id, "c-3", "needle three").await;
    let delete = format!("/v1/conversations/{id}/messages/2");
    world.send("DELETE", &delete, "seg_c", &Value::Null).await.ok(200);

    found(world, "seg_a", "q=needle", &of(id, &[3, 1])).await;
    let of_it = format!("q=needle&conversationId={id}");
    found(world, "seg_b", &of_it, &of(id, &[1])).await;
    found(world, "seg_d", &of_it, &of(id, &[3])).await;
    let path = format!("/v1/search?{of_it}");
    world.get(&path, "seg_e").await.refused(404, "not_found");
    let unknown = "/v1/search?q=x&conversationId=g.01890000-0000-7000-8000-000000000000";
    world.get(unknown, "seg_a").await.refused(404, "not_found");
    let others = "/v1/search?q=needle&conversationId=d.seg_a.seg_b";
    world.get(others, "seg_e").await.refused(404, "not_found");
    // One's own, before its first message.
    assert_eq!(world.get(others, "seg_a").await.ok(200), json!({"hits": []}));
}

#[tokio::test]
async fn a_search_that_is_not_right_is_refused_by_name() {
    let world = world();
    let long = format!("q={}", "a".repeat(257));
    for (query, code) in [
        ("", "invalid_body"),
        ("q=", "invalid_body"),
        ("q=%20%E3%80%80", "invalid_body"),
        ("q=%CC%81", "invalid_body"),
        (long.as_str(), "invalid_body"),
        ("q=a+b+c+d+e+f+g+h+i+j+k", "invalid_body"),
        ("q=x&limit=0", "invalid_body"),
        ("q=x&limit=x", "invalid_body"),
        ("q=x&cursor=x", "invalid_body"),
        ("q=x&cursor=", "invalid_body"),
        ("q=x&before=yesterday", "invalid_body"),
        ("q=x&after=2026-02-30", "invalid_body"),
        ("q=x&from=a.b", "invalid_id"),
        ("q=x&conversationId=d.b.a", "invalid_id"),
    ] {
        world.get(&format!("/v1/search?{query}"), "seq_a").await.refused(400, code);
    }
    for query in ["q=x&limit=1000", "q=a+b+c+d+e+f+g+h+i+j", &long[..258]] {
        world.get(&format!("/v1/search?{query}"), "seq_a").await.ok(200);
    }
}

#[tokio::test]
async fn a_budget_ends_a_page_and_the_cursor_leads_on() {
    let budget = [("PARLEY_SEARCH_SCAN_MESSAGES", "100")];
    let world = World::start_with(&TestPostgres::database().await, &budget).await;
    for n in 0..250 {
        let text = if n == 0 { "needle" } else { "hay" };
        say(&world, "ann", "d.ann.bob", &n.to_string(), text).await;
    }
    let summary = "/v1/conversations/d.ann.bob";
    world.get_until(summary, "bob", |summary| summary["lastSeq"] == 250).await;
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/search?q=needle{cursor}"), "bob").await.ok(200);
        pages.push(hits(&page));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, [vec![], vec![], of("d.ann.bob", &[1])]);
    let metrics = world.get("/metrics", "").await.text;
    assert!(metrics.contains("parley_gateway_searched_messages_total 250"), "{metrics}");
    world.shutdown().begin();
}

#[tokio::test]
async fn searches_wait_for_each_other_and_nobody_else_for_them() {
    let database = TestPostgres::database().await;
    let few = [("PARLEY_SEARCH_CONCURRENCY", "1"), ("PARLEY_SEARCH_PATIENCE_MILLIS", "100")];
    let world = World::start_with(&database, &few).await;
    say(&world, "ann", "d.ann.bob", "c-1", "needle").await;
    found(&world, "bob", "q=needle", &of("d.ann.bob", &[1])).await;
    // A search asks how far the views are, and gets no answer.
    let pool = parley_projections::connect(&database, "test", 2).unwrap();
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let searching = world.get("/v1/search?q=needle", "ann");
    let meanwhile = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
            WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT shard, position%'";
        // Not in the transaction: that would see the same activity until its end.
        let has_its_turn = async {
            while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() == 0 {}
        };
        tokio::time::timeout(Duration::from_secs(4), has_its_turn).await.unwrap();
        let refused = world.get("/v1/search?q=needle", "bob").await;
        refused.refused(503, "unavailable");
        assert!(refused.header(header::RETRY_AFTER).parse::<u64>().unwrap() >= 1);
        assert!(refused.json()["detail"].as_str().unwrap().contains("search"));
        for other in ["/v1/conversations", "/v1/conversations/d.ann.bob/messages"] {
            world.get(other, "bob").await.ok(200);
        }
        lock.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(searching, meanwhile);
    assert_eq!(hits(&answer.ok(200)), of("d.ann.bob", &[1]));
    world.shutdown().begin();
}

#[tokio::test]
async fn a_persons_searches_are_limited_over_all_gateways() {
    let limit = [("PARLEY_RATE_SEARCHES_PER_MINUTE", "20")];
    let one = World::start_with(&TestPostgres::database().await, &limit).await;
    let other = one.another_gateway().await;
    let both = [&one, &other];
    let answers: Vec<Answer> = stream::iter(0..40_usize)
        .map(|n| both[n % 2].get("/v1/search?q=x", "ann"))
        .buffer_unordered(2)
        .collect()
        .await;
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((18..=20).contains(&answered), "{answered}");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.refused(429, "rate_limited");
        assert!(refused.header(header::RETRY_AFTER).parse::<u64>().unwrap() >= 1);
    }
    one.get("/v1/search?q=x", "bob").await.ok(200);
    let service = format!("Bearer {}", token("ann", Scope::Service));
    let headers = [("authorization", service.as_str())];
    one.request("GET", "/v1/search?q=x", &headers, "").await.ok(200);
    one.shutdown().begin();
}
