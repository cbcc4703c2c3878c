//! A whole Parley for tests: real servers, the real services, and the real gateway behind a port.

use std::{
    path::Path,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use axum::http::{HeaderMap, HeaderValue, Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use parley_domain::{Scope, Timestamp, UserId};
use parley_gateway::{auth::dev::DevTokens, service::Gateway};
use parley_runtime::{
    config::Env,
    engines::testing::{ScratchDir, TestNats, TestPostgres},
    shutdown::Shutdown,
};
use serde_json::Value;

pub const SESSION_SECRET: &str = "session-secret-of-32-bytes-or-more";
pub const LINK_SECRET: &str = "link-secret-of-32-bytes-or-rather-more";
pub const ATTACHMENTS_SECRET: &str = "attachments-secret-of-32-bytes-or-more";
pub const ALLOWED_ORIGIN: &str = "https://shop.example";

/// A gateway at its port.
pub struct World {
    address: String,
    shutdown: Shutdown,
    env: Env,
    /// Keeps its server alive.
    nats: Option<TestNats>,
    /// Where files are.
    files: Option<ScratchDir>,
}

/// Ends a gateway at once.
pub struct Kill(std::sync::mpsc::Sender<()>);

impl Kill {
    pub fn now(self) {
        self.0.send(()).unwrap();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and the code of a problem, which is checked to be one.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        for field in ["type", "title", "detail"] {
            assert!(json[field].is_string(), "{field}: {json}");
        }
        (self.status, json["code"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.problem(), (status, code.to_owned()), "{self:?}");
    }

    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

/// The world that tests share: people are many, so each test takes its own.
///
/// It lives on a thread of its own, because a test's runtime ends with the test.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let database = TestPostgres::database().await;
                sender.send(World::start(&database).await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    })
}

impl World {
    pub async fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[]).await
    }

    pub async fn start_with(database_url: &str, variables: &[(&str, &str)]) -> Self {
        let (nats, files) = (TestNats::start().await, ScratchDir::new());
        let pool = parley_projections::connect(database_url, "test", 1).unwrap();
        parley_projections::migrate(&pool).await.unwrap();
        let mut env = Env::from_map([
            ("PARLEY_NATS_URL", nats.url().as_str()),
            ("PARLEY_DATABASE_URL", database_url),
            ("PARLEY_SHARDS", "2"),
            ("PARLEY_LISTEN", "127.0.0.1:0"),
            ("PARLEY_SESSION_SECRET", SESSION_SECRET),
            ("PARLEY_NOTIFY_LINK_SECRET", LINK_SECRET),
            ("PARLEY_ALLOWED_ORIGINS", ALLOWED_ORIGIN),
            ("PARLEY_ATTACHMENTS_DIR", &files.path().display().to_string()),
            ("PARLEY_ATTACHMENTS_SECRET", ATTACHMENTS_SECRET),
            ("PARLEY_DEV", "true"),
            // Tests send more, and faster, than a person does.
            ("PARLEY_RATE_MESSAGES_PER_MINUTE", "0"),
            ("PARLEY_RATE_GROUP_MESSAGES_PER_MINUTE", "0"),
            ("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "0"),
            ("PARLEY_RATE_STRANGER_CALLS_PER_MINUTE", "0"),
            ("PARLEY_RATE_SEARCHES_PER_MINUTE", "0"),
            ("PARLEY_RATE_ATTACHMENTS_PER_HOUR", "0"),
        ]);
        for (name, value) in variables {
            env.set(*name, *value);
        }
        let given = env.clone();
        let shutdown = Shutdown::new();
        let commands = parley_commands::Config::from_env(&mut env);
        let projections = parley_projections::Config::from_env(&mut env);
        let config = parley_gateway::Config::from_env(&mut env);
        env.finish().unwrap();
        // Makes the topology, which the others find.
        let gateway = Gateway::bind(config, shutdown.clone()).await.unwrap();
        let address = gateway.address().unwrap().to_string();
        shutdown.spawn(gateway.serve());
        let (stop, ended) = (shutdown.clone(), "a service ended");
        shutdown.spawn(async move { projections_run(projections, stop).await.expect(ended) });
        let stop = shutdown.clone();
        shutdown.spawn(async move {
            Box::pin(parley_commands::run(commands, stop)).await.expect(ended)
        });
        let world = Self { address, shutdown, env: given, nats: Some(nats), files: Some(files) };
        world.until_ready().await;
        world
    }

    /// A second gateway of the same deployment, with an end of its own.
    pub async fn another_gateway(&self) -> Self {
        self.another_gateway_with(&[]).await
    }

    pub async fn another_gateway_with(&self, variables: &[(&str, &str)]) -> Self {
        let mut env = self.env.clone();
        for (name, value) in variables {
            env.set(*name, *value);
        }
        let config = parley_gateway::Config::from_env(&mut env);
        let shutdown = Shutdown::new();
        let gateway = Gateway::bind(config, shutdown.clone()).await.unwrap();
        let address = gateway.address().unwrap().to_string();
        shutdown.spawn(gateway.serve());
        let world = Self { address, shutdown, env: self.env.clone(), nats: None, files: None };
        world.until_ready().await;
        world
    }

    /// A second gateway that can be killed: it gets to say nothing.
    pub async fn gateway_to_kill(&self) -> (Self, Kill) {
        let (ready, started) = tokio::sync::oneshot::channel();
        let (kill, killed) = std::sync::mpsc::channel();
        let like = Self {
            address: String::new(),
            shutdown: Shutdown::new(),
            env: self.env.clone(),
            nats: None,
            files: None,
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let gateway = runtime.block_on(like.another_gateway());
            assert!(ready.send(gateway).is_ok());
            // An error is a test that is over.
            let _ = killed.recv();
            runtime.shutdown_background();
        });
        (started.await.unwrap(), Kill(kill))
    }

    async fn until_ready(&self) {
        let ready = |answer: &Answer| answer.status == 200;
        self.until(Duration::from_secs(30), || self.get("/readyz", ""), ready).await;
    }

    /// The server of this world, to be killed and restarted.
    pub fn nats(&self) -> &TestNats {
        self.nats.as_ref().unwrap()
    }

    /// The directory of attachments.
    pub fn files(&self) -> &Path {
        self.files.as_ref().unwrap().path()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_str(value).unwrap());
        }
        let request = request.body(Full::new(body.into())).unwrap();
        // A connection a request: a kept one would belong to the runtime of one test.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let response = client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// As `user`, or as nobody if that is empty.
    pub async fn get(&self, path: &str, user: &str) -> Answer {
        let authorization = bearer(user);
        let headers = [("authorization", authorization.as_str())];
        let headers = if user.is_empty() { &[][..] } else { &headers[..] };
        self.request("GET", path, headers, "").await
    }

    pub async fn post(&self, path: &str, user: &str, body: &Value) -> Answer {
        self.post_text(path, user, body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, user: &str, body: impl Into<Bytes>) -> Answer {
        let authorization = bearer(user);
        let headers =
            [("content-type", "application/json"), ("authorization", authorization.as_str())];
        let headers = if user.is_empty() { &headers[..1] } else { &headers[..] };
        self.request("POST", path, headers, body).await
    }

    /// Any method, as `user` or as nobody; without a body if that is null.
    pub async fn send(&self, method: &str, path: &str, user: &str, body: &Value) -> Answer {
        let authorization = bearer(user);
        let mut headers = Vec::new();
        if !user.is_empty() {
            headers.push(("authorization", authorization.as_str()));
        }
        if body.is_null() {
            return self.request(method, path, &headers, "").await;
        }
        headers.push(("content-type", "application/json"));
        self.request(method, path, &headers, body.to_string()).await
    }

    /// Asks again until the answer is right: the views follow the log by some milliseconds.
    pub async fn until<F: Future<Output = Answer>>(
        &self,
        patience: Duration,
        ask: impl Fn() -> F,
        right: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let mut last = None;
        let asking = async {
            loop {
                let answer = ask().await;
                if right(&answer) {
                    return answer;
                }
                last = Some(answer);
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(patience, asking).await {
            Ok(answer) => answer,
            Err(_) => panic!("not within {patience:?}; at last {last:?}"),
        }
    }

    /// A page that shows what was just written.
    pub async fn get_until(&self, path: &str, user: &str, right: impl Fn(&Value) -> bool) -> Value {
        let shown = |answer: &Answer| answer.status == 200 && right(&answer.json());
        self.until(Duration::from_secs(10), || self.get(path, user), shown).await.json()
    }
}

async fn projections_run(
    config: parley_projections::Config,
    shutdown: Shutdown,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(parley_projections::run(config, shutdown).await?)
}

fn bearer(user: &str) -> String {
    if user.is_empty() { String::new() } else { format!("Bearer {}", token(user, Scope::User)) }
}

/// A token as the marketplace would give it.
pub fn token(user: &str, scope: Scope) -> String {
    let user = UserId::parse(user).unwrap();
    DevTokens::new(SESSION_SECRET.as_bytes()).unwrap().mint(&user, scope, now()).unwrap()
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap())
}
