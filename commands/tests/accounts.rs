//! Accounts, served by the same owners as conversations, on a real server and database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "the conversations' tests need more of it")]
mod support;

use futures_util::future::join_all;
use parley_commands::{AccountRequest, Client, Code, Problem};
use parley_domain::{
    AccountId, Actor, DeviceId, Event, Scope, UserId,
    account::{Action, Answer},
};
use parley_nats::{Connection, read::read_subject, subjects::shard_of};
use parley_runtime::engines::testing::TestNats;
use support::{SHARDS, Service, ask, body, client, connection, database, numbers, send};

fn of(user: &str, action: Action) -> AccountRequest {
    let user_id = UserId::parse(user).unwrap();
    let actor = Actor { user_id, device_id: None, scope: Scope::User, is_discreet: false };
    AccountRequest::new(actor, action, None)
}

async fn link(
    client: &Client,
    user: &str,
    device: &str,
    renews: Option<u64>,
) -> Result<(u64, u64), Problem> {
    let (device_id, platform) = (DeviceId::parse(device).unwrap(), "web".to_owned());
    let request = of(user, Action::RegisterDevice { device_id, platform, renews });
    match client.execute(request).await? {
        Answer::Registered { version, registration } => Ok((version, registration)),
        Answer::Done { .. } | Answer::Endpoint { .. } | Answer::Read { .. } => {
            panic!("not a registration")
        }
    }
}

async fn unlink(client: &Client, user: &str, device: &str) -> Result<u64, Problem> {
    let request = of(user, Action::UnlinkDevice { device_id: DeviceId::parse(device).unwrap() });
    client.execute(request).await.map(|answer| answer.version())
}

/// The types in an account's log, whose versions must be gapless.
async fn log(connection: &Connection, user: &str) -> Vec<&'static str> {
    let id = AccountId::parse(&format!("a.{user}")).unwrap();
    let messages = read_subject(connection, shard_of(&id, SHARDS), &id).await.unwrap();
    let events = messages.iter().map(|message| Event::from_json(&message.payload).unwrap());
    let numbered = events.zip(1..).map(|(event, version)| {
        assert_eq!(event.version, version);
        event.data.kind()
    });
    numbered.collect()
}

#[tokio::test]
async fn a_device_is_linked_once_however_often_it_asks_and_whoever_owns_its_shard() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let asked = join_all((0..50).map(|_| link(&client, "alice", "dev_1", None))).await;
    assert!(asked.into_iter().all(|answer| answer.unwrap() == (1, 1)));
    // Between messages, on the same owners.
    let conversations = (0..40).map(|n| send("d.alice.bob", "alice", &format!("c-{n}"), "x"));
    let sending = join_all(conversations.map(|request| client.execute(request)));
    let linking = join_all((2..=20).map(|n| {
        let client = &client;
        async move { link(client, "alice", &format!("dev_{n}"), None).await }
    }));
    let (sent, linked) = tokio::join!(sending, linking);
    for (answer, expected) in sent.into_iter().zip(1..) {
        assert_eq!(numbers(answer), (expected, expected, false));
    }
    for (answer, expected) in linked.into_iter().zip(2..) {
        assert_eq!(answer.unwrap(), (expected, expected));
    }
    service.stop().await;

    // Loaded from the views or read from the log's end: it is known.
    let service = Service::start(&nats.url(), &database, &[]);
    assert_eq!(link(&client, "alice", "dev_1", None).await, Ok((20, 1)));
    assert_eq!(unlink(&client, "alice", "dev_1").await, Ok(21));
    assert_eq!(unlink(&client, "alice", "dev_1").await, Ok(21));
    assert_eq!(unlink(&client, "alice", "dev_99").await.unwrap_err().code, Code::NotFound);
    let renewed = link(&client, "alice", "dev_1", Some(1)).await;
    assert_eq!(renewed.unwrap_err().code, Code::Unauthenticated);
    assert_eq!(link(&client, "alice", "dev_1", None).await, Ok((22, 22)));
    let mut expected = vec!["device.registered"; 20];
    expected.extend(["device.unlinked", "device.registered"]);
    assert_eq!(log(&connection, "alice").await, expected);
    service.stop().await;
}

#[tokio::test]
async fn without_a_database_the_log_says_which_devices_are_linked() {
    let (nats, migrated) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &migrated, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    assert_eq!(link(&client, "alice", "dev_1", None).await, Ok((1, 1)));
    assert_eq!(unlink(&client, "alice", "dev_1").await, Ok(2));
    service.stop().await;
    // Nobody listens there.
    let service = Service::start(&nats.url(), "postgres://nobody@127.0.0.1:1/none", &[]);
    assert_eq!(unlink(&client, "alice", "dev_1").await, Ok(2));
    assert_eq!(link(&client, "alice", "dev_1", None).await, Ok((3, 3)));
    service.stop().await;
}

#[tokio::test]
async fn a_killed_server_neither_loses_nor_doubles_a_device() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    // The service is up: it does not start without its server.
    assert_eq!(link(&client, "bob", "dev_1", None).await, Ok((1, 1)));
    for round in 0..3 {
        let linking = join_all((0..30).map(|n| {
            let client = &client;
            async move { link(client, "alice", &format!("dev_{}", n % 10), None).await }
        }));
        let killing = async {
            nats.kill9().await;
            nats.restart().await;
        };
        let (answers, ()) = tokio::join!(linking, killing);
        assert!(answers.iter().all(Result::is_ok), "round {round}: {answers:?}");
        for n in 0..10 {
            unlink(&client, "alice", &format!("dev_{n}")).await.unwrap();
        }
    }
    let log = log(&connection, "alice").await;
    let linked = log.iter().filter(|kind| **kind == "device.registered").count();
    assert_eq!((linked, log.len()), (30, 60));
    service.stop().await;
}

