//! Who may do what: every route, for everybody.
//!
//! The routes are those that the gateway itself describes, so that a new one without a row here fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{World, world};

/// Of a conversation with an owner, an admin, a member, one who was there for its one message and
/// has left, and a stranger.
const PEOPLE: [&str; 5] = ["stranger", "former", "member", "admin", "owner"];

/// What they are answered, in that order.
type Statuses = [u16; 5];

const READ: Statuses = [404, 200, 200, 200, 200];
const TAKE_PART: Statuses = [404, 404, 200, 200, 200];
const LEAD: Statuses = [404, 404, 403, 200, 200];
const SENDER: Statuses = [404, 404, 403, 403, 200];
const NOBODY: Statuses = [404, 404, 403, 403, 403];

enum Access {
    /// No signing in.
    Open,
    /// The caller's own: there is nobody else's to name.
    Own,
    Conversation {
        body: fn() -> Value,
        group: Statuses,
        channel: Statuses,
        /// For either of the two; a stranger is answered 404.
        direct: u16,
    },
    /// For those who take part, but only its sender may: the one who owns the conversation, or
    /// began it.
    Sender(fn() -> Value),
}

use Access::{Conversation, Open, Own, Sender};

fn no_body() -> Value {
    Value::Null
}

fn empty() -> Value {
    json!({})
}

fn message() -> Value {
    json!({"clientMessageId": "again", "body": {"kind": "text", "text": "hi"}})
}

fn title() -> Value {
    json!({"title": "Another"})
}

fn timer() -> Value {
    json!({"seconds": 86_400})
}

fn draft() -> Value {
    json!({"text": "almost"})
}

fn read() -> Value {
    json!({"readThroughSeq": 1})
}

fn delivered() -> Value {
    json!({"deliveredThroughSeq": 1})
}

fn edit() -> Value {
    json!({"body": {"kind": "text", "text": "hello"}})
}

fn both(body: fn() -> Value, statuses: Statuses, direct: u16) -> Access {
    Conversation { body, group: statuses, channel: statuses, direct }
}

