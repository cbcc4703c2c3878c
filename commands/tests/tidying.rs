//! Deleted messages leave the log, unless somebody holds them; expired ones are deleted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use parley_commands::Code;
use parley_domain::{
    Action, Body, ConversationId, Emoji, Event, EventData, Timestamp, event::MessageSent,
};
use parley_nats::{
    Connection,
    erase::message_at,
    read::read_subject,
    subjects::{event_subject, shard_of},
};
use parley_projections::holds;
use parley_runtime::{engines::testing::TestNats, shutdown::Shutdown};
use sqlx::PgPool;
use support::{SHARDS, Service, ask, body, client, connection, database, numbers, request, send};

const PATIENCE: Duration = Duration::from_secs(20);
const SOON: [(&str, &str); 2] =
    [("PARLEY_TIDY_INTERVAL_MILLIS", "50"), ("PARLEY_ERASE_GRACE_SECONDS", "0")];

/// A deployment without a gateway.
struct Deployment {
    nats: TestNats,
    database: String,
    pool: PgPool,
    projecting: Shutdown,
}

impl Deployment {
    async fn start() -> Self {
        let (nats, database) = (TestNats::start().await, database().await);
        let pool = parley_projections::connect(&database, "test", 2).unwrap();
        let projecting = Shutdown::new();
        let config = parley_projections::Config {
            database_url: database.clone(),
            nats_url: nats.url(),
            shards: SHARDS,
            batch_events: 100,
            linger: Duration::from_millis(1),
        };
        tokio::spawn(parley_projections::run(config, projecting.clone()));
        Self { nats, database, pool, projecting }
    }

    fn service(&self) -> Service {
        Service::start(&self.nats.url(), &self.database, &SOON)
    }

    async fn count(&self, table: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(&query).fetch_one(&self.pool).await.unwrap()
    }
}

fn id() -> ConversationId {
    ConversationId::parse("d.alice.bob").unwrap()
}

fn edit(conversation_seq: u64, text: &str) -> parley_commands::Request {
    let body = Body::Text { text: text.to_owned() };
    request("d.alice.bob", "alice", Action::EditMessage { conversation_seq, body })
}

fn delete(conversation_seq: u64) -> parley_commands::Request {
    let action = Action::DeleteMessage { conversation_seq, reason: None };
    request("d.alice.bob", "alice", action)
}

async fn log(connection: &Connection) -> Vec<String> {
    let messages = read_subject(connection, shard_of(&id(), SHARDS), &id()).await.unwrap();
    messages.iter().map(|m| String::from_utf8(m.payload.to_vec()).unwrap()).collect()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            ticks.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "not within {PATIENCE:?}: {what}");
}

#[tokio::test]
async fn what_a_deleted_message_said_leaves_the_log_and_numbers_stay() {
    let deployment = Deployment::start().await;
    let service = deployment.service();
    let connection = connection(&deployment.nats.url()).await;
    let client = client(&connection);
    let first = send("d.alice.bob", "alice", "c-1", "secret");
    numbers(client.execute(first.clone()).await);
    numbers(client.execute(send("d.alice.bob", "alice", "c-2", "public")).await);
    client.execute(edit(1, "secret too")).await.unwrap();
    client.execute(delete(1)).await.unwrap();
    eventually("it is erased", async || log(&connection).await.len() == 2).await;
    let left = log(&connection).await;
    assert!(left.iter().all(|event| !event.contains("secret")), "{left:?}");
    eventually("it is noted", async || deployment.count("erasures").await == 0).await;
    assert_eq!(deployment.count("edits").await, 0);
    service.stop().await;
    // The log without it, read by somebody who knows nothing else.
    sqlx::query("UPDATE conversations SET damaged = true").execute(&deployment.pool).await.unwrap();
    let service = deployment.service();
    assert_eq!(numbers(client.execute(first).await), (1, 1, true));
    let next = send("d.alice.bob", "bob", "c-3", "hi");
    assert_eq!(numbers(client.execute(next).await), (3, 5, false));
    service.stop().await;
    deployment.projecting.begin();
}

