//! Signing in: tokens, sessions, the cookie and the origin.

use axum::http::header;
use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;

use crate::support::{ALLOWED_ORIGIN, World, token, world};

const BOOTSTRAP: &str = "/v1/sessions/bootstrap";

#[tokio::test]
async fn bootstrap_gives_a_session_as_token_and_cookie() {
    let world = world();
    let body = json!({"deviceId": "dev_1", "platform": "web"});
    let answer = world.post(BOOTSTRAP, "boot_a", &body).await;
    let session = answer.ok(200);
    assert_eq!((&session["userId"], &session["deviceId"]), (&json!("boot_a"), &json!("dev_1")));
    assert_eq!(session["websocketUrl"], format!("ws://{}/v1/connect", world.address()));
    assert!(session["expiresAt"].as_str().unwrap().ends_with('Z'));
    let token = session["sessionToken"].as_str().unwrap();
    let cookie = answer.header(header::SET_COOKIE);
    // Twelve hours, but for the part of a second that the token does not count.
    let start = format!("parley_session={token}; Path=/; Max-Age=43");
    assert!(cookie.starts_with(&start), "{cookie}");
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");

    let authorization = format!("Bearer {token}");
    let by_token = [("authorization", authorization.as_str())];
    world.request("GET", "/v1/conversations", &by_token, "").await.ok(200);
    // It speaks for its own device only.
    let headers = [by_token[0], ("content-type", "application/json")];
    let other = r#"{"deviceId":"dev_2","platform":"web"}"#;
    world.request("POST", BOOTSTRAP, &headers, other).await.refused(403, "forbidden");
    let own = world.request("POST", BOOTSTRAP, &headers, body.to_string()).await.ok(200);
    assert_eq!(own["userId"], "boot_a");
    assert!(own["expiresAt"].as_str() <= session["expiresAt"].as_str());
    let cursor = r#"{"deviceId":"dev_2","readThroughSeq":0}"#;
    let path = "/v1/conversations/d.boot_a.boot_b/read-cursors";
    world.request("POST", path, &headers, cursor).await.refused(403, "forbidden");

    for (bad, status, code) in [
        (json!({"deviceId": "dev 1", "platform": "web"}), 400, "invalid_id"),
        (json!({"deviceId": "dev_1"}), 400, "invalid_body"),
        (json!({"deviceId": "dev_1", "platform": ""}), 422, "invalid_body"),
        (json!({"deviceId": "dev_1", "platform": "x".repeat(65)}), 422, "invalid_body"),
    ] {
        world.post(BOOTSTRAP, "boot_a", &bad).await.refused(status, code);
    }
}

#[tokio::test]
async fn behind_tls_the_cookie_and_the_socket_are_secure() {
    let database = TestPostgres::database().await;
    let url = [("PARLEY_PUBLIC_URL", "https://chat.example/dm")];
    let world = World::start_with(&database, &url).await;
    let body = json!({"deviceId": "dev_1", "platform": "web"});
    let answer = world.post(BOOTSTRAP, "tls_a", &body).await;
    assert_eq!(answer.ok(200)["websocketUrl"], "wss://chat.example/dm/v1/connect");
    assert!(answer.header(header::SET_COOKIE).ends_with("; SameSite=Strict; Secure"));
    world.shutdown().begin();
}

#[tokio::test]
async fn the_cookie_works_for_the_allowed_pages_only() {
    let world = world();
    let body = json!({"deviceId": "dev_1", "platform": "web"});
    let session = world.post(BOOTSTRAP, "cook_a", &body).await.ok(200);
    let cookie = format!("a=b; parley_session={}", session["sessionToken"].as_str().unwrap());
    let cookie = ("cookie", cookie.as_str());
    let ours = ("origin", ALLOWED_ORIGIN);
    let theirs = ("origin", "https://evil.example");
    let json_type = ("content-type", "application/json");
    let inbox = "/v1/conversations";

    world.request("GET", inbox, &[cookie], "").await.ok(200);
    let answer = world.request("GET", inbox, &[cookie, ours], "").await;
    answer.ok(200);
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), ALLOWED_ORIGIN);
    let refused = world.request("GET", inbox, &[cookie, theirs], "").await;
    refused.refused(403, "forbidden");
    assert!(!refused.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));

    let path = "/v1/conversations/d.cook_a.cook_b/messages";
    let message = r#"{"clientMessageId":"c","body":{"kind":"text","text":"x"}}"#;
    let send = |headers: Vec<(&'static str, String)>| async move {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        world.request("POST", path, &headers, message).await
    };
    let owned = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    send(owned(&[cookie, json_type])).await.refused(403, "forbidden");
    send(owned(&[cookie, json_type, theirs])).await.refused(403, "forbidden");
    send(owned(&[cookie, json_type, ours])).await.ok(202);
    // A program that names its token is not a browser that was lured here.
    let authorization = format!("Bearer {}", token("cook_a", Scope::User));
    let named = ("authorization", authorization.as_str());
    send(owned(&[named, json_type, theirs])).await.ok(202);
    // The header wins, also when it is wrong.
    let wrong = ("authorization", "Bearer x");
    send(owned(&[cookie, wrong, json_type, ours])).await.refused(401, "unauthenticated");
    // A token of the marketplace is no cookie.
    let dressed = format!("parley_session={}", token("cook_a", Scope::User));
    let dressed = ("cookie", dressed.as_str());
    world.request("GET", inbox, &[dressed], "").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn an_allowed_page_may_ask_before_it_sends() {
    let world = world();
    let ask = |origin: &'static str| async move {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        world.request("OPTIONS", "/v1/sessions/bootstrap", &headers, "").await
    };
    let allowed = ask(ALLOWED_ORIGIN).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
    assert!(allowed.header(header::ACCESS_CONTROL_ALLOW_HEADERS).contains("authorization"));
    let refused = ask("https://evil.example").await;
    refused.refused(405, "method_not_allowed");
    assert!(!refused.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn without_a_good_token_there_is_no_way_in() {
    let world = world();
    let answer = world.get("/v1/conversations", "").await;
    answer.refused(401, "unauthenticated");
    assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer");
    let none = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    for bad in ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer x.y.z", none] {
        let headers = [("authorization", bad)];
        let answer = world.request("GET", "/v1/conversations", &headers, "").await;
        answer.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn in_development_anyone_may_be_anyone() {
    let world = world();
    let answer = world.post("/dev/token", "", &json!({"userId": "devi"})).await.ok(200);
    let authorization = format!("Bearer {}", answer["token"].as_str().unwrap());
    let headers = [("authorization", authorization.as_str())];
    world.request("GET", "/v1/conversations", &headers, "").await.ok(200);
    for (bad, code) in [
        (json!({"userId": "a.b"}), "invalid_id"),
        (json!({"userId": "a", "scope": "root"}), "invalid_body"),
        (json!({}), "invalid_body"),
    ] {
        world.post("/dev/token", "", &bad).await.refused(400, code);
    }
}
