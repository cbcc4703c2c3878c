//! For every event type: a state and the events after it are what a fresh fetch gives.
//!
//! To add an event type: say in `model.rs` what it does, and in [`table`] which requests cause it.
//! The first is what the compiler asks for, the second is found missing by its golden file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Deployment, Service, Socket, eventually};
use crate::model::Model;

const DIRECT: &str = "/v1/conversations/d.alice.bob";
const GROUP: &str = "/v1/conversations/g.0193e5a0-7b1c-7def-8123-456789abcdef";
const CHANNEL: &str = "/v1/conversations/c.0193e5a0-7b1c-7def-8123-456789abcdef";
const WITHIN: Duration = Duration::from_secs(20);

/// A request, and the one event that it becomes.
struct Cause {
    event: &'static str,
    by: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
}

fn cause(
    event: &'static str,
    by: &'static str,
    method: Method,
    path: impl Into<String>,
    body: Option<Value>,
) -> Cause {
    Cause { event, by, method, path: path.into(), body }
}

/// Every event type, in each variety that a device must tell apart.
fn table() -> Vec<Cause> {
    [personal(), blocking(), group(), channel()].into_iter().flatten().collect()
}

fn sent(by: &'static str, path: &str, name: &str) -> Cause {
    let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
    cause("message.sent", by, Method::POST, format!("{path}/messages"), Some(body))
}

fn read_in(by: &'static str, path: &str, event: &'static str, through: u64) -> Cause {
    let body = json!({"readThroughSeq": through});
    cause(event, by, Method::POST, format!("{path}/read-cursors"), Some(body))
}

fn timer(by: &'static str, path: &str, seconds: u64) -> Cause {
    let (path, body) = (format!("{path}/timer"), json!({"seconds": seconds}));
    cause("conversation.timerSet", by, Method::PUT, path, Some(body))
}

fn created(by: &'static str, path: &str, kind: &str, members: &[&str]) -> Cause {
    let id = path.rsplit('/').next();
    let body = json!({"kind": kind, "title": "Lamps", "memberIds": members, "conversationId": id});
    cause("conversation.created", by, Method::POST, "/v1/conversations", Some(body))
}

fn member(event: &'static str, by: &'static str, path: &str, user: &str, role: &str) -> Cause {
    let (path, body) = (format!("{path}/members/{user}"), json!({"role": role}));
    cause(event, by, Method::PUT, path, Some(body))
}

fn gone(event: &'static str, by: &'static str, path: &str, user: &str) -> Cause {
    cause(event, by, Method::DELETE, format!("{path}/members/{user}"), None)
}

/// Two who block each other; meanwhile what they read is theirs alone.
fn blocking() -> Vec<Cause> {
    let blocked =
        |by| cause("conversation.blocked", by, Method::PUT, format!("{DIRECT}/block"), None);
    let unblocked =
        |by| cause("conversation.unblocked", by, Method::DELETE, format!("{DIRECT}/block"), None);
    let delivered = json!({"deliveredThroughSeq": 10});
    vec![
        sent("bob", DIRECT, "m-9"),
        sent("alice", DIRECT, "m-10"),
        blocked("alice"),
        cause(
            "cursor.delivered",
            "bob",
            Method::POST,
            format!("{DIRECT}/delivery-cursors"),
            Some(delivered),
        ),
        read_in("bob", DIRECT, "cursor.read", 10),
        blocked("bob"),
        unblocked("alice"),
        unblocked("bob"),
        timer("bob", DIRECT, 86_400),
        sent("bob", DIRECT, "m-11"),
        // What was hidden stays so, what comes now is shown.
        read_in("alice", DIRECT, "cursor.read", 11),
        cause("conversation.timerSet", "alice", Method::DELETE, format!("{DIRECT}/timer"), None),
    ]
}