fn table() -> Vec<(&'static str, &'static str, Access)> {
    let id = "/v1/conversations/{id}";
    let messages = "/v1/conversations/{id}/messages";
    let member = "/v1/conversations/{id}/members/{userId}";
    let one = "/v1/conversations/{id}/messages/{seq}";
    let reaction = "/v1/conversations/{id}/messages/{seq}/reactions/{emoji}";
    let send = Conversation {
        body: message,
        group: [404, 404, 202, 202, 202],
        channel: [404, 404, 403, 202, 202],
        direct: 202,
    };
    vec![
        ("GET", id, both(no_body, READ, 200)),
        ("GET", messages, both(no_body, READ, 200)),
        ("POST", messages, send),
        ("PATCH", one, Sender(edit)),
        ("DELETE", one, Sender(no_body)),
        ("PUT", reaction, both(no_body, TAKE_PART, 200)),
        ("DELETE", reaction, both(no_body, TAKE_PART, 200)),
        ("POST", "/v1/conversations/{id}/read-cursors", both(read, TAKE_PART, 200)),
        ("POST", "/v1/conversations/{id}/delivery-cursors", both(delivered, TAKE_PART, 200)),
        ("GET", "/v1/conversations/{id}/receipts/{seq}", both(no_body, TAKE_PART, 200)),
        ("PUT", member, both(empty, LEAD, 403)),
        ("DELETE", member, both(no_body, LEAD, 403)),
        ("PUT", "/v1/conversations/{id}/title", both(title, LEAD, 403)),
        ("DELETE", "/v1/conversations/{id}/title", both(no_body, LEAD, 403)),
        ("PUT", "/v1/conversations/{id}/timer", both(timer, LEAD, 200)),
        ("DELETE", "/v1/conversations/{id}/timer", both(no_body, LEAD, 200)),
        ("PUT", "/v1/conversations/{id}/block", both(no_body, NOBODY, 200)),
        ("DELETE", "/v1/conversations/{id}/block", both(no_body, NOBODY, 200)),
        ("PUT", "/v1/conversations/{id}/mute", both(no_body, READ, 200)),
        ("DELETE", "/v1/conversations/{id}/mute", both(no_body, READ, 200)),
        ("PUT", "/v1/conversations/{id}/pin", both(no_body, READ, 200)),
        ("DELETE", "/v1/conversations/{id}/pin", both(no_body, READ, 200)),
        ("PUT", "/v1/conversations/{id}/archive", both(no_body, READ, 200)),
        ("DELETE", "/v1/conversations/{id}/archive", both(no_body, READ, 200)),
        ("PUT", "/v1/conversations/{id}/draft", both(draft, READ, 200)),
        ("DELETE", "/v1/conversations/{id}/draft", both(no_body, READ, 200)),
        ("POST", "/v1/conversations", Own),
        ("GET", "/v1/contacts", Own),
        ("GET", "/v1/contacts/{userId}", Own),
        ("PUT", "/v1/contacts/{userId}", Own),
        ("DELETE", "/v1/contacts/{userId}", Own),
        ("GET", "/v1/settings", Own),
        ("PUT", "/v1/settings", Own),
        ("GET", "/v1/notification-endpoints", Own),
        ("POST", "/v1/notification-endpoints", Own),
        ("DELETE", "/v1/notification-endpoints/{endpointId}", Own),
        ("POST", "/v1/notification-endpoints/{endpointId}/verify", Own),
        ("GET", "/v1/notifications/decisions", Own),
        ("POST", "/v1/conversations/direct", Own),
        ("GET", "/v1/conversations", Own),
        ("GET", "/v1/search", Own),
        ("GET", "/v1/blocks", Own),
        ("GET", "/v1/presence", Own),
        ("GET", "/v1/devices", Own),
        ("DELETE", "/v1/devices/{deviceId}", Own),
        ("GET", "/v1/sync", Own),
        ("GET", "/v1/stream", Own),
        ("POST", "/v1/sessions/bootstrap", Own),
        // Signs in by its first frame.
        ("GET", "/v1/connect", Open),
        ("GET", "/healthz", Open),
        ("GET", "/readyz", Open),
        ("GET", "/metrics", Open),
        ("GET", "/openapi.json", Open),
        ("POST", "/dev/token", Open),
        ("GET", "/dev/outbox", Open),
        // Who may reserve and fetch is in `attachments.rs`.
        ("POST", "/v1/attachments", Own),
        ("GET", "/v1/attachments/{attachmentId}", Own),
        // Their addresses are signed.
        ("PUT", "/v1/attachments/{attachmentId}/content", Open),
        ("GET", "/v1/attachments/{attachmentId}/content", Open),
        // Their tokens say whose they are.
        ("GET", "/v1/notification-endpoints/verify", Open),
        ("POST", "/v1/notification-endpoints/verify", Open),
        ("GET", "/v1/unsubscribe", Open),
        ("POST", "/v1/unsubscribe", Open),
    ]
}

/// A conversation of these people, as [`PEOPLE`] says; its id, and it is in the views.
async fn make(world: &World, kind: &str, tag: &str) -> String {
    let name = |who: &str| format!("{tag}_{who}");
    let others: Vec<String> = ["former", "member", "admin"]
        .into_iter()
        .map(name)
        .chain(PEOPLE.map(|who| format!("{tag}_of_{who}")))
        .collect();
    let owner = name("owner");
    let body = json!({"kind": kind, "title": "Table", "memberIds": others});
    let created = world.post("/v1/conversations", &owner, &body).await.ok(201);
    let id = created["conversationId"].as_str().unwrap().to_owned();
    let path = format!("/v1/conversations/{id}");
    let admin = json!({"role": "admin"});
    let (former, member) = (name("former"), name("admin"));
    let members = format!("{path}/members");
    world.send("PUT", &format!("{members}/{member}"), &owner, &admin).await.ok(200);
    let first = json!({"clientMessageId": "first", "body": {"kind": "text", "text": "hi"}});
    world.post(&format!("{path}/messages"), &owner, &first).await.ok(202);
    let left =
        world.send("DELETE", &format!("{members}/{former}"), &former, &Value::Null).await.ok(200);
    world.get_until(&path, &owner, |summary| summary["version"] == left["version"]).await;
    id
}