#[tokio::test]
async fn backend_services_link_and_unlink_devices() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let device = r#"{"deviceId":"dev_1","platform":"kiosk"}"#;
    for (verb, text, version) in [
        ("device.register", device, 1),
        ("device.register", device, 1),
        ("device.unlink", r#"{"deviceId":"dev_1"}"#, 2),
        ("device.unlink", r#"{"deviceId":"dev_1"}"#, 2),
    ] {
        assert_eq!(body(&ask(&connection, verb, Some("alice"), text).await)["version"], version);
    }
    for (verb, text, code) in [
        ("device.unlink", r#"{"deviceId":"dev_2"}"#, "not_found"),
        ("device.unlink", r#"{"deviceId":"dev 2"}"#, "invalid_id"),
        ("device.unlink", "{}", "invalid_body"),
        ("device.register", r#"{"deviceId":"dev_2","platform":""}"#, "invalid_body"),
    ] {
        let answer = ask(&connection, verb, Some("alice"), text).await;
        assert_eq!(body(&answer)["code"], code, "{text}");
    }
    assert_eq!(log(&connection, "alice").await, ["device.registered", "device.unlinked"]);
    service.stop().await;
}

#[tokio::test]
async fn backend_services_do_what_people_do_with_their_accounts() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let with_bob = r#"{"conversationId":"d.alice.bob"}"#;
    for (version, (verb, text)) in (1..).zip([
        ("contact.add", r#"{"userId":"bob"}"#),
        ("contact.remove", r#"{"userId":"bob"}"#),
        ("conversation.mute", r#"{"conversationId":"d.alice.bob","until":"2999-01-01T00:00:00Z"}"#),
        ("conversation.unmute", with_bob),
        ("conversation.pin", with_bob),
        ("conversation.unpin", with_bob),
        ("conversation.archive", r#"{"conversationId":"d.alice.bob","throughSeq":3}"#),
        ("conversation.unarchive", with_bob),
        (
            "draft.save",
            r#"{"conversationId":"d.alice.bob","text":"x","savedAt":"2026-01-01T00:00:00Z"}"#,
        ),
        ("draft.clear", with_bob),
        ("preferences.set", r#"{"quietHours":{"from":"22:00","to":"07:00"}}"#),
    ]) {
        // Twice is once.
        for _ in 0..2 {
            let answer = ask(&connection, verb, Some("alice"), text).await;
            assert_eq!(body(&answer)["version"], version, "{verb}");
        }
    }
    let email = r#"{"channel":"email","address":"alice@example.com"}"#;
    let added = body(&ask(&connection, "endpoint.add", Some("alice"), email).await);
    assert_eq!((&added["state"], &added["version"]), (&"pending".into(), &12.into()));
    let id = serde_json::json!({"endpointId": added["endpointId"]}).to_string();
    let verified = body(&ask(&connection, "endpoint.verify", Some("alice"), &id).await);
    assert_eq!((&verified["state"], &verified["version"]), (&"verified".into(), &13.into()));
    // It is nobody else's.
    let theirs = body(&ask(&connection, "endpoint.remove", Some("bob"), &id).await);
    assert_eq!(theirs["code"], "not_found");
    let removed = ask(&connection, "endpoint.remove", Some("alice"), &id).await;
    assert_eq!(body(&removed)["version"], 14);
    let known = r#"{"channel":"sms","address":"+4915112345678","verified":true}"#;
    let added = body(&ask(&connection, "endpoint.add", Some("alice"), known).await);
    assert_eq!(added["state"], "verified");

    for (verb, text, code) in [
        ("contact.add", r#"{"userId":"alice"}"#, "invalid_id"),
        ("contact.add", r#"{"userId":"b ob"}"#, "invalid_id"),
        ("conversation.pin", r#"{"conversationId":"d.bob.carol"}"#, "not_found"),
        ("conversation.pin", "{}", "invalid_body"),
        ("conversation.mute", r#"{"conversationId":"d.alice.bob","until":"soon"}"#, "invalid_body"),
        (
            "conversation.mute",
            r#"{"conversationId":"d.alice.bob","until":"2020-01-01T00:00:00Z"}"#,
            "invalid_body",
        ),
        ("preferences.set", r#"{"timeZone":"Mars/Base"}"#, "invalid_body"),
        ("preferences.set", r#"{"presenceVisibility":"friends"}"#, "invalid_body"),
        ("endpoint.add", r#"{"channel":"email","address":"nowhere"}"#, "invalid_body"),
        ("endpoint.add", r#"{"channel":"email"}"#, "invalid_body"),
        ("endpoint.add", r#"{"channel":"pigeon","address":"x"}"#, "invalid_body"),
        ("endpoint.verify", r#"{"endpointId":"x"}"#, "invalid_id"),
        ("endpoint.verify", &id, "not_found"),
    ] {
        let answer = ask(&connection, verb, Some("alice"), text).await;
        assert_eq!(body(&answer)["code"], code, "{verb} {text}");
    }
    assert_eq!(log(&connection, "alice").await.len(), 15);
    service.stop().await;
}
