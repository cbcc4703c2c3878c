//! Engines for tests: real servers on free ports in scratch directories, gone with the test.
//!
//! Everything here panics instead of returning errors: a test that has no server has failed.
//!
//! ```no_run
//! # async fn example() {
//! use parley_runtime::engines::testing::{TestNats, TestPostgres};
//!
//! let nats = TestNats::start().await;           // this test's own server
//! let database_url = TestPostgres::database().await; // a fresh database on the process's server
//! nats.kill9().await;
//! nats.restart().await;                         // same URL, same data
//! # }
//! ```

mod nats;
mod nats_proxy;
mod postgres;
mod program;
mod scratch;

pub use nats::{TestNats, TestNatsCluster};
pub use nats_proxy::NatsProxy;
pub use postgres::{TestPostgres, TestPostgresServer};
pub use program::TestProgram;
pub use scratch::ScratchDir;

use std::fmt::Display;

use tokio::sync::oneshot;

/// Runs `work` on a thread and runtime of its own.
///
/// A test's runtime may have its clock paused, and would then let every timeout of a starting
/// server pass in an instant; and what is shared by all tests must not belong to the runtime of
/// the first one.
async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, result) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("test-engine".into()).spawn(move || {
        let runtime = or_panic(
            "a runtime",
            tokio::runtime::Builder::new_current_thread().enable_all().build(),
        );
        // A test that went away does not want it any more.
        drop(sender.send(runtime.block_on(work)));
    });
    drop(or_panic("a thread", spawned));
    or_panic("the test engine's thread", result.await)
}

fn or_panic<T, E: Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}
