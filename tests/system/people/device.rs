//! A person's device, which is cut off and comes back; it keeps every frame that it is ever sent.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::reference::{User, World};
use crate::harness::{Client, Socket};
use crate::model::Model;

const WITHIN: Duration = Duration::from_secs(30);

pub struct Device {
    pub user: User,
    pub model: Model,
    /// As they came.
    pub frames: Vec<Value>,
    socket: Option<Socket>,
    token: Option<String>,
    /// How often it asked for what was erased.
    pub jumps: u32,
    /// Conversations whose next event was not the next version: a sync was asked for.
    jumped: BTreeSet<String>,
}

impl Device {
    pub fn new(user: User) -> Self {
        Self {
            user,
            model: Model::new(user),
            frames: Vec::new(),
            socket: None,
            token: None,
            jumps: 0,
            jumped: BTreeSet::new(),
        }
    }

    /// What is on its way is lost.
    pub fn cut(&mut self) {
        self.socket = None;
    }

    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// With the last token, to some gateway.
    pub async fn connect(&mut self, url: &str, client: &Client) {
        let since = self.token.as_deref();
        self.socket = Some(Socket::connect(url, client.token(), "phone", since).await);
        self.jumped.clear();
    }

    /// Listens until it knows all that its user may know, and what was sent before the last ping.
    pub async fn listen(&mut self, world: &World) {
        self.say(&json!({"type": "ping"})).await;
        let mut is_answered = false;
        let until = tokio::time::Instant::now() + WITHIN;
        loop {
            let missing = self.missing(world);
            if is_answered && missing.is_empty() && self.token.is_some() {
                return;
            }
            let socket = self.socket.as_mut().expect("connected");
            match tokio::time::timeout_at(until, socket.next()).await {
                Ok(Ok(frame)) => {
                    is_answered |= frame["type"] == "pong";
                    self.take(frame, world).await;
                }
                Ok(Err(code)) => panic!("{}: closed with {code}", self.user),
                Err(_) => panic!("{} is not told of {missing:?}", self.user),
            }
        }
    }

    /// The conversations of which it does not have the last event, with the version that it has.
    fn missing(&self, world: &World) -> Vec<(String, u64)> {
        let account = format!("a.{}", self.user);
        let behind = world
            .inbox(self.user)
            .filter(|id| self.model.version(id) < world.version(id, self.user))
            .map(|id| (id.to_owned(), self.model.version(id)));
        let mut behind: Vec<_> = behind.collect();
        if self.model.version(&account) < world.account_version(self.user) {
            behind.push((account.clone(), self.model.version(&account)));
        }
        behind
    }

    async fn take(&mut self, frame: Value, world: &World) {
        match frame["type"].as_str().unwrap() {
            "sync" => self.model.page(&frame),
            "caughtUp" => {
                self.token = frame["token"].as_str().map(str::to_owned);
                self.jumped.clear();
            }
            "token" => self.token = frame["token"].as_str().map(str::to_owned),
            "event" => self.event(&frame["event"], world).await,
            "error" => panic!("{}: {frame}", self.user),
            _ => {}
        }
        self.frames.push(frame);
    }

    /// At a jump, a device asks for a sync. There is none but for what was erased, and for what is
    /// not this person's.
    async fn event(&mut self, event: &Value, world: &World) {
        let subject = event["subject"].as_str().unwrap();
        let (known, version) = (self.model.version(subject), event["version"].as_u64().unwrap());
        if version <= known + 1 {
            return self.model.event(event);
        }
        let lost: Vec<u64> = (known + 1..version)
            .filter(|version| !world.may_skip(subject, self.user, *version))
            .collect();
        assert!(lost.is_empty(), "{} is not given {lost:?} before {event}", self.user);
        if self.jumped.insert(subject.to_owned()) {
            self.jumps += 1;
            let since = self.token.clone();
            self.say(&json!({"type": "sync", "ref": "jump", "since": since})).await;
        }
    }

    async fn say(&mut self, frame: &Value) {
        self.socket.as_mut().expect("connected").send(frame).await;
    }
}
