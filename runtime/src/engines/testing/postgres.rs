//! PostgreSQL for tests: one server a test process, a database a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

use super::super::postgres::{Postgres, PostgresOptions};
use super::scratch::ScratchDir;
use super::{apart, or_panic};

static SHARED: OnceCell<Shared> = OnceCell::const_new();

struct Shared {
    server: Arc<Postgres>,
    dir: ScratchDir,
}

/// The one PostgreSQL server of this test process. It ends with the process.
pub struct TestPostgres;

impl TestPostgres {
    /// The URL of a fresh, empty database on the process's server, which is started when the
    /// first test asks.
    pub async fn database() -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let shared = SHARED
            .get_or_init(|| async {
                let (server, dir) = start(TEST_OPTIONS).await;
                end_at_exit();
                Shared { server, dir }
            })
            .await;
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let url = shared.server.database_url(&name);
        let server = Arc::clone(&shared.server);
        let created = apart(async move { server.create_database(&name).await }).await;
        or_panic("a test database", created);
        url
    }

    /// A server of one test's own, to be killed and restarted.
    pub async fn dedicated() -> TestPostgresServer {
        let (server, dir) = start(TEST_OPTIONS).await;
        TestPostgresServer { server, _dir: dir }
    }
}

const TEST_OPTIONS: PostgresOptions = PostgresOptions { fsync: false, max_connections: 300 };

async fn start(options: PostgresOptions) -> (Arc<Postgres>, ScratchDir) {
    let dir = ScratchDir::new();
    let path = dir.path().to_owned();
    let started = apart(async move { Postgres::start(&path, options).await }).await;
    (Arc::new(or_panic("PostgreSQL", started)), dir)
}

/// A PostgreSQL server of one test's own. Dropping it kills it and removes its data.
pub struct TestPostgresServer {
    server: Arc<Postgres>,
    _dir: ScratchDir,
}

impl TestPostgresServer {
    /// The URL of the database `parley`, empty at first; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Kills the postmaster and every backend without warning; returns when all are gone.
    pub async fn kill9(&self) {
        let server = Arc::clone(&self.server);
        apart(async move { server.engine().kill_blocking() }).await;
    }

    /// Stops it cleanly, cutting the connections; returns when it is gone.
    pub async fn stop(&self) {
        let server = Arc::clone(&self.server);
        apart(async move { server.stop().await }).await;
    }

    /// Starts it again on the same port and data, killing it first if it runs; returns once it
    /// answers.
    pub async fn restart(&self) {
        let server = Arc::clone(&self.server);
        let started = apart(async move {
            server.engine().kill_blocking();
            server.engine().start().await
        })
        .await;
        or_panic("PostgreSQL", started);
    }

    /// Freezes the postmaster and every backend (SIGSTOP).
    pub fn pause(&self) {
        self.server.engine().signal_all(Signal::SIGSTOP);
    }

    /// Ends [`TestPostgresServer::pause`].
    pub fn resume(&self) {
        self.server.engine().signal_all(Signal::SIGCONT);
    }
}

impl Drop for TestPostgresServer {
    fn drop(&mut self) {
        self.server.engine().kill_blocking();
    }
}

/// Statics are never dropped: the shared server and its directory go when the process exits.
/// (If it is killed instead, the kernel ends the server and the next run removes the directory.)
fn end_at_exit() {
    extern "C" fn end() {
        if let Some(shared) = SHARED.get() {
            shared.server.engine().kill_blocking();
            shared.dir.remove();
        }
    }
    #[expect(
        unsafe_code,
        reason = "atexit has no safe wrapper; the handler takes no part in unwinding and is registered once"
    )]
    unsafe {
        libc::atexit(end);
    }
}
