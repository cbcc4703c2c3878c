//! Private engines as `parley up` runs them: found again, supervised, never doubled.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, getpgid};
use parley_runtime::engines::nats::{NatsOptions, NatsServer};
use parley_runtime::engines::postgres::{Postgres, PostgresOptions};
use parley_runtime::engines::testing::ScratchDir;
use parley_runtime::engines::{DirLock, EngineError};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

const OPTIONS: PostgresOptions = PostgresOptions { fsync: false, max_connections: 20 };

async fn write(postgres: &Postgres) {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS answer").execute(&mut connection).await.unwrap();
}

async fn read(postgres: &Postgres) -> i32 {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::query_scalar("SELECT answer FROM kept").fetch_one(&mut connection).await.unwrap()
}

/// Polls until `condition` holds, for at most 30 seconds.
async fn eventually<F: AsyncFn() -> bool>(what: &str, condition: F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_second_process_is_refused_the_directory() {
    let scratch = ScratchDir::new();
    let dir = scratch.path().join("data");
    let lock = DirLock::take(&dir).unwrap();
    let refused = DirLock::take(&dir).unwrap_err();
    assert!(matches!(refused, EngineError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(lock);
    DirLock::take(&dir).unwrap();
}

#[tokio::test]
async fn killed_engines_come_back_by_themselves_and_stop_when_told() {
    let scratch = ScratchDir::new();
    let postgres = Arc::new(Postgres::start(scratch.path(), OPTIONS).await.unwrap());
    let nats = NatsServer::start(scratch.path(), NatsOptions::default()).await;
    let nats = Arc::new(nats.unwrap());
    write(&postgres).await;
    let stop = CancellationToken::new();
    let supervised = tokio::spawn({
        let (postgres, nats, stop) = (Arc::clone(&postgres), Arc::clone(&nats), stop.clone());
        async move { tokio::join!(postgres.supervise(stop.clone()), nats.supervise(stop)) }
    });

    let first = (postgres.pid().unwrap(), nats.pid().unwrap());
    for pid in [first.0, first.1] {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    eventually("both run again", async || {
        postgres.pid().is_some_and(|pid| pid != first.0)
            && nats.pid().is_some_and(|pid| pid != first.1)
            && PgConnection::connect(&postgres.url()).await.is_ok()
            && async_nats::connect(nats.url()).await.is_ok()
    })
    .await;
    assert_eq!(read(&postgres).await, 42);

    stop.cancel();
    supervised.await.unwrap();
    assert_eq!((postgres.pid(), nats.pid()), (None, None));
    let log = fs::read_to_string(scratch.path().join("postgres.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
}

#[tokio::test]
async fn lock_files_of_a_killed_server_are_no_obstacle() {
    let scratch = ScratchDir::new();
    let postgres = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    write(&postgres).await;
    let url = postgres.url();
    postgres.stop().await;
    // After a reboot the id in the file may be anybody's: here, init's.
    let stale = scratch.path().join("postgres/data/postmaster.pid");
    fs::write(&stale, "1\n/somewhere\n0\n1\n\n127.0.0.1\n").unwrap();
    fs::create_dir_all(scratch.path().join("nats")).unwrap();
    fs::write(scratch.path().join("nats/nats.pid"), "1").unwrap();

    let postgres = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    assert_eq!(postgres.url(), url);
    assert_eq!(read(&postgres).await, 42);
    let nats = NatsServer::start(scratch.path(), NatsOptions::default()).await;
    nats.unwrap().stop().await;
    postgres.stop().await;
}

#[tokio::test]
async fn engines_of_an_earlier_run_are_ended_first() {
    let scratch = ScratchDir::new();
    let first = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    let first_nats = NatsServer::start(scratch.path(), NatsOptions::default()).await;
    let first_nats = first_nats.unwrap();
    write(&first).await;
    // Frozen: they cannot end by themselves.
    for pid in [first.pid().unwrap(), first_nats.pid().unwrap()] {
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    }
    let second = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    let second_nats = NatsServer::start(scratch.path(), NatsOptions::default()).await;
    let second_nats = second_nats.unwrap();
    eventually("the first ones are gone", async || {
        first.pid().is_none() && first_nats.pid().is_none()
    })
    .await;
    assert_eq!(second.url(), first.url());
    assert_eq!(second_nats.url(), first_nats.url());
    assert_eq!(read(&second).await, 42);
    second.stop().await;
    second_nats.stop().await;
}

#[tokio::test]
async fn a_port_that_somebody_else_took_is_given_up() {
    let scratch = ScratchDir::new();
    let postgres = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    write(&postgres).await;
    postgres.stop().await;
    let port: u16 =
        fs::read_to_string(scratch.path().join("postgres/port")).unwrap().trim().parse().unwrap();
    let squatter = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let again = Postgres::start(scratch.path(), OPTIONS).await.unwrap();
    assert_ne!(again.url(), postgres.url());
    assert_eq!(read(&again).await, 42);
    again.stop().await;
    drop(squatter);
}

#[tokio::test]
async fn engines_run_unprivileged_and_in_our_process_group() {
    // Below a directory that is closed to every other user, as /root is.
    let scratch = ScratchDir::new();
    let dir = scratch.path().join("closed/data");
    fs::create_dir_all(&dir).unwrap();
    let nats = NatsServer::start(&dir, NatsOptions::default()).await;
    let nats = nats.unwrap();
    let postgres = Postgres::start(&dir, OPTIONS).await.unwrap();
    write(&postgres).await;
    for pid in [nats.pid().unwrap(), postgres.pid().unwrap()] {
        let group = getpgid(Some(Pid::from_raw(pid))).unwrap();
        assert_eq!(group, getpgid(None).unwrap());
    }
    let status = process_status(postgres.pid().unwrap());
    let field = |name: &str| -> &str {
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap().split_whitespace().nth(1).unwrap()
    };
    assert_ne!(field("Uid:"), "0");
    if Uid::effective().is_root() {
        // No more than the right to pass through the closed directory.
        let held = u64::from_str_radix(field("CapEff:"), 16).unwrap();
        assert!(held.count_ones() <= 1, "{status}");
    } else {
        assert_eq!(field("Uid:"), Uid::effective().to_string());
    }
    postgres.stop().await;
    nats.stop().await;
}

fn process_status(pid: i32) -> String {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap()
}
