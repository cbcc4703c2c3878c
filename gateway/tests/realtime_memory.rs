//! What an idle connection costs. Alone in its process, as it measures the process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "http/support.rs"]
#[expect(dead_code, reason = "HTTP's tests need more of it")]
mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use dhat::HeapStats;
use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;

use crate::support::{World, token};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const FIRST: usize = 200;
const CONNECTIONS: usize = 1_000;
/// What one may hold of the heap, whatever it was sent before.
const MAX_BYTES_EACH: usize = 6 * 1_024;
const PAGE_BYTES: usize = 4_000;

/// A client that takes none of the heap: a socket of the operating system's, which blocks.
fn connect(address: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let upgrade = format!(
        "GET /v1/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).unwrap();
    let hello = json!({"type": "hello", "deviceId": "phone"}).to_string();
    // A short text frame with a mask of zeros.
    let length = u8::try_from(hello.len()).unwrap();
    stream.write_all(&[0x81, 0x80 | length, 0, 0, 0, 0]).unwrap();
    stream.write_all(hello.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("caughtUp") {
        let mut buffer = [0; 512];
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
    assert!(seen.len() > PAGE_BYTES, "a page of {}", seen.len());
    stream
}

/// Everybody is another person.
async fn connect_all(world: &World, people: std::ops::Range<usize>) -> Vec<TcpStream> {
    let address = world.address().to_owned();
    let connect_each = move || {
        let tokens = people.map(|n| token(&format!("idle{n}"), Scope::User));
        tokens.map(|token| connect(&address, &token)).collect()
    };
    tokio::task::spawn_blocking(connect_each).await.unwrap()
}

/// Everybody has been written to, so that their first page is longer than most frames.
async fn write_to_all(world: &World, people: usize) {
    let text = "x".repeat(PAGE_BYTES);
    for n in 0..people {
        let body = json!({"clientMessageId": "c-1", "body": {"kind": "text", "text": text}});
        let path = format!("/v1/conversations/d.Writer.idle{n}/messages");
        world.post(&path, "Writer", &body).await.ok(202);
    }
    for n in 0..people {
        let path = format!("/v1/conversations/d.Writer.idle{n}");
        world.get_until(&path, "Writer", |summary| summary["lastSeq"] == 1).await;
    }
}

/// Of the heap, once nothing moves any more.
async fn held_bytes() -> usize {
    let mut last = HeapStats::get().curr_bytes;
    let mut quiet = 0;
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = HeapStats::get().curr_bytes;
        quiet = if now.abs_diff(last) < 4_096 { quiet + 1 } else { 0 };
        last = now;
        if quiet == 10 {
            return now;
        }
    }
    panic!("the heap does not come to rest");
}

#[tokio::test]
async fn an_idle_connection_is_small() {
    let _profiler = dhat::Profiler::builder().testing().trim_backtraces(Some(1)).build();
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    write_to_all(&world, FIRST + CONNECTIONS).await;
    // What is made once, and tables that grow in steps, are there by then.
    let _first = connect_all(&world, 0..FIRST).await;
    let before = held_bytes().await;
    let _held = connect_all(&world, FIRST..FIRST + CONNECTIONS).await;
    let each = held_bytes().await.saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes each");
    assert!(each < MAX_BYTES_EACH, "{each} bytes each");
    world.shutdown().begin();
}
