//! What an idle connection costs. Alone in its process, as it measures the process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "http/support.rs"]
#[expect(dead_code, reason = "HTTP's tests need more of it")]
mod support;

use parley_runtime::engines::testing::TestPostgres;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::World;

const CONNECTIONS: usize = 1_000;
/// The gateway's share and the test's own half of each socket, in an unoptimised build.
const MAX_BYTES_EACH: usize = 16 * 1_024;

/// A client that takes next to no memory: its frames are made by hand.
async fn connect(world: &World, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let upgrade = "GET /v1/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let hello = json!({"type":"hello","sessionToken":token,"deviceId":"d"}).to_string();
    // A text frame with a mask of zeros.
    let length = u16::try_from(hello.len()).unwrap().to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.extend_from_slice(hello.as_bytes());
    stream.write_all(&frame).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("caughtUp") {
        let mut buffer = [0; 512];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
    }
    stream
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[tokio::test]
async fn an_idle_connection_is_small() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let device = json!({"deviceId": "d", "platform": "test"});
    let session = world.post("/v1/sessions/bootstrap", "yan", &device).await.ok(200);
    let token = session["sessionToken"].as_str().unwrap();
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(connect(&world, token).await);
    }
    let before = resident_bytes();
    for _ in 0..CONNECTIONS {
        held.push(connect(&world, token).await);
    }
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    println!("{each} bytes each");
    assert!(each < MAX_BYTES_EACH, "{each} bytes each");
    world.shutdown().begin();
}