#[tokio::test]
async fn a_hold_keeps_the_log_until_the_last_one_is_lifted() {
    let deployment = Deployment::start().await;
    let service = deployment.service();
    let connection = connection(&deployment.nats.url()).await;
    let client = client(&connection);
    let one = holds::place(&deployment.pool, &id(), "ada", "case 7").await.unwrap();
    let two = holds::place(&deployment.pool, &id(), "bea", "case 8").await.unwrap();
    // Another conversation, to see that the work went past this one.
    for conversation in ["d.alice.bob", "d.alice.cid"] {
        numbers(client.execute(send(conversation, "alice", "c-1", "secret")).await);
        let action = Action::DeleteMessage { conversation_seq: 1, reason: None };
        client.execute(request(conversation, "alice", action)).await.unwrap();
    }
    let only_held = async || deployment.count("erasures").await == 1;
    eventually("the other one is erased", async || {
        deployment.count("messages WHERE deleted_at IS NOT NULL").await == 2 && only_held().await
    })
    .await;
    assert!(holds::lift(&deployment.pool, &id(), one, "ada", "closed").await.unwrap());
    assert!(!holds::lift(&deployment.pool, &id(), one, "ada", "closed").await.unwrap());
    assert!(log(&connection).await[0].contains("secret"));
    assert!(holds::lift(&deployment.pool, &id(), two, "bea", "closed").await.unwrap());
    eventually("it is erased", async || log(&connection).await.len() == 1).await;
    let listed = holds::list(&deployment.pool, &id()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|hold| hold.lifted.is_some()));
    service.stop().await;
    deployment.projecting.begin();
}

/// As after a restore of another database: nobody else's event is erased in its place.
#[tokio::test]
async fn what_is_not_the_messages_own_is_never_erased() {
    let deployment = Deployment::start().await;
    let service = deployment.service();
    let connection = connection(&deployment.nats.url()).await;
    let client = client(&connection);
    let hold = holds::place(&deployment.pool, &id(), "ada", "a moment").await.unwrap();
    for n in 1..=2 {
        numbers(client.execute(send("d.alice.bob", "alice", &format!("c-{n}"), "hi")).await);
    }
    client.execute(delete(1)).await.unwrap();
    eventually("it is due", async || deployment.count("erasures").await == 1).await;
    sqlx::query("UPDATE messages SET position = 2").execute(&deployment.pool).await.unwrap();
    holds::lift(&deployment.pool, &id(), hold, "ada", "over").await.unwrap();
    let failed = async || deployment.count("erasures WHERE failure IS NOT NULL").await == 1;
    eventually("it is noticed", failed).await;
    assert_eq!(log(&connection).await.len(), 3);
    service.stop().await;
    deployment.projecting.begin();
}

/// Sends messages with a time, as a conversation with a timer does.
async fn mortal(connection: &Connection, conversation_seq: u64, expires_at: Timestamp) -> Event {
    let event = Event {
        id: uuid::Uuid::now_v7(),
        subject: id().into(),
        time: Timestamp::from_unix_millis(expires_at.unix_millis() - 1_000),
        version: conversation_seq,
        actor: parley_domain::UserId::parse("alice").unwrap(),
        device: None,
        data: EventData::MessageSent(MessageSent {
            conversation_seq,
            message_id: uuid::Uuid::now_v7(),
            client_message_id: parley_domain::ClientMessageId::parse(&format!(
                "m-{conversation_seq}"
            ))
            .unwrap(),
            body: Body::Text { text: "mortal".to_owned() },
            reply_to: None,
            expires_at: Some(expires_at),
        }),
    };
    let subject = event_subject(shard_of(&id(), SHARDS), &id());
    let published = connection.jetstream().publish(subject, event.to_json().unwrap().into());
    published.await.unwrap().await.unwrap();
    event
}

