//! The services one by one, on engines of the test.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use parley_runtime::engines::testing::{
    ScratchDir, TestNats, TestNatsCluster, TestPostgres, TestPostgresServer, TestProgram,
};

use super::{Client, Socket, eventually, free_address, program, run, up::UNLIMITED};

/// NATS, one server or a cluster of three, one PostgreSQL, and as many services as the test starts.
pub struct Deployment<N = TestNats> {
    pub nats: N,
    pub postgres: TestPostgresServer,
    variables: Vec<(String, String)>,
    scratch: ScratchDir,
}

impl Deployment<TestNatsCluster> {
    /// On three servers, each with a copy of everything.
    pub async fn start_in_cluster() -> Self {
        let (nats, postgres) = tokio::join!(TestNatsCluster::start(), TestPostgres::dedicated());
        let url = nats.url();
        Self::start_on(nats, &url, postgres, &[("PARLEY_STREAM_REPLICAS", "3")]).await
    }
}

impl Deployment {
    /// Starts the engines, and brings the schema and the streams up to date.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more `PARLEY_*` variables, which every service gets.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let (nats, postgres) = tokio::join!(TestNats::start(), TestPostgres::dedicated());
        let url = nats.url();
        Self::start_on(nats, &url, postgres, variables).await
    }
}

impl<N> Deployment<N> {
    async fn start_on(
        nats: N,
        nats_url: &str,
        postgres: TestPostgresServer,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut all = vec![
            ("PARLEY_NATS_URL".to_owned(), nats_url.to_owned()),
            ("PARLEY_DATABASE_URL".to_owned(), postgres.url()),
            (
                "PARLEY_JWT_HS256_SECRET".to_owned(),
                "a marketplace's secret, for tests only".to_owned(),
            ),
            (
                "PARLEY_SESSION_SECRET".to_owned(),
                "a gateway's secret, for these tests only".to_owned(),
            ),
            ("PARLEY_DEV".to_owned(), "true".to_owned()),
        ];
        let more = UNLIMITED.iter().chain(variables);
        all.extend(more.map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let deployment = Self { nats, postgres, variables: all, scratch: ScratchDir::new() };
        for once in ["migrate", "topology"] {
            let service = deployment.service(once).await;
            let status = service.program().wait().await;
            assert!(status.success(), "parley {once}: {status}\n{}", service.output());
        }
        deployment
    }

    /// Where the services run.
    pub fn dir(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// The database, to look into.
    pub async fn pool(&self) -> sqlx::PgPool {
        sqlx::PgPool::connect(&self.postgres.url()).await.unwrap()
    }

    /// A token of the marketplace, as `parley token` makes it: for gateways without `/dev/token`.
    pub async fn token(&self, user: &str) -> String {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(&["token", "--user", user], &variables).await.printed().trim_end().to_owned()
    }

    /// Starts a service by the name of its subcommand; returns at once.
    pub async fn service(&self, name: &str) -> Service {
        self.service_with(name, &[]).await
    }

    /// The same with more `PARLEY_*` variables.
    pub async fn service_with(&self, name: &str, variables: &[(&str, &str)]) -> Service {
        let mut all = self.variables.clone();
        all.extend(variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let listen = free_address();
        all.push(("PARLEY_LISTEN".to_owned(), listen.to_string()));
        let log = self.scratch.path().join(format!("{name}-{}.log", listen.port()));
        let mut service = Service {
            program: None,
            name: name.to_owned(),
            listen,
            variables: all,
            dir: self.scratch.path().to_owned(),
            log,
        };
        service.restart().await;
        service
    }

    /// Starts a gateway, and returns once it is ready.
    pub async fn gateway(&self) -> Service {
        let gateway = self.service("gateway").await;
        gateway.wait_ready().await;
        gateway
    }
}

/// One service's process.
pub struct Service {
    program: Option<TestProgram>,
    name: String,
    listen: SocketAddr,
    variables: Vec<(String, String)>,
    dir: PathBuf,
    log: PathBuf,
}

impl Service {
    /// Starts it again after its end, with the same variables; returns at once.
    pub async fn restart(&mut self) {
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let started =
            TestProgram::start(program(), [&self.name], variables, &self.dir, &self.log).await;
        self.program = Some(started);
    }

    pub fn program(&self) -> &TestProgram {
        self.program.as_ref().expect("it does not run")
    }

    /// `http://127.0.0.1:PORT` of a gateway.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Everything that it has said since its first start.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns once `/readyz` answers 200.
    pub async fn wait_ready(&self) {
        let client = Client::anonymous(&self.url());
        eventually("the gateway is ready", Duration::from_secs(30), async || {
            if let Some(status) = self.program().ended() {
                panic!("parley {} ended with {status}:\n{}", self.name, self.output());
            }
            let answer = client.try_get("/readyz").await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// An HTTP client of this gateway, signed in as `user`.
    pub async fn client(&self, user: &str) -> Client {
        Client::sign_in(&self.url(), user).await
    }

    /// A WebSocket to this gateway, signed in as `user` and ready.
    pub async fn socket(&self, user: &str, device: &str, since: Option<&str>) -> Socket {
        let token = Client::sign_in(&self.url(), user).await.token().to_owned();
        Socket::connect(&self.url(), &token, device, since).await
    }

    /// Kills it without warning.
    pub fn kill9(&mut self) {
        self.program.take().expect("it does not run").kill9_group();
    }

    /// Freezes it: its connections stay open and nothing answers.
    pub fn pause(&self) {
        self.program().signal(Signal::SIGSTOP);
    }

    /// Ends [`Service::pause`].
    pub fn resume(&self) {
        self.program().signal(Signal::SIGCONT);
    }

    /// Asks for a clean end (SIGTERM), and waits for it.
    pub async fn terminate(&mut self) -> ExitStatus {
        let program = self.program.take().expect("it does not run");
        program.signal(Signal::SIGTERM);
        let within = Duration::from_secs(20);
        let status = tokio::time::timeout(within, program.wait()).await;
        status.unwrap_or_else(|_| panic!("no end within {within:?}:\n{}", self.output()))
    }
}
