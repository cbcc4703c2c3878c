//! NATS servers for tests.

use std::sync::Arc;

use nix::sys::signal::Signal;

use super::super::nats::{ClusterMember, NatsOptions, NatsServer};
use super::super::ports;
use super::scratch::ScratchDir;
use super::{apart, or_panic};

/// A nats-server of one test's own, with JetStream on disk and every append flushed, as in
/// production. Dropping it kills it and removes its data.
pub struct TestNats {
    server: Arc<NatsServer>,
    _dir: ScratchDir,
}

impl TestNats {
    /// Starts a server with the defaults of production.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    pub async fn start_with(options: NatsOptions) -> Self {
        let dir = ScratchDir::new();
        let path = dir.path().to_owned();
        let started = apart(async move { NatsServer::start(&path, options).await }).await;
        Self { server: Arc::new(or_panic("nats-server", started)), _dir: dir }
    }

    /// `nats://127.0.0.1:PORT`; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// `http://127.0.0.1:PORT`, if [`NatsOptions::monitoring`] was set.
    #[must_use]
    pub fn monitoring_url(&self) -> Option<String> {
        self.server.monitoring_url()
    }

    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Kills it without warning, and returns when it is gone.
    pub async fn kill9(&self) {
        let server = Arc::clone(&self.server);
        apart(async move { server.engine().kill_blocking() }).await;
    }

    /// Stops it cleanly, and returns when it is gone.
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
        or_panic("nats-server", started);
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers.
    pub fn pause(&self) {
        self.server.engine().signal_all(Signal::SIGSTOP);
    }

    /// Ends [`TestNats::pause`].
    pub fn resume(&self) {
        self.server.engine().signal_all(Signal::SIGCONT);
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        self.server.engine().kill_blocking();
    }
}

/// Local nats-servers in one cluster, for replicated streams.
pub struct TestNatsCluster {
    nodes: Vec<TestNats>,
}

impl TestNatsCluster {
    /// Starts three servers and returns once a stream with three replicas can be created.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    /// The same with other options; their `cluster` is filled in.
    pub async fn start_with(options: NatsOptions) -> Self {
        const SIZE: usize = 3;
        let route_ports: Vec<u16> =
            (0..SIZE).map(|_| or_panic("a cluster port", ports::free())).collect();
        let mut nodes = Vec::with_capacity(SIZE);
        for (index, port) in route_ports.iter().enumerate() {
            let member = ClusterMember {
                server_name: format!("n{}", index + 1),
                port: *port,
                route_ports: route_ports.clone(),
            };
            nodes.push(
                TestNats::start_with(NatsOptions { cluster: Some(member), ..options.clone() })
                    .await,
            );
        }
        let cluster = Self { nodes };
        cluster.wait_ready().await;
        cluster
    }

    #[must_use]
    pub fn nodes(&self) -> &[TestNats] {
        &self.nodes
    }

    /// All servers, separated by commas, as `PARLEY_NATS_URL` has them.
    #[must_use]
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// All servers, one by one.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(TestNats::url).collect()
    }

    /// Returns once every running server sees a cluster that can place three replicas.
    pub async fn wait_ready(&self) {
        for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
            let server = Arc::clone(&node.server);
            let replicas = self.nodes.len();
            let ready = apart(async move { server.wait_for_replicas(replicas).await }).await;
            or_panic("the cluster", ready);
        }
    }
}