#[tokio::test]
async fn a_message_whose_time_is_over_is_deleted_and_erased() {
    use parley_runtime::clock::{Clock, SystemClock};

    let deployment = Deployment::start().await;
    let connection = connection(&deployment.nats.url()).await;
    // The streams are there once a service has been.
    let service = deployment.service();
    numbers(client(&connection).execute(send("d.alice.cid", "alice", "c", "hi")).await);
    service.stop().await;
    let now = SystemClock.now_millis();
    mortal(&connection, 1, Timestamp::from_unix_millis(now - 10)).await;
    mortal(&connection, 2, Timestamp::from_unix_millis(now + 600_000)).await;
    let service = deployment.service();
    eventually("one of them is erased", async || {
        let log = log(&connection).await;
        log.len() == 2 && log[1].contains("\"reason\":\"expired\"")
    })
    .await;
    let left = log(&connection).await;
    assert!(left[0].contains("\"conversationSeq\":2") && left[0].contains("mortal"));
    assert!(!left[1].contains("mortal"));
    service.stop().await;
    deployment.projecting.begin();
}

#[tokio::test]
async fn a_message_older_than_the_last_thousand_is_looked_up() {
    let deployment = Deployment::start().await;
    let service = deployment.service();
    let connection = connection(&deployment.nats.url()).await;
    let client = client(&connection);
    let sending =
        (1..=1_010).map(|n| client.execute(send("d.alice.bob", "alice", &format!("c-{n}"), "hi")));
    for answer in futures_util::future::join_all(sending).await {
        numbers(answer);
    }
    let version = client.execute(edit(3, "hello")).await.unwrap().version();
    assert_eq!(version, 1_011);
    // What was changed a moment ago is known, though the views may not have it yet.
    assert_eq!(client.execute(edit(3, "hello")).await.unwrap().version(), 1_011);
    let emoji = Emoji::parse("👍").unwrap();
    let react = request(
        "d.alice.bob",
        "bob",
        Action::AddReaction { conversation_seq: 3, emoji: emoji.clone() },
    );
    assert_eq!(client.execute(react.clone()).await.unwrap().version(), 1_012);
    assert_eq!(client.execute(react.clone()).await.unwrap().version(), 1_012);
    assert_eq!(client.execute(delete(3)).await.unwrap().version(), 1_013);
    assert_eq!(client.execute(delete(3)).await.unwrap().version(), 1_013);
    assert_eq!(client.execute(react).await.unwrap_err().code, Code::TooLate);
    let shard = shard_of(&id(), SHARDS);
    eventually("it is erased", async || message_at(&connection, shard, 3).await.unwrap().is_none())
        .await;
    service.stop().await;
    deployment.projecting.begin();
}

#[tokio::test]
async fn backend_services_change_messages_over_nats() {
    let deployment = Deployment::start().await;
    let service = deployment.service();
    let connection = connection(&deployment.nats.url()).await;
    let sent = support::message_send("d.alice.bob", "n-1", "hi");
    ask(&connection, "message.send", Some("alice"), &sent).await;
    let message = r#""conversationId":"d.alice.bob","conversationSeq":1"#;
    let text = r#""body":{"kind":"text","text":"hello"}"#;
    for (verb, actor, more, expected) in [
        ("message.edit", "alice", format!(",{text}"), 2),
        ("reaction.add", "bob", ",\"emoji\":\"👍\"".to_owned(), 3),
        ("reaction.remove", "bob", ",\"emoji\":\"👍\"".to_owned(), 4),
        ("message.delete", "bob", ",\"reason\":\"fraud\"".to_owned(), 5),
    ] {
        let asked = format!("{{{message}{more}}}");
        let answer = body(&ask(&connection, verb, Some(actor), &asked).await);
        assert_eq!(answer["version"], expected, "{verb}: {answer}");
    }
    for (verb, actor, more, code) in [
        ("message.edit", "bob", format!(",{text}"), "not_sender"),
        ("message.edit", "alice", format!(",{text}"), "too_late"),
        ("message.delete", "bob", ",\"reason\":\"expired\"".to_owned(), "invalid_body"),
        ("reaction.add", "bob", ",\"emoji\":\"ok\"".to_owned(), "invalid_body"),
    ] {
        let asked = format!("{{{message}{more}}}");
        let answer = body(&ask(&connection, verb, Some(actor), &asked).await);
        assert_eq!(answer["code"], code, "{verb}");
    }
    service.stop().await;
    deployment.projecting.begin();
}
