//! The views made anew while the first are in use and the log goes on.

use std::collections::BTreeSet;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parley_projections::{
    Error,
    rebuild::{KEPT, VIEWS, rebuild, verify},
};
use parley_runtime::engines::testing::TestPostgres;
use sqlx::{Connection, PgConnection};

use crate::{
    applying::random_log,
    log::SHARD,
    projecting::{PATIENCE, Running, assert_exact, caught_up, config, log_server, publish},
    support::{count, eventually, random, views, views_at},
};

#[tokio::test]
async fn every_table_is_a_view_or_kept() {
    let pool = views().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let named: BTreeSet<&str> =
        VIEWS.iter().map(|view| view.table).chain(KEPT.iter().copied()).collect();
    assert_eq!(tables.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
    assert_eq!(named.len(), VIEWS.len() + KEPT.len());
}

#[tokio::test]
async fn views_are_compared_with_the_log_and_made_anew_while_it_goes_on() {
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let config = config(&url, &server);
    let running = Running::start(config.clone());
    let mut log = random_log(&mut random(), 800);
    log.append("dm.evt.3.d.ann.bob", b"poison");
    publish(&nats, &log, 0).await;
    caught_up(&pool, &log).await;
    assert_eq!(verify(&config, &nats, |_| ()).await.unwrap(), []);

    sqlx::query("UPDATE messages SET body = '{}' WHERE conversation_seq = 1")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("DELETE FROM members WHERE read_seq > 3").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO last_seen (user_id, last_seen_at) VALUES ('ann', now())")
        .execute(&pool)
        .await
        .unwrap();
    let found = verify(&config, &nats, |_| ()).await.unwrap();
    let is_of = |table| found.iter().filter(move |difference| difference.table == table);
    assert!(
        is_of("messages").all(|row| row.in_use && row.from_log) && is_of("messages").count() > 0
    );
    assert!(
        is_of("members").all(|row| !row.in_use && row.from_log) && is_of("members").count() > 0
    );
    assert_eq!(is_of("messages").count() + is_of("members").count(), found.len());

    // One that is killed leaves everything as it was, and is no hindrance.
    let begun = eventually("it has begun", PATIENCE, async || {
        count(&pool, "pg_namespace WHERE nspname = 'parley_rebuild'").await == 1
    });
    tokio::select! {
        ended = rebuild(&config, &nats, |_| ()) => panic!("{ended:?} before it was killed"),
        () = begun => {}
    }
    eventually("its lock is free", PATIENCE, async || {
        count(
            &pool,
            "pg_stat_activity WHERE application_name = 'parley rebuild' \
            AND datname = current_database()",
        )
        .await
            == 0
    })
    .await;

    // Events go on coming while it builds, swaps and is done.
    let before = log.last();
    for n in 0..300 {
        log.send("ann", "bob", &format!("meanwhile {n}"));
    }
    let positions = std::sync::Mutex::new(Vec::new());
    let note = |progress: parley_projections::rebuild::Progress| {
        if progress.shard == SHARD {
            positions.lock().unwrap().push(progress.position);
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&config, &nats, note), publish(&nats, &log, before));
    rebuilt.unwrap();
    assert!(positions.into_inner().unwrap().is_sorted());
    assert_exact(&pool, &log).await;
    assert_eq!(verify(&config, &nats, |_| ()).await.unwrap(), []);
    assert_eq!(count(&pool, "last_seen").await, 1);
    assert!(count(&pool, "pg_stats WHERE tablename = 'messages'").await > 0, "plans are as before");
    assert_eq!(count(&pool, "pg_namespace WHERE nspname LIKE 'parley%'").await, 0);
    let before = log.last();
    log.send("ann", "bob", "and on it goes");
    publish(&nats, &log, before).await;
    assert_exact(&pool, &log).await;
    running.stop().await;
}

/// Readers take their views in any order, and some hold one while they wait for another.
#[tokio::test]
async fn readers_notice_nothing_of_a_rebuild() {
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let config = config(&url, &server);
    let running = Running::start(config.clone());
    let log = random_log(&mut random(), 200);
    publish(&nats, &log, 0).await;
    caught_up(&pool, &log).await;
    let mut readers = tokio::task::JoinSet::new();
    let is_over = Arc::new(AtomicBool::new(false));
    for views in [
        "messages JOIN conversations USING (conversation_id)",
        "edits JOIN members USING (conversation_id)",
        "devices JOIN conversation_marks USING (user_id)",
    ] {
        let (pool, is_over) = (pool.clone(), is_over.clone());
        let (last, first) = views.split_once(" JOIN ").unwrap();
        let first = first.split_once(' ').unwrap().0;
        readers.spawn(async move {
            let mut read = 0;
            while !is_over.load(Ordering::Relaxed) {
                count(&pool, views).await;
                // The one that is exchanged last of the two is held already.
                let mut both = pool.begin().await.unwrap();
                for view in [last, first] {
                    let rows = format!("SELECT count(*) FROM {view}");
                    sqlx::query(&rows).execute(&mut *both).await.unwrap();
                }
                both.commit().await.unwrap();
                read += 1;
            }
            read
        });
    }
    for _ in 0..3 {
        rebuild(&config, &nats, |_| ()).await.unwrap();
    }
    // One that stays is not waited for, nor disturbed.
    let mut analyst = PgConnection::connect(&url).await.unwrap();
    let mut analysis = analyst.begin().await.unwrap();
    sqlx::query("SELECT FROM accounts").execute(&mut *analysis).await.unwrap();
    let rebuilt = rebuild(&config, &nats, |_| ()).await;
    assert!(matches!(rebuilt, Err(Error::InUse("accounts"))), "{rebuilt:?}");
    sqlx::query("SELECT FROM accounts").execute(&mut *analysis).await.unwrap();
    analysis.commit().await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    for read in readers.join_all().await {
        assert!(read > 0);
    }
    assert_exact(&pool, &log).await;
    running.stop().await;
}
