//! Private engines on real servers: what is written survives what happens to them.

use std::time::{Duration, Instant};

use parley_runtime::engines::testing::{TestNats, TestNatsCluster, TestPostgres};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn postgres_keeps_what_was_committed_over_a_kill() {
    let server = TestPostgres::dedicated().await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::query("CREATE TABLE t AS SELECT 42 AS answer").execute(&mut connection).await.unwrap();
    let url = server.url();
    server.kill9().await;
    assert_eq!(server.pid(), None);
    server.restart().await;
    assert_eq!(server.url(), url);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let answer: i32 =
        sqlx::query_scalar("SELECT answer FROM t").fetch_one(&mut connection).await.unwrap();
    assert_eq!(answer, 42);
}

#[tokio::test]
async fn each_test_database_is_empty_and_its_own() {
    let (one, two) = tokio::join!(TestPostgres::database(), TestPostgres::database());
    assert_ne!(one, two);
    for url in [one, two] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query("CREATE TABLE only_here (id int)").execute(&mut connection).await.unwrap();
        let lower: String =
            sqlx::query_scalar("SELECT lower('ÄÖЖ')").fetch_one(&mut connection).await.unwrap();
        assert_eq!(lower, "äöж");
    }
}

#[tokio::test]
async fn nats_starts_again_on_its_port() {
    let started = Instant::now();
    let nats = TestNats::start().await;
    eprintln!("nats ready after {:?}", started.elapsed());
    let url = nats.url();
    nats.kill9().await;
    nats.restart().await;
    assert_eq!(nats.url(), url);
    nats.stop().await;
    assert_eq!(nats.pid(), None);
}

#[tokio::test]
async fn three_servers_make_a_cluster() {
    let started = Instant::now();
    let cluster = TestNatsCluster::start().await;
    eprintln!("cluster ready after {:?}", started.elapsed());
    assert_eq!(cluster.nodes().len(), 3);
    assert!(started.elapsed() < Duration::from_secs(30));
}
