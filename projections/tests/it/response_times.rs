//! How fast people answer.

use std::time::Duration;

use parley_domain::{Action, ClientMessageId, Scope, Timestamp};
use parley_projections::{
    ResponseTimes,
    queries::{Filter, inbox, summary},
    response_times::refresh,
};
use parley_runtime::engines::testing::TestPostgres;
use sqlx::PgPool;

use crate::{
    log::{Log, direct, user},
    projecting::{PATIENCE, Running, caught_up, config, log_server, publish},
    support::{catch_up, count, eventually, views, views_at, views_of},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// What `reader` is told of `other`.
async fn told(pool: &PgPool, reader: &str, other: &str) -> Option<u64> {
    let (id, now) = (direct(reader, other), Timestamp::from_unix_millis(0));
    let summary = summary(pool, &id, &user(reader), now).await.unwrap().unwrap();
    summary.peer_response_seconds
}

async fn computed(pool: &PgPool, name: &str, now: Timestamp) -> Option<Timestamp> {
    refresh(pool, &user(name), now, HOUR).await.unwrap()
}

fn sent_by_service(log: &mut Log, from: &str, to: &str, body: &str) {
    let name = format!("s-{}", log.last());
    let action = Action::SendMessage {
        client_message_id: ClientMessageId::parse(&name).unwrap(),
        body: serde_json::from_str(body).unwrap(),
        reply_to: None,
    };
    log.ask_as(Scope::Service, &direct(from, to), from, action).unwrap();
}

/// Each event takes a second.
fn wait(log: &mut Log, seconds: usize) {
    for _ in 0..seconds {
        log.send("idle", "talker", "tick");
    }
}

/// bob answers ann after 2 s, cid after 5 s and again after 30 s.
fn talk() -> Log {
    let mut log = Log::default();
    // Nobody has asked yet.
    log.send("bob", "ann", "hello");
    log.send("ann", "bob", "still there?");
    // The second question does not start the time anew, nor does what the marketplace says end it.
    log.send("ann", "bob", "hello?");
    log.send("bob", "ann", "yes");
    log.send("bob", "ann", "come and see");
    log.send("cid", "bob", "how much?");
    sent_by_service(&mut log, "bob", "cid", r#"{"kind":"text","text":"he is asleep"}"#);
    sent_by_service(&mut log, "cid", "bob", r#"{"kind":"system","text":"cid is new"}"#);
    sent_by_service(&mut log, "bob", "cid", r#"{"kind":"order","refId":"O","title":"Bike"}"#);
    wait(&mut log, 1);
    log.send("bob", "cid", "twelve");
    log.send("cid", "bob", "ten?");
    wait(&mut log, 29);
    log.send("bob", "cid", "eleven");
    log
}

#[tokio::test]
async fn it_is_the_median_from_the_first_unanswered_message_to_the_answer() {
    let log = talk();
    let pool = views_of(&log).await;
    assert_eq!(told(&pool, "ann", "bob").await, None);
    let now = Log::time_of(log.last());
    assert_eq!(computed(&pool, "bob", now).await, None);
    for reader in ["ann", "cid"] {
        assert_eq!(told(&pool, reader, "bob").await, Some(5));
    }
    // Whoever has not written to him yet is told, too; and it is of him alone.
    assert_eq!(told(&pool, "eve", "bob").await, Some(5));
    assert_eq!(told(&pool, "bob", "ann").await, None);
    let page = inbox(&pool, &user("cid"), Filter::All, 10, None).await.unwrap();
    assert_eq!(page.summaries[0].peer_response_seconds, Some(5));
    assert!(serde_json::to_value(&page.summaries[0]).unwrap()["peerResponseSeconds"] == 5);
}

#[tokio::test]
async fn few_replies_are_no_median_and_old_conversations_do_not_count() {
    let mut log = Log::default();
    log.send("ann", "bob", "one?");
    log.send("bob", "ann", "one");
    log.send("ann", "bob", "two?");
    log.send("bob", "ann", "two");
    let pool = views_of(&log).await;
    let now = Log::time_of(log.last());
    computed(&pool, "bob", now).await;
    assert_eq!((told(&pool, "ann", "bob").await, count(&pool, "response_times").await), (None, 1));

    log.send("ann", "bob", "three?");
    log.send("bob", "ann", "three");
    catch_up(&pool, &log).await;
    let later = |seconds: u64| Timestamp::from(now.to_date_time() + Duration::from_secs(seconds));
    // Not more often than once an hour.
    assert_eq!(computed(&pool, "bob", later(3_599)).await, Some(later(3_600)));
    assert_eq!(told(&pool, "ann", "bob").await, None);
    assert_eq!(computed(&pool, "bob", later(3_600)).await, None);
    assert_eq!(told(&pool, "ann", "bob").await, Some(1));
    computed(&pool, "bob", later(31 * 24 * 3_600)).await;
    assert_eq!(told(&pool, "ann", "bob").await, None);
}

#[tokio::test]
async fn of_long_conversations_the_last_messages_count() {
    let mut log = Log::default();
    for n in 0..120 {
        log.send("ann", "bob", "?");
        wait(&mut log, if n < 20 { 50 } else { 0 });
        log.send("bob", "ann", "!");
    }
    let pool = views().await;
    catch_up(&pool, &log).await;
    computed(&pool, "bob", Log::time_of(log.last())).await;
    let replies: i64 =
        sqlx::query_scalar("SELECT replies FROM response_times WHERE user_id = 'bob'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((replies, told(&pool, "ann", "bob").await), (100, Some(1)));
}

#[tokio::test]
async fn the_projections_compute_it_if_they_shall_and_forget_it_if_not() {
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let mut log = talk();
    publish(&nats, &log, 0).await;
    let off = config(&url, &server);
    let wanted = ResponseTimes { every: Duration::from_secs(1), waiting_people: 10 };
    let mut on = off.clone();
    on.response_times = Some(wanted);
    let running = Running::start(on);
    // The log is of another day than this one.
    let shift =
        "UPDATE conversations SET last_message_at = now() WHERE conversation_id LIKE '%bob%'";
    caught_up(&pool, &log).await;
    sqlx::query(shift).execute(&pool).await.unwrap();
    let before = log.last();
    log.send("bob", "cid", "deal?");
    publish(&nats, &log, before).await;
    eventually("it is told", PATIENCE, async || told(&pool, "ann", "bob").await == Some(5)).await;
    running.stop().await;
    let running = Running::start(off);
    eventually("it is forgotten", PATIENCE, async || count(&pool, "response_times").await == 0)
        .await;
    assert_eq!(told(&pool, "ann", "bob").await, None);
    running.stop().await;
}
