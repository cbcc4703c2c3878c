//! The engines for tests: what every crate's tests build upon.

use std::time::Duration;

use async_nats::jetstream;
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

#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_hurry_the_start() {
    let nats = TestNats::start().await;
    assert!(nats.pid().is_some());
}

#[tokio::test]
async fn nats_keeps_what_it_acknowledged_over_a_kill() {
    let nats = TestNats::start().await;
    let url = nats.url();
    let js = jetstream::new(async_nats::connect(&url).await.unwrap());
    js.create_stream(jetstream::stream::Config {
        name: "S".into(),
        subjects: vec!["s".into()],
        ..Default::default()
    })
    .await
    .unwrap();
    js.publish("s", "kept".into()).await.unwrap().await.unwrap();

    nats.kill9().await;
    assert_eq!(nats.pid(), None);
    nats.restart().await;
    assert_eq!(nats.url(), url);

    let js = jetstream::new(async_nats::connect(&url).await.unwrap());
    let stream = js.get_stream("S").await.unwrap();
    assert_eq!(stream.get_raw_message(1).await.unwrap().payload, "kept");

    nats.stop().await;
    assert_eq!(nats.pid(), None);
}

#[tokio::test]
async fn a_paused_server_answers_once_it_is_resumed() {
    let nats = TestNats::start().await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    nats.pause();
    let flushed = tokio::time::timeout(Duration::from_millis(200), client.flush());
    // A flush only hands the bytes to the kernel; a new connection needs an answer.
    drop(flushed.await);
    let connected =
        tokio::time::timeout(Duration::from_millis(200), async_nats::connect(nats.url()));
    assert!(!matches!(connected.await, Ok(Ok(_))));
    nats.resume();
    async_nats::connect(nats.url()).await.unwrap();
}

#[tokio::test]
async fn three_servers_make_a_cluster() {
    let cluster = TestNatsCluster::start().await;
    assert_eq!(cluster.nodes().len(), 3);
    let js = jetstream::new(async_nats::connect(cluster.urls()).await.unwrap());
    let stream = js
        .create_stream(jetstream::stream::Config {
            name: "R".into(),
            subjects: vec!["r".into()],
            num_replicas: 3,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(stream.cached_info().config.num_replicas, 3);
}
