//! What the tests of the commands share.

use std::time::Duration;

use async_nats::{HeaderMap, Message};
use parley_commands::{Client, Config, Problem, Request, config::ClientConfig};
use parley_domain::{Action, Actor, Answer, Body, ClientMessageId, ConversationId, Scope, UserId};
use parley_nats::{Connection, connect};
use parley_runtime::{config::Env, engines::testing::TestPostgres, shutdown::Shutdown, telemetry};
use serde_json::{Value, json};

pub const SHARDS: u16 = 4;

/// A commands service of this process; its shards are handed over at `shutdown.begin()`.
pub struct Service {
    pub shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), parley_commands::Error>>,
}

impl Service {
    pub fn start(nats_url: &str, database_url: &str, more: &[(&str, &str)]) -> Self {
        let mut variables =
            vec![("PARLEY_NATS_URL", nats_url), ("PARLEY_DATABASE_URL", database_url)];
        variables.extend_from_slice(more);
        let mut env = Env::from_map(variables);
        let mut process = Env::from_process();
        telemetry::init(&telemetry::Config::from_env(&mut process));
        let config = Config::from_env(&mut env);
        env.finish().unwrap();
        let shutdown = Shutdown::new();
        let running = parley_commands::run(config, shutdown.clone());
        let task = tokio::spawn(async {
            let ended = running.await;
            if let Err(error) = &ended {
                eprintln!("the service ended: {error}");
            }
            ended
        });
        Self { shutdown, task }
    }

    pub async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
        assert!(self.shutdown.drained().await);
    }
}

/// A fresh, migrated database.
pub async fn database() -> String {
    let url = TestPostgres::database().await;
    let pool = parley_projections::connect(&url, "test", 2).unwrap();
    parley_projections::migrate(&pool).await.unwrap();
    pool.close().await;
    url
}

pub async fn connection(nats_url: &str) -> Connection {
    connect(nats_url, "test").await.unwrap()
}

pub fn client(connection: &Connection) -> Client {
    let config = ClientConfig { patience: Duration::from_secs(10), ..ClientConfig::default() };
    Client::new(connection.clone(), SHARDS, config)
}

pub fn send(conversation: &str, sender: &str, name: &str, text: &str) -> Request {
    request(
        conversation,
        sender,
        Action::SendMessage {
            client_message_id: ClientMessageId::parse(name).unwrap(),
            body: Body::Text { text: text.to_owned() },
            reply_to: None,
        },
    )
}

pub fn request(conversation: &str, user: &str, action: Action) -> Request {
    Request {
        conversation_id: ConversationId::parse(conversation).unwrap(),
        actor: Actor {
            user_id: UserId::parse(user).unwrap(),
            device_id: None,
            scope: Scope::User,
            is_discreet: false,
        },
        action,
        traceparent: None,
    }
}

/// conversationSeq, version and duplicate of a sent message.
pub fn numbers(answer: Result<Answer, Problem>) -> (u64, u64, bool) {
    match answer.unwrap() {
        Answer::Sent { conversation_seq, version, duplicate, .. } => {
            (conversation_seq, version, duplicate)
        }
        Answer::Cursor { .. } | Answer::Done { .. } => panic!("not an answer to a send"),
    }
}

/// A request to the NATS service as a backend service makes it.
pub async fn ask(connection: &Connection, verb: &str, actor: Option<&str>, body: &str) -> Message {
    let mut headers = HeaderMap::new();
    if let Some(actor) = actor {
        headers.insert("Dm-Actor", actor);
    }
    let asking = async {
        // No responders until the service has subscribed.
        loop {
            let subject = format!("dm.cmd.{verb}");
            let answer = connection
                .client()
                .request_with_headers(subject, headers.clone(), body.to_owned().into())
                .await;
            match answer {
                Ok(message) => return message,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.unwrap()
}

pub fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

pub fn message_send(conversation: &str, name: &str, text: &str) -> String {
    json!({"conversationId": conversation, "clientMessageId": name, "body": {"kind": "text", "text": text}})
        .to_string()
}