/// In a group one can be sent away, come back, and leave.
fn group() -> Vec<Cause> {
    let title = |method, body| {
        cause("conversation.renamed", "alice", method, format!("{GROUP}/title"), body)
    };
    vec![
        created("alice", GROUP, "group", &["bob", "carol"]),
        sent("bob", GROUP, "g-1"),
        read_in("alice", GROUP, "cursor.read", 1),
        sent("alice", GROUP, "g-2"),
        read_in("bob", GROUP, "cursor.read", 2),
        title(Method::PUT, Some(json!({"title": "Old lamps"}))),
        title(Method::DELETE, None),
        member("member.roleChanged", "alice", GROUP, "bob", "admin"),
        member("member.added", "bob", GROUP, "dave", "member"),
        gone("member.removed", "alice", GROUP, "bob"),
        sent("alice", GROUP, "g-3"),
        title(Method::PUT, Some(json!({"title": "New lamps"}))),
        // Back, without what was said meanwhile.
        member("member.added", "alice", GROUP, "bob", "member"),
        sent("alice", GROUP, "g-4"),
        member("member.roleChanged", "alice", GROUP, "bob", "owner"),
        timer("alice", GROUP, 604_800),
        sent("bob", GROUP, "g-5"),
        gone("member.left", "alice", GROUP, "alice"),
        sent("bob", GROUP, "g-6"),
        member("member.added", "bob", GROUP, "alice", "admin"),
        sent("bob", GROUP, "g-7"),
        // Its owner leaves it to the admin.
        gone("member.left", "bob", GROUP, "bob"),
    ]
}

/// In a channel those write who lead it, and whoever wants to reads.
fn channel() -> Vec<Cause> {
    vec![
        created("alice", CHANNEL, "channel", &[]),
        sent("alice", CHANNEL, "c-1"),
        member("member.added", "bob", CHANNEL, "bob", "member"),
        sent("alice", CHANNEL, "c-2"),
        sent("alice", CHANNEL, "c-3"),
        read_in("bob", CHANNEL, "channel.read", 2),
        member("member.roleChanged", "alice", CHANNEL, "bob", "admin"),
        sent("bob", CHANNEL, "c-4"),
        read_in("alice", CHANNEL, "channel.read", 4),
        gone("member.left", "alice", CHANNEL, "alice"),
        sent("bob", CHANNEL, "c-5"),
        member("member.added", "alice", CHANNEL, "alice", "member"),
        gone("member.left", "bob", CHANNEL, "bob"),
    ]
}

