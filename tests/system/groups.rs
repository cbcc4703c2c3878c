//! Groups under load: many who write, many who listen on several gateways, and people who come and
//! go meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::harness::{Client, Deployment, Service, Socket, eventually};

const SOON: Duration = Duration::from_secs(60);

/// A number from the environment, for long runs.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn create(owner: &Client, members: &[String]) -> String {
    let body = json!({"kind": "group", "title": "Lamps", "memberIds": members});
    let created = owner.post("/v1/conversations", &body).await.expect(201);
    created["conversationId"].as_str().unwrap().to_owned()
}

async fn membership(client: &Client, method: Method, group: &str, user: &str) -> u64 {
    let body = (method == Method::PUT).then(|| json!({"role": "member"}));
    let path = format!("/v1/conversations/{group}/members/{user}");
    client.request(method, &path, body.as_ref()).await.expect(200)["version"].as_u64().unwrap()
}

async fn send(client: &Client, group: &str, name: &str) -> u64 {
    let path = format!("/v1/conversations/{group}/messages");
    let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
    client.post(&path, &body).await.expect(202)["conversationSeq"].as_u64().unwrap()
}

/// The group's own log, in order.
async fn log(deployment: &Deployment, group: &str) -> Vec<Value> {
    let nats = async_nats::connect(deployment.nats.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(nats);
    let mut found = Vec::new();
    let mut names = jetstream.stream_names();
    let mut streams = Vec::new();
    while let Some(name) = futures_util::StreamExt::next(&mut names).await {
        streams.push(name.unwrap());
    }
    for name in streams.iter().filter(|name| name.starts_with("DM_")) {
        let mut stream = jetstream.get_stream(name).await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        for position in 1..=last {
            let message = stream.get_raw_message(position).await.unwrap();
            if message.subject.ends_with(group) {
                found.push(serde_json::from_slice(&message.payload).unwrap());
            }
        }
    }
    found
}

/// A device that listens to a group, and notes what it is given and when.
struct Listener {
    socket: Socket,
    version: u64,
    /// Events by version, each once.
    events: BTreeMap<u64, Value>,
    heard: BTreeMap<String, Instant>,
}

impl Listener {
    async fn open(gateway: &Service, user: &str, since: Option<&str>) -> (Self, String) {
        let client = Client::sign_in(&gateway.url(), user).await;
        let mut socket = Socket::connect(&gateway.url(), client.token(), "phone", since).await;
        let caught_up = socket.until("caughtUp").await;
        let token = caught_up["token"].as_str().unwrap().to_owned();
        let listener = Self { socket, version: 0, events: BTreeMap::new(), heard: BTreeMap::new() };
        (listener, token)
    }

    /// Takes what a client would: versions never jump but by a page.
    fn take(&mut self, frame: &Value, group: &str) {
        if frame["type"] == "sync" {
            for shown in frame["conversations"].as_array().unwrap() {
                if shown["conversation"]["conversationId"] == group {
                    let version = shown["conversation"]["version"].as_u64().unwrap();
                    self.version = self.version.max(version);
                }
            }
        }
        let event = &frame["event"];
        if event["subject"] != group {
            return;
        }
        let version = event["version"].as_u64().unwrap();
        assert!(version <= self.version + 1, "a jump from {} to {version}", self.version);
        self.version = self.version.max(version);
        if let Some(name) = event["data"]["clientMessageId"].as_str() {
            self.heard.entry(name.to_owned()).or_insert_with(Instant::now);
        }
        self.events.insert(version, event.clone());
    }

    /// Listens until it is told the last version, and has it.
    async fn listen(mut self, group: String, mut last: oneshot::Receiver<u64>) -> Self {
        let mut until = None;
        while until.is_none_or(|until| self.version < until) {
            tokio::select! {
                told = &mut last, if until.is_none() => until = Some(told.unwrap()),
                frame = self.socket.next() => {
                    let frame = frame.expect("an open socket");
                    self.take(&frame, &group);
                }
            }
        }
        self
    }
}

fn seqs(events: &[&Value]) -> BTreeSet<u64> {
    events.iter().filter_map(|event| event["data"]["conversationSeq"].as_u64()).collect()
}

async fn deployment() -> (Deployment, Vec<Service>, [Service; 2]) {
    let deployment = Deployment::start().await;
    let services =
        vec![deployment.service("commands").await, deployment.service("projections").await];
    let gateways = [deployment.gateway().await, deployment.gateway().await];
    (deployment, services, gateways)
}

/// `PARLEY_TEST_GROUP_SECONDS`: how long 200 messages a second go on; 5 by default, 60 for the long
/// run.
#[tokio::test]
async fn a_large_group_hears_everything_in_order() {
    const MEMBERS: usize = 500;
    const CONNECTED: usize = 100;
    const PER_SECOND: u64 = 200;
    const SENDERS: u64 = 20;
    let (deployment, _services, gateways) = deployment().await;
    let owner = Client::sign_in(&gateways[0].url(), "m0").await;
    let members: Vec<String> = (0..MEMBERS).map(|n| format!("m{n}")).collect();
    let mut listeners = Vec::new();
    for (n, user) in members.iter().take(CONNECTED).enumerate() {
        listeners.push(Listener::open(&gateways[n % 2], user, None).await.0);
    }
    let group = create(&owner, &members).await;
    let mut tell = Vec::new();
    let listening: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let (sender, last) = oneshot::channel();
            tell.push(sender);
            tokio::spawn(listener.listen(group.clone(), last))
        })
        .collect();

    let count = PER_SECOND * setting("PARLEY_TEST_GROUP_SECONDS", 5);
    let began = Instant::now();
    let senders = (0..SENDERS).map(|n| {
        let (url, group) = (gateways[(n % 2) as usize].url(), group.clone());
        tokio::spawn(async move {
            let client = Client::sign_in(&url, &format!("m{}", 200 + n)).await;
            let pause = Duration::from_secs(1) * SENDERS as u32 / PER_SECOND as u32;
            let mut tick = tokio::time::interval(pause);
            let mut sent = BTreeMap::new();
            for k in 0..count / SENDERS {
                tick.tick().await;
                let name = format!("{n}-{k}");
                sent.insert(name.clone(), Instant::now());
                send(&client, &group, &name).await;
            }
            sent
        })
    });
    let mut sent = BTreeMap::new();
    for sender in join_all(senders).await {
        sent.extend(sender.unwrap());
    }
    let took = began.elapsed();
    let log = log(&deployment, &group).await;
    assert_eq!(log.len() as u64, count + 1, "a message is one append, and the creation another");
    for tell in tell {
        tell.send(count + 1).unwrap();
    }
    let mut delays = Vec::new();
    for listener in listening {
        let listener = tokio::time::timeout(SOON, listener).await.unwrap().unwrap();
        let heard: Vec<&Value> = listener.events.values().collect();
        assert_eq!(heard, log.iter().collect::<Vec<_>>());
        delays.extend(listener.heard.iter().map(|(name, at)| *at - sent[name]));
    }
    delays.sort_unstable();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    println!(
        "{MEMBERS} members, {CONNECTED} connected, {count} messages in {took:?}: from the sender's \
         request to each device p50 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(99),
        at(100)
    );
}

