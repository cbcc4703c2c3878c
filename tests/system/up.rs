//! `parley up` and its engines: found again after any end.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

use crate::harness::{Up, eventually, run};

async fn query(up: &Up, sql: &str) {
    let mut connection = PgConnection::connect(&up.database_url()).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_killed_group_starts_again_and_has_its_data() {
    let mut up = Up::start().await;
    query(&up, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    let urls = (up.nats_url(), up.database_url());
    up.kill9();
    up.restart().await;
    assert_eq!((up.nats_url(), up.database_url()), urls);
    query(&up, "SELECT 1 / (answer - 41) FROM kept").await;
}

#[tokio::test]
async fn engines_do_not_outlive_a_program_that_is_killed_alone() {
    let mut up = Up::start().await;
    query(&up, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    assert!(up.program().group().len() > 2, "the engines are in its group");
    up.program().signal(Signal::SIGKILL);
    eventually("the engines are gone", Duration::from_secs(10), async || {
        up.program().group().is_empty().then_some(())
    })
    .await;
    up.kill9();
    up.restart().await;
    query(&up, "SELECT 1 / (answer - 41) FROM kept").await;
}

#[tokio::test]
async fn sigterm_ends_everything_cleanly() {
    let mut up = Up::start().await;
    let started = Instant::now();
    let status = up.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", up.output());
    assert!(started.elapsed() < Duration::from_secs(15));
    let log = std::fs::read_to_string(up.data().join("postgres.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
}

#[tokio::test]
async fn sigterm_ends_a_start_that_is_under_way() {
    let mut up = Up::prepare(&[], &[]);
    up.launch().await;
    let data = up.data();
    eventually("it has begun", Duration::from_secs(10), async || {
        data.join("parley.lock").exists().then_some(())
    })
    .await;
    assert_eq!(up.terminate().await.code(), Some(0));
    up.restart().await;
}

#[tokio::test]
async fn an_engine_that_dies_alone_is_started_again() {
    let up = Up::start().await;
    let file = up.data().join("postgres/data/postmaster.pid");
    let postmaster =
        || -> Option<i32> { std::fs::read_to_string(&file).ok()?.lines().next()?.parse().ok() };
    let first = postmaster().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("PostgreSQL is back", Duration::from_secs(30), async || {
        let back = postmaster().is_some_and(|pid| pid != first);
        (back && PgConnection::connect(&up.database_url()).await.is_ok()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_one_is_refused_the_same_directory() {
    let up = Up::start().await;
    let data = up.data().display().to_string();
    let second = run(&["up", "--listen", "127.0.0.1:1", "--data", &data], &[]).await;
    assert_eq!(second.code, Some(69));
    assert!(second.stderr.contains("in use by another parley"), "{}", second.stderr);
}
