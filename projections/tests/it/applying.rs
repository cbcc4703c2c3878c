//! Batches: exactly once in effect, however they are cut and however often they come.

use parley_domain::{Action, Body, ClientMessageId, Emoji, Scope};
use parley_projections::apply::NotApplied;
use rand::{Rng, rngs::StdRng};

use crate::{
    log::{Log, direct},
    support::{
        apply_batch, catch_up, checkpoint, count, dump, lone_views, random, views, views_of,
    },
};

/// Commands of a few people to each other.
pub fn random_log(random: &mut StdRng, commands: usize) -> Log {
    let people = ["ann", "bob", "cid", "dan", "Eve"];
    let mut log = Log::default();
    for _ in 0..commands {
        let one = random.random_range(0..people.len());
        let other = (one + random.random_range(1..people.len())) % people.len();
        let (one, other) = (people[one], people[other]);
        let id = direct(one, other);
        let through_seq = random.random_range(0..12);
        let conversation_seq = random.random_range(1..12);
        let emoji = Emoji::parse(["👍", "❤️"][random.random_range(0..2)]).unwrap();
        match random.random_range(0..11) {
            5 => {
                let text = ["hello", "ho"][random.random_range(0..2)].to_owned();
                let body = Body::Text { text };
                drop(log.ask(&id, one, Action::EditMessage { conversation_seq, body }));
            }
            6 => {
                let action = Action::DeleteMessage { conversation_seq, reason: None };
                drop(log.ask(&id, one, action));
            }
            7 => drop(log.ask(&id, one, Action::AddReaction { conversation_seq, emoji })),
            8 => drop(log.ask(&id, one, Action::RemoveReaction { conversation_seq, emoji })),
            0 => drop(log.ask(&id, one, Action::MarkRead { through_seq })),
            1 => drop(log.ask(&id, one, Action::MarkDelivered { through_seq })),
            9 => {
                let body = r#"{"kind":"order","refId":"O-1","title":"Bicycle"}"#;
                let action = Action::SendMessage {
                    client_message_id: ClientMessageId::parse(&format!("o-{}", log.last()))
                        .unwrap(),
                    body: serde_json::from_str(body).unwrap(),
                    reply_to: None,
                };
                drop(log.ask_as(Scope::Service, &id, one, action));
            }
            10 => drop(log.send_files(one, other, &[u128::from(log.last()), 1])),
            _ => drop(log.send(one, other, "hello")),
        }
    }
    log
}

#[tokio::test]
async fn however_the_log_is_cut_into_batches_the_views_are_the_same() {
    let mut random = random();
    let log = random_log(&mut random, 300);
    let at_once = dump(&views_of(&log).await).await;
    for largest in [1, 7, 100] {
        let pool = views().await;
        while checkpoint(&pool).await < log.last() {
            let rest = log.after(checkpoint(&pool).await);
            let size = random.random_range(1..=largest).min(rest.len());
            apply_batch(&pool, &rest[..size]).await.unwrap();
        }
        assert_eq!(dump(&pool).await, at_once, "batches of at most {largest}");
    }
}

#[tokio::test]
async fn applying_twice_is_applying_once() {
    let mut random = random();
    let log = random_log(&mut random, 200);
    let pool = views_of(&log).await;
    let once = dump(&pool).await;
    // Known messages are skipped.
    assert_eq!(apply_batch(&pool, &log.messages).await.unwrap().checkpoint, log.last());
    assert_eq!(dump(&pool).await, once);
    // Even if the checkpoint were lost, and the log came again in parts.
    sqlx::query("UPDATE checkpoints SET position = 0").execute(&pool).await.unwrap();
    for part in log.messages.chunks(11) {
        apply_batch(&pool, part).await.unwrap();
    }
    assert_eq!(dump(&pool).await, once);
}

#[tokio::test]
async fn two_projectors_of_one_shard_cannot_both_write() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    let pool = views_of(&log).await;
    log.send("ann", "bob", "two");
    let mut late = pool.acquire().await.unwrap();
    let behind = checkpoint(&pool).await;
    catch_up(&pool, &log).await;
    let before = dump(&pool).await;
    log.send("ann", "bob", "three");
    let refused =
        parley_projections::apply::apply(&mut late, crate::log::SHARD, behind, &log.messages).await;
    assert!(matches!(refused, Err(NotApplied::Superseded { expected, .. }) if expected == behind));
    assert_eq!(dump(&pool).await, before);
    // The connection is as good as before.
    catch_up(&pool, &log).await;
    assert_eq!(count(&pool, "messages").await, 3);
}

#[tokio::test]
async fn a_batch_that_is_cut_off_anywhere_leaves_all_of_it_or_nothing() {
    let mut random = random();
    let log = random_log(&mut random, 400);
    let expected = dump(&views_of(&log).await).await;
    let pool = views().await;
    let mut cuts = 0;
    while checkpoint(&pool).await < log.last() {
        let mut connection = pool.acquire().await.unwrap().detach();
        let pid: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let before = checkpoint(&pool).await;
        let rest = log.after(before);
        let batch = &rest[..rest.len().min(20)];
        sqlx::query(
            "INSERT INTO checkpoints (shard, position) VALUES ($1, 0) ON CONFLICT DO NOTHING",
        )
        .bind(i32::from(crate::log::SHARD))
        .execute(&pool)
        .await
        .unwrap();
        let applying =
            parley_projections::apply::apply(&mut connection, crate::log::SHARD, before, batch);
        let delay = std::time::Duration::from_micros(random.random_range(0..8_000));
        let killing = async {
            tokio::time::timeout(delay, std::future::pending::<()>()).await.unwrap_err();
            sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&pool).await.unwrap();
        };
        let (applied, ()) = tokio::join!(applying, killing);
        let after = checkpoint(&pool).await;
        match applied {
            Ok(applied) => assert_eq!(applied.checkpoint, after),
            Err(_) => {
                cuts += 1;
                // A commit whose answer was cut off counts.
                assert!(after == before || after == batch[batch.len() - 1].position);
            }
        }
    }
    println!("{cuts} batches were cut off");
    assert_eq!(dump(&pool).await, expected);
}

#[tokio::test]
async fn nearly_every_update_stays_on_its_page_and_touches_no_index() {
    let mut log = Log::default();
    for _ in 0..40 {
        for other in 0..25 {
            log.send("ann", &format!("u{other}"), "hello");
        }
    }
    let pool = lone_views().await;
    for batch in log.messages.chunks(25) {
        apply_batch(&pool, batch).await.unwrap();
    }
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(&pool).await.unwrap();
    let (updates, hot): (i64, i64) = sqlx::query_as(
        "SELECT sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint FROM pg_stat_user_tables \
         WHERE relname IN ('conversations', 'members')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(updates, 2 * 39 * 25);
    // All but a few; what runs beside this test may keep old rows on their pages for a while. With an
    // index on what changes, or full pages, it would be next to none.
    assert!(hot * 10 >= updates * 6, "{hot} of {updates}");
}
