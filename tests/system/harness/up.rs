//! `parley up` as a whole.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use parley_runtime::engines::testing::{ScratchDir, TestProgram};

use super::{Client, Ran, Socket, eventually, free_address, program, run};

/// How long a start may take on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running `parley up` with a data directory and a port of its own.
pub struct Up {
    program: Option<TestProgram>,
    listen: SocketAddr,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    scratch: ScratchDir,
}

/// Tests send more, and faster, than a person does.
pub const UNLIMITED: [(&str, &str); 6] = [
    ("PARLEY_RATE_MESSAGES_PER_MINUTE", "0"),
    ("PARLEY_RATE_GROUP_MESSAGES_PER_MINUTE", "0"),
    ("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "0"),
    ("PARLEY_RATE_STRANGER_CALLS_PER_MINUTE", "0"),
    ("PARLEY_RATE_SEARCHES_PER_MINUTE", "0"),
    ("PARLEY_RATE_ATTACHMENTS_PER_HOUR", "0"),
];

impl Up {
    /// Starts it on private engines, and returns once it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[], &[]).await
    }

    /// The same with more arguments and `PARLEY_*` variables.
    pub async fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut up = Self::prepare(args, variables);
        up.restart().await;
        up
    }

    /// Everything but the start.
    pub fn prepare(args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self {
            program: None,
            listen: free_address(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            variables: UNLIMITED
                .iter()
                .chain(variables)
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            scratch: ScratchDir::new(),
        }
    }

    /// Starts it (again) on the same directory and port, and returns once it is ready.
    pub async fn restart(&mut self) {
        self.launch().await;
        let ready = format!("Parley is ready at {}", self.url());
        eventually("parley up is ready", READY_WITHIN, async || {
            let output = self.output();
            if let Some(status) = self.program().ended() {
                panic!("parley up ended with {status}:\n{output}");
            }
            output.contains(&ready).then_some(())
        })
        .await;
    }

    /// Starts it without waiting for anything.
    pub async fn launch(&mut self) {
        assert!(self.program.is_none(), "it runs already");
        drop(fs::remove_file(self.output_file()));
        let mut args = vec![
            "up".to_owned(),
            "--listen".to_owned(),
            self.listen.to_string(),
            "--data".to_owned(),
            self.data().display().to_string(),
        ];
        args.extend(self.args.iter().cloned());
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output = self.output_file();
        let started =
            TestProgram::start(program(), args, variables, self.scratch.path(), &output).await;
        self.program = Some(started);
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The `--data` directory.
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    pub fn nats_url(&self) -> String {
        self.setting("PARLEY_NATS_URL")
    }

    pub fn database_url(&self) -> String {
        self.setting("PARLEY_DATABASE_URL")
    }

    /// `parley …` as an operator runs it beside this deployment.
    pub async fn parley(&self, args: &[&str]) -> Ran {
        let (nats_url, database_url) = (self.nats_url(), self.database_url());
        run(args, &[("PARLEY_NATS_URL", &nats_url), ("PARLEY_DATABASE_URL", &database_url)]).await
    }

    /// From `DIR/parley.env`.
    fn setting(&self, name: &str) -> String {
        let settings = fs::read_to_string(self.data().join("parley.env")).unwrap();
        let value = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().trim_matches('\'').to_owned()
    }

    /// Standard output and error since the last start.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_file()).unwrap_or_default()
    }

    fn output_file(&self) -> PathBuf {
        self.scratch.path().join("parley.log")
    }

    /// The process that was started, and its group.
    pub fn program(&self) -> &TestProgram {
        self.program.as_ref().expect("it does not run")
    }

    /// An HTTP client signed in as `user`.
    pub async fn client(&self, user: &str) -> Client {
        Client::sign_in(&self.url(), user).await
    }

    /// A WebSocket signed in as `user`, that has said hello and been told that it is ready.
    pub async fn socket(&self, user: &str, device: &str, since: Option<&str>) -> Socket {
        let token = Client::sign_in(&self.url(), user).await.token().to_owned();
        Socket::connect(&self.url(), &token, device, since).await
    }

    /// Kills the whole process group without warning; returns when all of it is gone.
    pub fn kill9(&mut self) {
        self.program.take().expect("it does not run").kill9_group();
    }

    /// Asks for a clean end (SIGTERM to the program alone), and waits for it.
    pub async fn terminate(&mut self) -> ExitStatus {
        let program = self.program.take().expect("it does not run");
        program.signal(Signal::SIGTERM);
        let within = Duration::from_secs(15);
        let status = tokio::time::timeout(within, program.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("no end within {within:?}:\n{}", self.output()));
        eventually("its group is gone", Duration::from_secs(5), async || {
            program.group().is_empty().then_some(())
        })
        .await;
        status
    }
}