/// Two people, and what is one's own.
fn personal() -> Vec<Cause> {
    let send = |by, name: &str, more: Value| {
        let mut message = json!({
            "clientMessageId": name, "body": {"kind": "text", "text": name},
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        cause("message.sent", by, Method::POST, format!("{DIRECT}/messages"), Some(message))
    };
    let card = json!({"body": {
        "kind": "listing", "refId": "L-1", "title": "Bicycle", "priceMinor": 12_000, "currency": "EUR",
    }});
    let delivered = |by, through: u64| {
        let body = json!({"deviceId": "phone", "deliveredThroughSeq": through});
        cause(
            "cursor.delivered",
            by,
            Method::POST,
            format!("{DIRECT}/delivery-cursors"),
            Some(body),
        )
    };
    let read = |by, through: u64| {
        let body = json!({"deviceId": "phone", "readThroughSeq": through});
        cause("cursor.read", by, Method::POST, format!("{DIRECT}/read-cursors"), Some(body))
    };
    let registered = |by, device: &str| {
        let body = json!({"deviceId": device, "platform": "test"});
        cause("device.registered", by, Method::POST, "/v1/sessions/bootstrap", Some(body))
    };
    let unlinked = |by, device: &str| {
        cause("device.unlinked", by, Method::DELETE, format!("/v1/devices/{device}"), None)
    };
    let marked = |event, method, what: &str, body| {
        cause(event, "alice", method, format!("{DIRECT}/{what}"), body)
    };
    let far = Some(json!({"until": "2999-01-01T00:00:00.000Z"}));
    let endpoint = json!({"channel": "email", "address": "alice@example.com"});
    let contact = "/v1/contacts/bob";
    let edited = |by, seq: u64, text: &str| {
        let body = json!({"body": {"kind": "text", "text": text}});
        let path = format!("{DIRECT}/messages/{seq}");
        cause("message.edited", by, Method::PATCH, path, Some(body))
    };
    let deleted = |by, seq: u64| {
        let path = format!("{DIRECT}/messages/{seq}");
        cause("message.deleted", by, Method::DELETE, path, None)
    };
    // As a path has it: a thumb and a heart.
    let (thumb, heart) = ("%F0%9F%91%8D", "%E2%9D%A4%EF%B8%8F");
    let reacted = |by, seq: u64, emoji: &str| {
        let path = format!("{DIRECT}/messages/{seq}/reactions/{emoji}");
        cause("reaction.added", by, Method::PUT, path, None)
    };
    let unreacted = |by, seq: u64, emoji: &str| {
        let path = format!("{DIRECT}/messages/{seq}/reactions/{emoji}");
        cause("reaction.removed", by, Method::DELETE, path, None)
    };
    vec![
        // A draft may be older than its conversation.
        marked("draft.saved", Method::PUT, "draft", Some(json!({"text": "m"}))),
        // The first event of a conversation, and of an account.
        send("alice", "m-1", json!({})),
        registered("alice", "laptop"),
        send("alice", "m-2", json!({"replyTo": 1})),
        send("alice", "m-3", card),
        delivered("bob", 2),
        read("bob", 1),
        // Read beyond what was delivered.
        read("bob", 3),
        send("bob", "m-4", json!({})),
        send("bob", "m-5", json!({"replyTo": 4})),
        delivered("alice", 4),
        // Writing is reading.
        send("alice", "m-6", json!({})),
        registered("alice", "tablet"),
        unlinked("alice", "laptop"),
        // Linked again, which is another registration.
        registered("alice", "laptop"),
        registered("bob", "desk"),
        unlinked("bob", "desk"),
        cause("contact.added", "alice", Method::PUT, contact, None),
        cause("contact.removed", "alice", Method::DELETE, contact, None),
        marked("conversation.muted", Method::PUT, "mute", None),
        marked("conversation.muted", Method::PUT, "mute", far),
        marked("conversation.pinned", Method::PUT, "pin", None),
        marked("draft.cleared", Method::DELETE, "draft", None),
        marked("draft.saved", Method::PUT, "draft", Some(json!({"text": "another"}))),
        marked("conversation.unmuted", Method::DELETE, "mute", None),
        marked("conversation.unpinned", Method::DELETE, "pin", None),
        marked("conversation.archived", Method::PUT, "archive", None),
        // Back with the next message.
        send("bob", "m-7", json!({})),
        marked("conversation.archived", Method::PUT, "archive", None),
        marked("conversation.unarchived", Method::DELETE, "archive", None),
        marked("draft.cleared", Method::DELETE, "draft", None),
        cause(
            "preferences.set",
            "alice",
            Method::PUT,
            "/v1/settings",
            Some(json!({"quietHours": {"from": "22:00", "to": "07:00"}})),
        ),
        cause(
            "endpoint.added",
            "alice",
            Method::POST,
            "/v1/notification-endpoints",
            Some(endpoint),
        ),
        cause(
            "endpoint.removed",
            "alice",
            Method::DELETE,
            "/v1/notification-endpoints/{endpointId}",
            None,
        ),
        edited("alice", 1, "first, edited"),
        // The last one, which the inbox shows.
        edited("bob", 7, "last, edited"),
        reacted("alice", 7, thumb),
        reacted("bob", 7, thumb),
        reacted("alice", 7, heart),
        unreacted("alice", 7, thumb),
        unreacted("bob", 7, thumb),
        // One that alice has not read, with all that it had, and one that bob has.
        deleted("bob", 7),
        deleted("alice", 2),
        send("alice", "m-8", json!({"replyTo": 2})),
    ]
}

/// One person, seen by two devices: one that lives on events, one that syncs now and then.
struct Person {
    name: &'static str,
    client: Client,
    socket: Socket,
    live: Model,
    synced: Model,
    token: String,
}

impl Person {
    async fn arrive(gateway: &Service, name: &'static str) -> Self {
        let client = gateway.client(name).await;
        let mut socket = Socket::connect(&gateway.url(), client.token(), "phone", None).await;
        let mut live = Model::new(name);
        loop {
            let frame = socket.next().await.unwrap();
            match frame["type"].as_str().unwrap() {
                "sync" => live.page(&frame),
                "caughtUp" => {
                    let token = frame["token"].as_str().unwrap().to_owned();
                    return Self { name, client, socket, synced: live.clone(), live, token };
                }
                other => panic!("{other} before caughtUp"),
            }
        }
    }

    /// The next event, applied; whoever comes into a group has a page of it first.
    async fn hear(&mut self) -> Value {
        loop {
            let frame = self.socket.next().await.unwrap();
            match frame["type"].as_str().unwrap() {
                "sync" => self.live.page(&frame),
                "event" => {
                    self.live.event(&frame["event"]);
                    return frame["event"].clone();
                }
                _ => {}
            }
        }
    }

    /// Syncs the other device until it has the event, which the views may not have at once.
    async fn sync_to(&mut self, subject: &str, version: u64) {
        eventually("the sync has the event", WITHIN, async || {
            let path = format!("/v1/sync?since={}", self.token);
            let page = self.client.get(&path).await.expect(200);
            self.synced.page(&page);
            self.token = page["token"].as_str().unwrap().to_owned();
            (self.synced.version(subject) >= version).then_some(())
        })
        .await;
    }
}

/// Who is in each group and channel.
#[derive(Default)]
struct Crowds(BTreeMap<String, BTreeSet<String>>);

impl Crowds {
    /// Who is told of an event: of a group's, whoever is in it just before or just after.
    fn told(&mut self, event: &Value) -> BTreeSet<String> {
        let subject = event["subject"].as_str().unwrap();
        if !subject.starts_with(['g', 'c']) {
            return subject.split('.').skip(1).map(str::to_owned).collect();
        }
        let crowd = self.0.entry(subject.to_owned()).or_default();
        let mut told = crowd.clone();
        let name = |user: &Value| user["userId"].as_str().unwrap().to_owned();
        let data = &event["data"];
        match event["type"].as_str().unwrap() {
            "conversation.created" => {
                crowd.extend(data["members"].as_array().unwrap().iter().map(name));
            }
            "member.added" => drop(crowd.insert(name(data))),
            "member.removed" | "member.left" => drop(crowd.remove(&name(data))),
            _ => {}
        }
        told.extend(crowd.iter().cloned());
        told
    }
}

/// The same event as everybody has it but the one whom it is about, if only they may know.
fn shown(event: &Value) -> Value {
    let mut event = event.clone();
    if event["data"]["hidden"] == true {
        event["data"] = json!({"userId": event["data"]["userId"], "throughSeq": 0});
    }
    event
}

/// The types that the log knows, by their golden files.
fn golden() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("domain/tests/golden");
    let read = |path| {
        let event: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        event["type"].as_str().unwrap().to_owned()
    };
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

#[tokio::test]
async fn for_every_event_type_state_and_events_are_a_fresh_fetch() {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let mut people =
        [Person::arrive(&gateway, "alice").await, Person::arrive(&gateway, "bob").await];

    let mut caused = BTreeSet::new();
    let mut crowds = Crowds::default();
    for Cause { event: kind, by, method, path, body } in table() {
        let endpoint = people[0].live.account["endpoints"][0]["endpointId"].as_str();
        let path = path.replace("{endpointId}", endpoint.unwrap_or_default());
        let what = format!("{kind} by {by}: {method} {path}");
        println!("{what}");
        let actor = gateway.client(by).await;
        let answer = actor.request(method, &path, body.as_ref()).await;
        assert!(answer.status < 300, "{what}: {answer:?}");
        caused.insert(kind.to_owned());

        let actor = people.iter_mut().find(|person| person.name == by).unwrap();
        let event = actor.hear().await;
        assert_eq!((&event["type"], &event["actor"]), (&json!(kind), &json!(by)), "{what}");
        let (subject, told) = (event["subject"].as_str().unwrap(), crowds.told(&event));
        for person in people.iter_mut().filter(|person| told.contains(person.name)) {
            if person.name != by {
                assert_eq!(person.hear().await, shown(&event), "{what}");
            }
            person.sync_to(subject, event["version"].as_u64().unwrap()).await;
            let fresh = Model::fresh(person.name, &person.client).await;
            assert_eq!(person.live, fresh, "{} by events after {what}", person.name);
            assert_eq!(person.synced, fresh, "{} by syncs after {what}", person.name);
        }
    }
    assert_eq!(caused, golden(), "a type of event is missing in the table");
}
