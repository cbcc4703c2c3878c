//! Events that cannot be applied: set aside, said, and nobody else's trouble.

use parley_domain::{Body, Event, EventData};
use parley_nats::subjects::event_subject;
use parley_projections::{
    apply::Poison,
    load_conversation,
    queries::{Filter, Page, history, inbox},
};

use crate::{
    log::{Log, SHARD, direct, user},
    support::{apply_batch, catch_up, checkpoint, count, dump, views, views_of},
};

/// The last event of the log, to be written by hand.
fn last_event(log: &Log) -> Event {
    Event::from_json(&log.messages.last().unwrap().payload).unwrap()
}

/// A message that the domain would have refused and PostgreSQL cannot store.
fn unstorable(log: &Log, version: u64) -> Vec<u8> {
    let mut event = last_event(log);
    event.version = version;
    if let EventData::MessageSent(sent) = &mut event.data {
        sent.conversation_seq = version;
        sent.body = Body::Text { text: "a\0b".to_owned() };
    }
    event.to_json().unwrap()
}

#[tokio::test]
async fn every_kind_of_poison_is_set_aside_and_the_rest_goes_on() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    let subject = event_subject(SHARD, &direct("ann", "bob"));
    let good = log.messages[0].payload.clone();
    let text = String::from_utf8(good.to_vec()).unwrap();
    let mut wrong = vec![
        log.append(&subject, b"{"),
        log.append(&subject, b"\xff\x00"),
        log.append(&subject, text.replace("message.sent", "message.teleported").as_bytes()),
        log.append(&subject, text.replace("\"version\":1", "\"version\":0").as_bytes()),
        log.append(
            &subject,
            text.replace("\"version\":1", &format!("\"version\":{}", u64::MAX)).as_bytes(),
        ),
        log.append(&subject, text.replace("\"actor\":\"ann\"", "\"actor\":\"mallory\"").as_bytes()),
        log.append(&event_subject(SHARD, &direct("ann", "cid")), &good),
        log.append(&event_subject(SHARD + 1, &direct("ann", "bob")), &good),
        log.append("dm.evt.3.what.\0.ever", &good),
    ];
    wrong.push(log.append(&subject, &unstorable(&log_of(&good), 2)));
    log.send("ann", "dan", "other");
    log.send("bob", "ann", "two");

    let pool = views().await;
    let applied = apply_batch(&pool, &log.messages).await.unwrap();
    let set_aside: Vec<u64> = applied.dead_letters.iter().map(|letter| letter.position).collect();
    assert_eq!(set_aside, wrong);
    assert!(matches!(applied.dead_letters[0].poison, Poison::Undecodable(_)));
    assert!(matches!(applied.dead_letters[3].poison, Poison::Number));
    assert!(matches!(applied.dead_letters[5].poison, Poison::Stranger));
    assert!(matches!(applied.dead_letters[6].poison, Poison::Subject));
    assert!(matches!(&applied.dead_letters[9].poison, Poison::Refused { code } if code == "22P05"));
    assert_eq!(checkpoint(&pool).await, log.last());

    let kept: Vec<(i64, Vec<u8>, String)> =
        sqlx::query_as("SELECT position, payload, error FROM dead_letters ORDER BY position")
            .fetch_all(&pool)
            .await
            .unwrap();
    for (position, payload, error) in &kept {
        let came = &log.messages[usize::try_from(*position).unwrap() - 1];
        assert_eq!(payload, &came.payload);
        assert!(!error.is_empty());
    }
    assert_eq!(kept.len(), wrong.len());

    let page = history(&pool, &direct("ann", "bob"), &user("ann"), Page::Latest, 10)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.messages.len(), 2);
    assert!(load_conversation(&pool, SHARD, &direct("ann", "bob")).await.unwrap().damaged);
    assert!(!load_conversation(&pool, SHARD, &direct("ann", "dan")).await.unwrap().damaged);
    // Nobody has become a member by it.
    let strangers = inbox(&pool, &user("mallory"), Filter::All, 10, None).await.unwrap();
    assert!(strangers.summaries.is_empty());
}

fn log_of(payload: &[u8]) -> Log {
    let mut log = Log::default();
    log.append("any", payload);
    log
}

#[tokio::test]
async fn the_culprits_are_found_among_many_and_no_other_event_is_lost() {
    let mut clean = Log::default();
    let mut log = Log::default();
    for n in 0..200 {
        for log in [&mut clean, &mut log] {
            log.send("ann", &format!("u{}", n % 9), "hello");
        }
        if [0, 77, 78, 199].contains(&n) {
            let payload = unstorable(&log, 5_000);
            let subject = event_subject(SHARD, &last_event(&log).subject);
            log.append(&subject, &payload);
        }
    }
    let pool = views_of(&log).await;
    assert_eq!(count(&pool, "dead_letters").await, 4);
    assert_eq!(count(&pool, "messages").await, 200);
    assert_eq!(count(&pool, "conversations WHERE damaged").await, 4);
    let clean = views_of(&clean).await;
    let histories = async |pool| {
        let mut all = Vec::new();
        for n in 0..9 {
            let id = direct("ann", &format!("u{n}"));
            let page = history(pool, &id, &user("ann"), Page::Latest, 200).await.unwrap();
            all.push(page.unwrap().messages.len());
        }
        all
    };
    assert_eq!(histories(&pool).await, histories(&clean).await);
}

#[tokio::test]
async fn a_conversation_that_begins_with_poison_is_born_with_its_first_good_event() {
    let mut log = Log::default();
    let id = direct("ann", "bob");
    log.append(&event_subject(SHARD, &id), b"not json");
    let pool = views_of(&log).await;
    let nothing = load_conversation(&pool, SHARD, &id).await.unwrap();
    assert!(nothing.damaged);
    assert_eq!(nothing.state, parley_domain::Conversation::default());
    assert!(inbox(&pool, &user("ann"), Filter::All, 10, None).await.unwrap().summaries.is_empty());

    log.send("ann", "bob", "one");
    catch_up(&pool, &log).await;
    let inbox = inbox(&pool, &user("bob"), Filter::All, 10, None).await.unwrap();
    assert_eq!(inbox.summaries[0].created_at, Log::time_of(2));
    assert_eq!(inbox.summaries[0].unread, 1);
    assert!(load_conversation(&pool, SHARD, &id).await.unwrap().damaged);
}

#[tokio::test]
async fn poison_that_comes_twice_is_kept_once() {
    let mut log = Log::default();
    log.append("dm.evt.3.d.ann.bob", b"not json");
    log.send("ann", "bob", "one");
    let pool = views_of(&log).await;
    let once = dump(&pool).await;
    sqlx::query("UPDATE checkpoints SET position = 0").execute(&pool).await.unwrap();
    catch_up(&pool, &log).await;
    assert_eq!(dump(&pool).await, once);
}