fn filled(path: &str, id: &str, user: &str) -> String {
    path.replace("{id}", id)
        .replace("{seq}", "1")
        .replace("{userId}", user)
        .replace("{emoji}", "%F0%9F%91%8D")
}

fn code_of(status: u16, is_senders: bool) -> &'static str {
    match (status, is_senders) {
        (404, _) => "not_found",
        (403, false) => "forbidden",
        (403, true) => "not_sender",
        (other, _) => panic!("not a refusal of the table: {other}"),
    }
}

#[tokio::test]
async fn every_route_has_its_row() {
    let document = world().get("/openapi.json", "").await.ok(200);
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let rows: BTreeSet<(String, String)> = table()
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, rows);
    for (path, access) in table().iter().map(|(_, path, access)| (*path, access)) {
        assert_eq!(
            path.contains("{id}"),
            matches!(access, Conversation { .. } | Sender(_)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_signing_in_there_is_nothing() {
    for (method, path, access) in table() {
        let answer = world().send(method, &filled(path, "d.a.b", "a"), "", &json!({})).await;
        match access {
            Open => assert_ne!(answer.status, 401, "{method} {path}"),
            Own | Conversation { .. } | Sender(_) => answer.refused(401, "unauthenticated"),
        }
    }
}

async fn everybody_tries(kind: &str, tag: &str) {
    let world = world();
    for (n, (method, path, access)) in table().into_iter().enumerate() {
        let (body, statuses, is_senders) = match access {
            Conversation { body, group, .. } if kind == "group" => (body, group, false),
            Conversation { body, channel, .. } => (body, channel, false),
            Sender(body) => (body, SENDER, true),
            Open | Own => continue,
        };
        let tag = format!("{tag}{n}");
        let id = make(world, kind, &tag).await;
        for (who, status) in PEOPLE.into_iter().zip(statuses) {
            // Somebody new to add; somebody who is there to remove.
            let other = if method == "PUT" {
                format!("{tag}_new_{who}")
            } else {
                format!("{tag}_of_{who}")
            };
            let path = filled(path, &id, &other);
            let caller = format!("{tag}_{who}");
            let answer = world.send(method, &path, &caller, &body()).await;
            if status < 400 {
                assert_eq!(answer.status, status, "{method} {path} as {who}: {answer:?}");
            } else {
                let expected = (status, code_of(status, is_senders).to_owned());
                assert_eq!(answer.problem(), expected, "{method} {path} as {who}");
            }
        }
    }
}

#[tokio::test]
async fn in_a_group_everybody_may_do_what_the_table_says() {
    everybody_tries("group", "acg").await;
}

#[tokio::test]
async fn in_a_channel_everybody_may_do_what_the_table_says() {
    everybody_tries("channel", "acc").await;
}

#[tokio::test]
async fn in_a_direct_conversation_there_are_two_and_nobody_else() {
    let world = world();
    for (n, (method, path, access)) in table().into_iter().enumerate() {
        let (body, direct) = match access {
            Conversation { body, direct, .. } => (body, [direct; 2]),
            Sender(body) => (body, [403, 200]),
            Open | Own => continue,
        };
        let is_senders = direct[0] != direct[1];
        let (one, other) = (format!("acd{n}_a"), format!("acd{n}_b"));
        let id = format!("d.{one}.{other}");
        let first = json!({"clientMessageId": "first", "body": {"kind": "text", "text": "hi"}});
        world.post(&format!("/v1/conversations/{id}/messages"), &one, &first).await.ok(202);
        let shown = |summary: &Value| summary["lastSeq"] == 1;
        world.get_until(&format!("/v1/conversations/{id}"), &one, shown).await;
        let path = filled(path, &id, "somebody");
        world.send(method, &path, "acd_stranger", &body()).await.refused(404, "not_found");
        for (caller, direct) in [&other, &one].into_iter().zip(direct) {
            let answer = world.send(method, &path, caller, &body()).await;
            if direct < 400 {
                assert_eq!(answer.status, direct, "{method} {path}: {answer:?}");
            } else {
                assert_eq!(
                    answer.problem(),
                    (direct, code_of(direct, is_senders).to_owned()),
                    "{method} {path}"
                );
            }
        }
    }
}
