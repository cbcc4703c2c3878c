//! What system tests are made with.
//!
//! ```ignore
//! let up = Up::start().await;                       // all of Parley, in a scratch directory
//! let alice = up.client("alice").await;             // HTTP, signed in
//! let sent = alice.post("/v1/conversations/d.alice.bob/messages", &json).await;
//! let mut bob = up.socket("bob", "phone", None).await; // WebSocket, signed in
//! up.kill9().await;                                 // the whole process group
//! up.restart().await;                               // same directory, same port
//! ```
//!
//! [`Deployment`] instead runs the services one by one, on test engines that can be killed.

mod command;
mod deployment;
mod http;
mod socket;
mod up;

pub use command::{Ran, run};
pub use deployment::{Deployment, Service};
pub use http::{Answer, Client};
pub use socket::Socket;
pub use up::Up;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_parley"))
}

/// An address nobody listens on now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Polls until `check` gives a value, and returns it.
///
/// # Panics
/// After `within`, with what was waited for.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
