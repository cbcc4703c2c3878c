//! Groups and channels through the service, for clients and backend services.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use futures_util::future::join_all;
use parley_commands::{Code, Request, api::CreateConversation};
use parley_domain::{Action, Answer, Event, EventData, UserId};
use parley_nats::{read::read_subject, subjects::shard_of};
use parley_runtime::engines::testing::TestNats;
use serde_json::json;
use support::{SHARDS, Service, ask, body, client, connection, database, request, send};
use uuid::Uuid;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn add(id: &str, actor: &str, name: &str) -> Request {
    request(id, actor, Action::AddMember { user_id: user(name), role: None })
}

fn remove(id: &str, actor: &str, name: &str) -> Request {
    request(id, actor, Action::RemoveMember { user_id: user(name) })
}

/// By `olga`; its id.
fn create(kind: &str, members: &[&str]) -> (String, Request) {
    let asked: CreateConversation =
        serde_json::from_value(json!({"kind": kind, "title": "T", "memberIds": members})).unwrap();
    let (id, action) = asked.into_action(Uuid::now_v7()).unwrap();
    let created = request(id.as_str(), "olga", action);
    (id.to_string(), created)
}

#[tokio::test]
async fn who_is_a_member_is_decided_in_order_with_the_messages() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let (id, created) = create("group", &["mia"]);
    client.execute(created.clone()).await.unwrap();
    assert_eq!(client.execute(created).await.unwrap(), Answer::Done { version: 1, changed: false });
    // All at once: joe comes and goes while everybody talks.
    let mut asked = Vec::new();
    for n in 0..40 {
        asked.push(add(&id, "olga", "joe"));
        asked.push(send(&id, "joe", &format!("j-{n}"), "in"));
        asked.push(send(&id, "mia", &format!("m-{n}"), "all"));
        asked.push(remove(&id, "olga", "joe"));
        asked.push(send(&id, "joe", &format!("o-{n}"), "out"));
    }
    let answers = join_all(asked.into_iter().map(|request| client.execute(request))).await;
    for round in answers.chunks(5) {
        assert!(round[..4].iter().all(Result::is_ok), "{round:?}");
        assert_eq!(round[4].as_ref().unwrap_err().code, Code::NotFound);
    }
    // After a restart the state is loaded, or folded, and decides the same.
    service.stop().await;
    let service = Service::start(&nats.url(), &database, &[]);
    let late = client.execute(send(&id, "joe", "late", "out")).await;
    assert_eq!(late.unwrap_err().code, Code::NotFound);
    assert!(client.execute(remove(&id, "joe", "joe")).await.is_ok(), "he may leave again");
    let conversation_id = parley_domain::ConversationId::parse(&id).unwrap();
    let shard = shard_of(&conversation_id, SHARDS);
    let log = read_subject(&connection, shard, &conversation_id).await.unwrap();
    let mut is_there = false;
    for message in &log {
        let event = Event::from_json(&message.payload).unwrap();
        if matches!(&event.data, EventData::MemberAdded(_)) {
            is_there = true;
        } else if matches!(&event.data, EventData::MemberRemoved(_)) {
            is_there = false;
        } else if event.actor == user("joe") {
            assert!(is_there, "{event:?}");
        }
    }
    assert_eq!(log.len(), 1 + 40 * 4);
    service.stop().await;
}

#[tokio::test]
async fn a_channels_readers_leave_no_trace_in_its_log() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let (id, created) = create("channel", &[]);
    client.execute(created).await.unwrap();
    client.execute(add(&id, "rea", "rea")).await.unwrap();
    for n in 1..=3 {
        client.execute(send(&id, "olga", &n.to_string(), "news")).await.unwrap();
    }
    let read = async |through_seq| {
        client.execute(request(&id, "rea", Action::MarkRead { through_seq })).await
    };
    let at = |read_seq| Answer::Cursor { version: 5, read_seq, delivered_seq: read_seq };
    assert_eq!(read(2).await.unwrap(), at(2));
    assert_eq!(read(1).await.unwrap(), at(2), "never back");
    assert_eq!(read(4).await.unwrap_err().code, Code::BeyondLastMessage);
    let delivered = request(&id, "rea", Action::MarkDelivered { through_seq: 3 });
    assert!(client.execute(delivered).await.is_ok());
    let channel = parley_domain::ConversationId::parse(&id).unwrap();
    let log = read_subject(&connection, shard_of(&channel, SHARDS), &channel).await.unwrap();
    assert_eq!(log.len(), 5);
    let account = parley_domain::AccountId::parse("a.rea").unwrap();
    let own = read_subject(&connection, shard_of(&account, SHARDS), &account).await.unwrap();
    assert_eq!(own.len(), 1);
    service.stop().await;
}

#[tokio::test]
async fn backend_services_keep_groups_over_nats() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let make = json!({"kind": "group", "title": "Team", "memberIds": ["mia"]}).to_string();
    let created = body(&ask(&connection, "conversation.create", Some("olga"), &make).await);
    let id = created["conversationId"].as_str().unwrap().to_owned();
    let with = |more: serde_json::Value| {
        let mut all = more;
        all["conversationId"] = json!(id);
        all.to_string()
    };
    for (verb, more, version) in [
        ("member.add", json!({"userId": "joe"}), 2),
        ("member.role", json!({"userId": "joe", "role": "admin"}), 3),
        ("member.remove", json!({"userId": "mia"}), 4),
        ("conversation.rename", json!({"title": "Crew"}), 5),
        ("conversation.timer", json!({"seconds": 604_800}), 6),
        ("conversation.timer", json!({"seconds": 604_800}), 6),
    ] {
        let answer = ask(&connection, verb, Some("olga"), &with(more)).await;
        assert_eq!(body(&answer), json!({"version": version}), "{verb}");
    }
    for (verb, actor, more, status, code) in [
        ("member.add", "eve", json!({"userId": "eve"}), 404, "not_found"),
        ("member.role", "joe", json!({"userId": "olga", "role": "member"}), 403, "forbidden"),
        ("member.role", "olga", json!({"userId": "mia", "role": "admin"}), 404, "not_member"),
        ("member.add", "olga", json!({"userId": "a.b"}), 400, "invalid_id"),
        ("member.add", "olga", json!({}), 400, "invalid_body"),
        ("conversation.timer", "olga", json!({"seconds": 1}), 422, "invalid_body"),
        ("conversation.block", "olga", json!({}), 403, "forbidden"),
    ] {
        let answer = ask(&connection, verb, Some(actor), &with(more)).await;
        let problem = body(&answer);
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(status), &json!(code)),
            "{verb}"
        );
        let headers = answer.headers.unwrap();
        assert_eq!(headers.get("Nats-Service-Error-Code").unwrap().as_str(), status.to_string());
    }
    let direct = json!({"conversationId": "d.joe.olga"}).to_string();
    let blocked = body(&ask(&connection, "conversation.block", Some("joe"), &direct).await);
    assert_eq!(blocked, json!({"version": 1}));
    let text = support::message_send("d.joe.olga", "1", "hi");
    let refused = body(&ask(&connection, "message.send", Some("olga"), &text).await);
    assert_eq!((&refused["status"], &refused["code"]), (&json!(403), &json!("blocked")));
    let system = text.replace(r#""kind":"text""#, r#""kind":"system""#);
    let passed = body(&ask(&connection, "message.send", Some("olga"), &system).await);
    assert_eq!(passed["conversationSeq"], 1);
    let unblocked = body(&ask(&connection, "conversation.unblock", Some("joe"), &direct).await);
    assert_eq!(unblocked, json!({"version": 3}));
    service.stop().await;
}
