//! What is around the endpoints: routes that do not exist, the page, limits, the drain.

use std::time::Duration;

use axum::http::header;
use parley_runtime::engines::testing::TestPostgres;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{World, world};

#[tokio::test]
async fn what_has_no_route_is_a_404_and_a_wrong_method_a_405() {
    let world = world();
    for path in ["/v1", "/v1/", "/v1/groups", "/nothing", "/v1/conversations/"] {
        world.get(path, "edge_a").await.refused(404, "not_found");
    }
    for (method, path) in [
        ("DELETE", "/v1/conversations"),
        ("PATCH", "/v1/conversations/d.a.b/messages"),
        ("GET", "/v1/sessions/bootstrap"),
        ("POST", "/healthz"),
        ("POST", "/"),
    ] {
        world.request(method, path, &[], "").await.refused(405, "method_not_allowed");
    }
    let answer = world.request("DELETE", "/v1/conversations", &[], "").await;
    assert!(answer.header(header::ALLOW).contains("GET"), "{answer:?}");
}

#[tokio::test]
async fn only_json_is_taken() {
    let world = world();
    let body = r#"{"userId":"a"}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let headers = [("content-type", content_type)];
        let answer = world.request("POST", "/dev/token", &headers, body).await;
        answer.refused(415, "unsupported_media_type");
    }
    let headers = [("content-type", "application/json; charset=utf-8")];
    world.request("POST", "/dev/token", &headers, body).await.ok(200);
    world.request("POST", "/dev/token", &[], body).await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn the_page_is_served_and_guarded() {
    let page = world().get("/", "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(page.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    let etag = page.header(header::ETAG).to_owned();
    let headers = [("if-none-match", etag.as_str())];
    let known = world().request("GET", "/", &headers, "").await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
}

#[tokio::test]
async fn operators_see_health_readiness_and_metrics() {
    let world = world();
    assert_eq!(world.get("/healthz", "").await.ok(200)["status"], "ok");
    let ready = world.get("/readyz", "").await.ok(200);
    assert_eq!((&ready["ready"], &ready["nats"]), (&true.into(), &true.into()));
    world.get("/v1/conversations/d.metric_a.metric_b", "metric_a").await.ok(200);
    let metrics = world.get("/metrics", "").await;
    assert!(metrics.text.contains("route=\"/v1/conversations/{id}\",status=\"200\""));
    assert!(!metrics.text.contains("metric_a"));
}

#[tokio::test]
async fn a_slow_head_and_a_full_house_are_turned_away() {
    let database = TestPostgres::database().await;
    let variables = [
        ("PARLEY_HEADER_TIMEOUT_MILLIS", "300"),
        ("PARLEY_MAX_CONNECTIONS", "2"),
        ("PARLEY_METRICS_LISTEN", "127.0.0.1:0"),
    ];
    let world = World::start_with(&database, &variables).await;
    world.get("/metrics", "").await.refused(404, "not_found");

    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(world.address()).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let mut last = TcpStream::connect(world.address()).await.unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"code\":\"unavailable\""));

    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
        assert!(ended.is_ok(), "a slow connection is still open");
    }
    world.get("/healthz", "").await.ok(200);
    world.shutdown().begin();
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let mut open = TcpStream::connect(world.address()).await.unwrap();
    let head = "POST /dev/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 14\r\n\r\n{\"userId\"";
    open.write_all(head.as_bytes()).await.unwrap();
    // The server has read the head for sure once it has answered somebody after it.
    world.get("/healthz", "").await.ok(200);
    world.shutdown().begin();
    open.write_all(b":\"a\"}").await.unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let drained = tokio::time::timeout(Duration::from_secs(10), world.shutdown().drained()).await;
    assert_eq!(drained, Ok(true));
    assert!(TcpStream::connect(world.address()).await.is_err());
}
