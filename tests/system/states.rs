//! For every event type: a state and the events after it are what a fresh fetch gives.
//!
//! To add an event type: say in `model.rs` what it does, and in [`table`] which requests cause it.
//! The first is what the compiler asks for, the second is found missing by its golden file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Deployment, Service, Socket, eventually};
use crate::model::Model;

const DIRECT: &str = "/v1/conversations/d.alice.bob";
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

    /// Whether this person is told of what happens there.
    fn sees(&self, subject: &str) -> bool {
        subject.split('.').skip(1).any(|user| user == self.name)
    }

    /// The next event, applied.
    async fn hear(&mut self) -> Value {
        let event = self.socket.until("event").await["event"].clone();
        self.live.event(&event);
        event
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

    /// What a device that is new would know, with all of its history.
    async fn fresh(&self) -> Model {
        let mut fresh = Model::new(self.name);
        let mut since = String::new();
        loop {
            let page = self.client.get(&format!("/v1/sync{since}")).await.expect(200);
            fresh.page(&page);
            if page["more"] == false {
                break;
            }
            since = format!("?since={}", page["token"].as_str().unwrap());
        }
        for (id, conversation) in &mut fresh.conversations {
            let path = format!("/v1/conversations/{id}/messages?afterSeq=0&limit=200");
            let history = self.client.get(&path).await.expect(200);
            conversation.take(history["messages"].as_array().unwrap());
        }
        fresh
    }
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
    for Cause { event: kind, by, method, path, body } in table() {
        let endpoint = people[0].live.account["endpoints"][0]["endpointId"].as_str();
        let path = path.replace("{endpointId}", endpoint.unwrap_or_default());
        let what = format!("{kind} by {by}: {method} {path}");
        let actor = gateway.client(by).await;
        let answer = actor.request(method, &path, body.as_ref()).await;
        assert!(answer.status < 300, "{what}: {answer:?}");
        caused.insert(kind.to_owned());

        let actor = people.iter_mut().find(|person| person.name == by).unwrap();
        let event = actor.hear().await;
        assert_eq!((&event["type"], &event["actor"]), (&json!(kind), &json!(by)), "{what}");
        let subject = event["subject"].as_str().unwrap();
        for person in people.iter_mut().filter(|person| person.sees(subject)) {
            if person.name != by {
                assert_eq!(person.hear().await, event, "{what}");
            }
            person.sync_to(subject, event["version"].as_u64().unwrap()).await;
            let fresh = person.fresh().await;
            assert_eq!(person.live, fresh, "{} by events after {what}", person.name);
            assert_eq!(person.synced, fresh, "{} by syncs after {what}", person.name);
        }
    }
    let mut known = golden();
    // Nobody can read a channel before there are any.
    known.remove("channel.read");
    assert_eq!(caused, known, "a type of event is missing in the table");
}