/// What the log says a person may read: the versions, and the numbers of messages.
fn readable(log: &[Value], user: &str) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut is_in = false;
    let (mut versions, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for event in log {
        let is_about = event["data"]["userId"] == user;
        let was_in = is_in;
        match event["type"].as_str().unwrap() {
            "conversation.created" => {
                let members = event["data"]["members"].as_array().unwrap();
                is_in = members.iter().any(|member| member["userId"] == user);
            }
            "member.added" if is_about => is_in = true,
            "member.removed" | "member.left" if is_about => is_in = false,
            _ => {}
        }
        if was_in || is_in {
            versions.insert(event["version"].as_u64().unwrap());
            numbers.extend(event["data"]["conversationSeq"].as_u64());
        }
    }
    (versions, numbers)
}

async fn history(client: &Client, group: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    loop {
        let after = found.last().copied().unwrap_or(0);
        let path = format!("/v1/conversations/{group}/messages?afterSeq={after}&limit=200");
        let page = client.get(&path).await.expect(200);
        let messages = page["messages"].as_array().unwrap();
        found.extend(messages.iter().filter_map(|message| message["conversationSeq"].as_u64()));
        if messages.is_empty() || page["nextAfterSeq"].is_null() {
            return found;
        }
    }
}

async fn synced(client: &Client, group: &str, since: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut token = since.to_owned();
    loop {
        let page = client.get(&format!("/v1/sync?since={token}")).await.expect(200);
        for shown in page["conversations"].as_array().unwrap() {
            if shown["conversation"]["conversationId"] == group {
                let messages = shown["messages"].as_array().unwrap();
                let numbers = messages.iter().filter_map(|one| one["conversationSeq"].as_u64());
                found.extend(numbers);
            }
        }
        page["token"].as_str().unwrap().clone_into(&mut token);
        if page["more"] == false {
            return found;
        }
    }
}

