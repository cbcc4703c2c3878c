//! Opening a WebSocket: who gets in, who is told no before, and who is told by a close code.

use parley_domain::Scope;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{ALLOWED_ORIGIN, token, world};

/// Sends a handshake with these headers; gives the status, and the socket to read frames from.
async fn handshake(headers: &[(&str, &str)]) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(world().address()).await.unwrap();
    let mut request = String::from(
        "GET /v1/connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, stream)
}

/// The code of the close frame that comes next.
async fn close_code(mut stream: TcpStream) -> u16 {
    assert_eq!(stream.read_u8().await.unwrap(), 0x88);
    assert!(stream.read_u8().await.unwrap() >= 2);
    stream.read_u16().await.unwrap()
}

async fn cookie() -> String {
    let body = json!({"deviceId": "dev_1", "platform": "web"});
    let session = world().post("/v1/sessions/bootstrap", "ws_a", &body).await.ok(200);
    format!("parley_session={}", session["sessionToken"].as_str().unwrap())
}

#[tokio::test]
async fn a_header_is_checked_before_the_upgrade() {
    let good = format!("Bearer {}", token("ws_a", Scope::User));
    assert_eq!(handshake(&[("authorization", &good)]).await.0, 101);
    assert_eq!(handshake(&[("authorization", "Bearer x")]).await.0, 401);
    // Without any, the hello will tell.
    assert_eq!(handshake(&[]).await.0, 101);
}

#[tokio::test]
async fn a_cookie_needs_an_allowed_page_and_the_page_sees_why_not() {
    let cookie = cookie().await;
    let cookie = ("cookie", cookie.as_str());
    assert_eq!(handshake(&[cookie, ("origin", ALLOWED_ORIGIN)]).await.0, 101);
    for headers in [&[cookie, ("origin", "https://evil.example")][..], &[cookie][..]] {
        let (status, socket) = handshake(headers).await;
        assert_eq!((status, close_code(socket).await), (101, 4403));
    }
    // As if there was none: the hello has five seconds.
    let old = ("cookie", "parley_session=x.y.z");
    assert_eq!(handshake(&[old, ("origin", ALLOWED_ORIGIN)]).await.0, 101);
}

#[tokio::test]
async fn a_plain_request_is_told_what_this_is_for() {
    world().get("/v1/connect", "ws_a").await.refused(400, "invalid_body");
}
