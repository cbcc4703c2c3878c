//! Projectors on a real log: killed, competing, cut off from either server, and still exact.

use std::time::{Duration, Instant};

use parley_nats::{
    Connection,
    topology::{TopologyConfig, ensure},
};
use parley_projections::{Config, Error, run};
use parley_runtime::{
    engines::testing::{TestNats, TestPostgres},
    shutdown::Shutdown,
};
use rand::Rng;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::{
    applying::random_log,
    log::{Log, SHARD},
    support::{checkpoint, count, dump, eventually, random, views_at, views_of},
};

pub const SHARDS: u16 = 4;
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A log server with the streams, and a connection to it.
pub async fn log_server() -> (TestNats, Connection) {
    let server = TestNats::start().await;
    let nats = parley_nats::connect(&server.url(), "test").await.unwrap();
    let topology =
        TopologyConfig { shards: SHARDS, replicas: 1, lease_ttl: Duration::from_secs(2) };
    Box::pin(ensure(&nats, &topology)).await.unwrap();
    (server, nats)
}

pub fn config(database_url: &str, server: &TestNats) -> Config {
    Config {
        database_url: database_url.to_owned(),
        nats_url: server.url(),
        shards: SHARDS,
        batch_events: 50,
        linger: Duration::from_millis(2),
        response_times: None,
    }
}

pub struct Running {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub fn start(config: Config) -> Self {
        let shutdown = Shutdown::new();
        let task = tokio::spawn(run(config, shutdown.clone()));
        Self { shutdown, task }
    }

    /// As a killed process: its sockets close, and nothing is said.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub async fn stop(self) {
        self.shutdown.begin();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("it ends in time").unwrap().unwrap();
    }
}

/// Appends the messages, each at the position that the test's log gave it.
pub async fn publish(nats: &Connection, log: &Log, after: u64) {
    for message in log.after(after) {
        let publish = nats.jetstream().publish(message.subject.clone(), message.payload.clone());
        let stored = publish.await.unwrap().await.unwrap();
        assert_eq!(stored.sequence, message.position);
    }
}

pub async fn caught_up(pool: &PgPool, log: &Log) {
    eventually("the views hold the log", PATIENCE, async || {
        // The database may be away at the moment.
        let reached = parley_projections::checkpoint(pool, SHARD).await;
        reached.is_ok_and(|position| position == log.last())
    })
    .await;
}

/// The views are what the whole log makes of an empty database, to the letter.
pub async fn assert_exact(pool: &PgPool, log: &Log) {
    caught_up(pool, log).await;
    assert_eq!(dump(pool).await, dump(&views_of(log).await).await);
}

/// The session that holds the shard's lock.
async fn leader(pool: &PgPool) -> Option<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = $1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(i64::from(SHARD))
    .fetch_optional(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_views_follow_the_log_and_a_stop_leaves_the_lock() {
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let mut log = random_log(&mut random(), 100);
    publish(&nats, &log, 0).await;
    let running = Running::start(config(&url, &server));
    caught_up(&pool, &log).await;
    let before = log.last();
    log.send("ann", "bob", "live");
    log.append("dm.evt.3.d.ann.bob", b"poison");
    log.send("ann", "bob", "after it");
    publish(&nats, &log, before).await;
    assert_exact(&pool, &log).await;
    assert_eq!(count(&pool, "dead_letters").await, 1);
    // Operators see how far it is.
    let mut consumer: async_nats::jetstream::consumer::PullConsumer =
        nats.jetstream().get_consumer_from_stream("projector-3", "DM_3").await.unwrap();
    assert_eq!(consumer.info().await.unwrap().num_pending, 0);
    running.stop().await;
    eventually("the lock is free", PATIENCE, async || leader(&pool).await.is_none()).await;
}

#[tokio::test]
async fn connections_killed_at_any_moment_lose_and_double_nothing() {
    let mut random = random();
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let running = Running::start(config(&url, &server));
    let log = random_log(&mut random, 1_500);
    let mut killed = 0;
    let killing = async {
        loop {
            if let Some(pid) = leader(&pool).await {
                let delay = Duration::from_millis(random.random_range(0..120));
                tokio::time::timeout(delay, std::future::pending::<()>()).await.unwrap_err();
                let done: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1)")
                    .bind(pid)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                killed += i32::from(done);
            }
            if checkpoint(&pool).await == log.last() {
                break;
            }
        }
    };
    tokio::join!(publish(&nats, &log, 0), killing);
    println!("{killed} connections were killed");
    assert!(killed > 3);
    assert_exact(&pool, &log).await;
    running.stop().await;
}