/// Fifty write while ten others come and go; what each of these may read has one boundary in the
/// log, live, in history, in sync, and for a device that comes back with a token from before.
#[tokio::test]
async fn nobody_receives_anything_outside_of_their_membership() {
    const SENDERS: usize = 50;
    const MOVERS: usize = 10;
    let rounds = setting("PARLEY_TEST_GROUP_ROUNDS", 4);
    let (deployment, _services, gateways) = deployment().await;
    let owner = Client::sign_in(&gateways[0].url(), "owner").await;
    let members: Vec<String> =
        std::iter::once("owner".to_owned()).chain((0..SENDERS).map(|n| format!("s{n}"))).collect();
    let group = create(&owner, &members).await;

    let mut movers = Vec::new();
    for n in 0..MOVERS {
        let user = format!("v{n}");
        let (listener, token) = Listener::open(&gateways[n % 2], &user, None).await;
        let (tell, last) = oneshot::channel();
        let listening = tokio::spawn(listener.listen(group.clone(), last));
        movers.push((user, token, tell, listening));
    }
    let sending = (0..SENDERS).map(|n| {
        let (url, group) = (gateways[n % 2].url(), group.clone());
        async move {
            let client = Client::sign_in(&url, &format!("s{n}")).await;
            for k in 0..rounds * 5 {
                send(&client, &group, &format!("{n}-{k}")).await;
            }
        }
    });
    let moving = (0..MOVERS).map(|n| {
        let (owner, group) = (owner.clone(), group.clone());
        async move {
            let user = format!("v{n}");
            for _ in 0..rounds {
                membership(&owner, Method::PUT, &group, &user).await;
                membership(&owner, Method::DELETE, &group, &user).await;
            }
        }
    });
    tokio::join!(join_all(sending), join_all(moving));
    // Nothing of this is for those who have been removed.
    for k in 0..5 {
        send(&owner, &group, &format!("after-{k}")).await;
    }

    let log = log(&deployment, &group).await;
    let views = format!("/v1/conversations/{group}");
    let last = log.last().unwrap()["version"].clone();
    eventually("the views are complete", SOON, async || {
        (owner.get(&views).await.json["version"] == last).then_some(())
    })
    .await;
    for (n, (user, token, tell, listening)) in movers.into_iter().enumerate() {
        let (versions, numbers) = readable(&log, &user);
        tell.send(*versions.last().unwrap()).unwrap();
        let listener = tokio::time::timeout(SOON, listening).await.unwrap().unwrap();
        let live: BTreeSet<u64> = listener.events.keys().copied().collect();
        assert_eq!(live, versions, "{user}, live");
        assert_eq!(seqs(&listener.events.values().collect::<Vec<_>>()), numbers);

        let gateway = &gateways[(n + 1) % 2];
        let client = Client::sign_in(&gateway.url(), &user).await;
        assert_eq!(history(&client, &group).await, numbers, "{user}, in history");
        let answer = synced(&client, &group, &token).await;
        assert_eq!(answer, numbers, "{user}, by sync");
        // Back with the token from before: out of memory, by the same boundaries.
        let (back, _) = Listener::open(gateway, &user, Some(&token)).await;
        let (tell, last) = oneshot::channel();
        tell.send(*versions.last().unwrap()).unwrap();
        let mut back = back.listen(group.clone(), last).await;
        while let Ok(Ok(frame)) =
            tokio::time::timeout(Duration::from_millis(300), back.socket.next()).await
        {
            back.take(&frame, &group);
        }
        let resumed: BTreeSet<u64> = back.events.keys().copied().collect();
        assert!(resumed.is_subset(&versions), "{user}, back: {resumed:?} {versions:?}");
        assert_eq!(back.version, *versions.last().unwrap());
        // Whoever comes back with a token from after the removal hears nothing of the group.
        let now = client.get("/v1/sync").await.expect(200)["token"].as_str().unwrap().to_owned();
        send(&owner, &group, &format!("later-{user}")).await;
        let (mut gone, _) = Listener::open(gateway, &user, Some(&now)).await;
        gone.socket.send(&json!({"type": "ping"})).await;
        loop {
            let frame = gone.socket.next().await.unwrap();
            gone.take(&frame, &group);
            if frame["type"] == "pong" {
                break;
            }
        }
        assert!(gone.events.is_empty(), "{user} hears {:?}", gone.events);
    }
}