#[tokio::test]
async fn a_standby_takes_over_from_a_killed_projector() {
    let mut random = random();
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let log = random_log(&mut random, 600);
    let mut active = Running::start(config(&url, &server));
    let publishing = publish(&nats, &log, 0);
    let competing = async {
        for round in 1..=3_u64 {
            eventually("one of them projects", PATIENCE, async || leader(&pool).await.is_some())
                .await;
            let standby = Running::start(config(&url, &server));
            eventually("both are connected", PATIENCE, async || {
                count(
                    &pool,
                    "pg_stat_activity WHERE application_name = 'parley-projector-3' \
                    AND datname = current_database()",
                )
                .await
                    == 2
            })
            .await;
            let some = log.last() * round / 4;
            eventually("some is projected", PATIENCE, async || checkpoint(&pool).await >= some)
                .await;
            let first = leader(&pool).await;
            let killed = Instant::now();
            std::mem::replace(&mut active, standby).kill().await;
            eventually("the standby has the lock", PATIENCE, async || {
                let now = leader(&pool).await;
                now.is_some() && now != first
            })
            .await;
            println!("taken over within {:?}", killed.elapsed());
        }
    };
    tokio::join!(publishing, competing);
    assert_exact(&pool, &log).await;
    active.stop().await;
}

#[tokio::test]
async fn postgres_killed_and_restarted_under_load_is_caught_up_with_within_5_seconds() {
    let mut random = random();
    let (server, nats) = log_server().await;
    let postgres = TestPostgres::dedicated().await;
    let pool = views_at(&postgres.url()).await;
    let running = Running::start(config(&postgres.url(), &server));
    let log = random_log(&mut random, 900);
    let restarting = async {
        for round in 1..=2_u64 {
            let some = log.last() * round / 4;
            eventually("some is projected", PATIENCE, async || checkpoint(&pool).await >= some)
                .await;
            postgres.kill9().await;
            postgres.restart().await;
        }
        Instant::now()
    };
    let ((), back) = tokio::join!(publish(&nats, &log, 0), restarting);
    let back = back.max(Instant::now());
    caught_up(&pool, &log).await;
    println!("caught up {:?} after the end of the load", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(5));
    assert_exact(&pool, &log).await;
    running.stop().await;
}

#[tokio::test]
async fn a_postgres_that_was_down_all_along_gets_everything_once_it_is_there() {
    let (server, nats) = log_server().await;
    let postgres = TestPostgres::dedicated().await;
    let pool = views_at(&postgres.url()).await;
    postgres.stop().await;
    let running = Running::start(config(&postgres.url(), &server));
    let log = random_log(&mut random(), 300);
    publish(&nats, &log, 0).await;
    postgres.restart().await;
    let back = Instant::now();
    caught_up(&pool, &log).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_exact(&pool, &log).await;
    running.stop().await;
}

#[tokio::test]
async fn a_nats_restarted_under_load_leaves_no_gap() {
    let mut random = random();
    let (server, nats) = log_server().await;
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    let running = Running::start(config(&url, &server));
    let log = random_log(&mut random, 400);
    let (first, second) = log.messages.split_at(log.messages.len() / 2);
    for part in [first, second] {
        for message in part {
            let publish =
                nats.jetstream().publish(message.subject.clone(), message.payload.clone());
            publish.await.unwrap().await.unwrap();
        }
        server.kill9().await;
        server.restart().await;
        assert!(nats.connected(PATIENCE).await);
    }
    assert_exact(&pool, &log).await;
    running.stop().await;
}

#[tokio::test]
async fn a_log_that_was_replaced_is_refused_rather_than_skipped() {
    let (server, nats) = log_server().await;
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    publish(&nats, &log, 0).await;
    log.send("ann", "bob", "two");
    let url = TestPostgres::database().await;
    let pool = views_at(&url).await;
    crate::support::catch_up(&pool, &log).await;
    let running = Running::start(config(&url, &server));
    let ended = tokio::time::timeout(PATIENCE, running.task).await.unwrap().unwrap();
    let error = ended.unwrap_err();
    assert!(
        matches!(error, Error::LogReplaced { shard: SHARD, last: 1, checkpoint: 2 }),
        "{error}"
    );
    assert_eq!(checkpoint(&pool).await, 2);
}

#[tokio::test]
async fn another_number_of_shards_is_refused() {
    let (server, _nats) = log_server().await;
    let url = TestPostgres::database().await;
    let wrong = Config { shards: SHARDS + 1, ..config(&url, &server) };
    let ended = tokio::time::timeout(PATIENCE, run(wrong, Shutdown::new())).await.unwrap();
    assert!(matches!(ended, Err(Error::Nats(parley_nats::Failure::ShardsDiffer { .. }))));
}

#[tokio::test]
async fn a_frozen_postgres_holds_nobody_for_ever_and_is_caught_up_with() {
    let (server, nats) = log_server().await;
    let postgres = TestPostgres::dedicated().await;
    let pool = views_at(&postgres.url()).await;
    let running = Running::start(config(&postgres.url(), &server));
    let log = random_log(&mut random(), 200);
    eventually("it projects", PATIENCE, async || leader(&pool).await.is_some()).await;
    postgres.pause();
    let asked = Instant::now();
    let answer = parley_projections::checkpoint(&pool, SHARD).await;
    assert!(answer.unwrap_err().is_temporary());
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    publish(&nats, &log, 0).await;
    postgres.resume();
    let back = Instant::now();
    caught_up(&pool, &log).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_exact(&pool, &log).await;
    running.stop().await;
}
