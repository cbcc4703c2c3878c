//! What is deleted or expires is found nowhere, and everything goes on without it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use parley_domain::event::MessageSent;
use parley_domain::{Body, ClientMessageId, ConversationId, Event, EventData, Timestamp, UserId};
use parley_nats::subjects::{event_subject, shard_of};
use parley_runtime::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::device::{Store, Transport, listen};
use crate::harness::{Client, Up, eventually};

const WITHIN: Duration = Duration::from_secs(30);
const SHARDS: u16 = 4;
/// Erase at once, and look for it often.
const SOON: [(&str, &str); 1] = [("PARLEY_TIDY_INTERVAL_MILLIS", "100")];
const TRANSPORTS: [Transport; 3] = [Transport::WebSocket, Transport::Stream, Transport::LongPoll];

/// Whether any file below `folder` holds the text.
fn is_in_files(folder: &Path, text: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_in_files(&path, text);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn is_in_log(up: &Up, text: &str) -> bool {
    is_in_files(&up.data().join("nats"), text)
}

/// The columns of every table that hold the text.
async fn columns_with(up: &Up, text: &str) -> Vec<String> {
    let pool = sqlx::PgPool::connect(&up.database_url()).await.unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(columns.len() > 50);
    let mut found = Vec::new();
    for (table, column) in columns {
        let query = format!("SELECT count(*) FROM {table} WHERE {column}::text LIKE $1");
        let query = sqlx::query_scalar(&query).bind(format!("%{text}%"));
        let count: i64 = query.fetch_one(&pool).await.unwrap();
        if count > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    pool.close().await;
    found
}

async fn say(client: &Client, conversation: &str, name: &str, text: &str) -> u64 {
    let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": text}});
    let path = format!("/v1/conversations/{conversation}/messages");
    let sent = client.post(&path, &body).await.expect(202);
    sent["conversationSeq"].as_u64().unwrap()
}

async fn change(
    client: &Client,
    method: Method,
    conversation: &str,
    seq: u64,
    body: Option<Value>,
) {
    let path = format!("/v1/conversations/{conversation}/messages/{seq}");
    client.request(method, &path, body.as_ref()).await.expect(200);
}

/// A message with a time, as a conversation with a timer has them: written behind the back of the
/// shard's owner, who then reads the log anew.
async fn send_mortal(up: &Up, text: &str) {
    let id = ConversationId::parse("d.alice.carol").unwrap();
    let expires_at = Timestamp::from_unix_millis(SystemClock.now_millis() + 1_500);
    let event = Event {
        id: uuid(),
        subject: id.clone().into(),
        time: Timestamp::from_unix_millis(SystemClock.now_millis()),
        version: 1,
        actor: UserId::parse("alice").unwrap(),
        device: None,
        data: EventData::MessageSent(MessageSent {
            conversation_seq: 1,
            message_id: uuid(),
            client_message_id: ClientMessageId::parse("mortal").unwrap(),
            body: Body::Text { text: text.to_owned() },
            reply_to: None,
            expires_at: Some(expires_at),
            by_service: false,
        }),
    };
    let nats = parley_nats::connect(&up.nats_url(), "test").await.unwrap();
    let subject = event_subject(shard_of(&id, SHARDS), &id);
    let published = nats.jetstream().publish(subject, event.to_json().unwrap().into());
    published.await.unwrap().await.unwrap();
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0193_e5a0_7b1c_7def_8123_4567_89ab_cdef)
}

/// Everything that a device is told that comes back with an old token: until it is caught up and has
/// seen the message with `last` as its name.
async fn resync(up: &Up, since: &str, last: &str) -> String {
    let mut socket = up.socket("bob", "old", Some(since)).await;
    let mut told = String::new();
    while !told.contains(last) {
        told.push_str(&socket.next().await.unwrap().to_string());
    }
    let path = format!("/v1/sync?since={since}");
    told.push_str(&up.client("bob").await.get(&path).await.expect(200).to_string());
    told
}

#[tokio::test]
async fn what_is_deleted_or_expired_is_found_nowhere_and_all_goes_on() {
    let mut up = Up::start_with(&[], &SOON).await;
    let (alice, bob) = (up.client("alice").await, up.client("bob").await);
    say(&alice, "d.alice.bob", "c-0", "hello").await;
    // Known to the views, it is not among what the devices are told as new.
    eventually("the views know it", WITHIN, async || {
        let page = bob.get("/v1/conversations").await.expect(200);
        (page["conversations"][0]["lastSeq"] == 1).then_some(())
    })
    .await;
    let mut socket = up.socket("bob", "phone", None).await;
    let since = socket.until("caughtUp").await["token"].as_str().unwrap().to_owned();
    let mut stores: Vec<Store> = Vec::new();
    for transport in TRANSPORTS {
        let mut store = Store::default();
        listen(transport, &up.url(), "bob", &mut store, Duration::from_millis(1_500)).await;
        assert!(store.token.is_some(), "{transport:?}");
        stores.push(store);
    }

    let seq = say(&alice, "d.alice.bob", "c-1", "sesame-first").await;
    let edited = json!({"body": {"kind": "text", "text": "sesame-second"}});
    change(&alice, Method::PATCH, "d.alice.bob", seq, Some(edited)).await;
    say(&bob, "d.alice.bob", "c-2", "between").await;
    send_mortal(&up, "sesame-mortal").await;
    assert!(is_in_log(&up, "sesame-second"));
    change(&alice, Method::DELETE, "d.alice.bob", seq, None).await;
    say(&alice, "d.alice.bob", "c-3", "afterwards").await;
    eventually("nothing is in the log's files", WITHIN, async || {
        (!is_in_log(&up, "sesame")).then_some(())
    })
    .await;
    assert_eq!(columns_with(&up, "sesame").await, Vec::<String>::new());
    assert!(!columns_with(&up, "afterwards").await.is_empty());

    // On the connected device it came and went; the ring tells only that it went.
    let told = resync(&up, &since, "c-3").await;
    assert!(told.contains("message.deleted"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
    let history = bob.get("/v1/conversations/d.alice.bob/messages").await.expect(200);
    let message = &history["messages"][1];
    assert_eq!((&message["body"], &message["clientMessageId"]), (&Value::Null, &json!("c-1")));
    assert!(message["deletedAt"].is_string() && message.get("editedAt").is_none());
    let history = alice.get("/v1/conversations/d.alice.carol/messages").await.expect(200);
    let mortal = &history["messages"][0];
    assert!(mortal["body"].is_null() && mortal["deletedAt"].is_string(), "{mortal}");

    // Nobody remembers now, and the log has gaps.
    up.terminate().await;
    up.restart().await;
    let (alice, bob) = (up.client("alice").await, up.client("bob").await);
    say(&bob, "d.alice.bob", "c-4", "on it goes").await;
    say(&alice, "d.alice.carol", "c-5", "here too").await;
    // A retry of what is gone is still a retry.
    assert_eq!(say(&alice, "d.alice.bob", "c-1", "sesame-again").await, seq);
    let told = resync(&up, &since, "c-4").await;
    assert!(!told.contains("sesame"), "{told}");
    for (transport, store) in TRANSPORTS.into_iter().zip(&mut stores) {
        let url = up.url();
        eventually("an old device has everything", WITHIN, async || {
            listen(transport, &url, "bob", store, Duration::from_millis(1_000)).await;
            store.messages.values().any(|name| name == "c-4").then_some(())
        })
        .await;
        let names: Vec<&str> = store.messages.values().map(String::as_str).collect();
        // What was before its first sync, it would read lazily.
        assert_eq!(names, ["c-1", "c-2", "c-3", "c-4"], "{transport:?}");
    }
    assert_eq!(up.parley(&["verify"]).await.printed(), "The views are what the log says.\n");
    up.parley(&["rebuild"]).await.printed();
    let history = bob.get("/v1/conversations/d.alice.bob/messages").await.expect(200);
    assert_eq!(history["messages"][1]["clientMessageId"], "c-1");
    assert_eq!(history["messages"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_hold_keeps_what_is_deleted_until_it_is_removed() {
    let up = Up::start_with(&[], &SOON).await;
    let alice = up.client("alice").await;
    let add = ["hold", "add", "d.alice.bob", "--by", "ada", "--reason", "case 7"];
    up.parley(&add).await.printed();
    for (conversation, text) in [("d.alice.bob", "held-sesame"), ("d.alice.carol", "free-sesame")] {
        let seq = say(&alice, conversation, "c-1", text).await;
        change(&alice, Method::DELETE, conversation, seq, None).await;
    }
    eventually("the other conversation's is erased", WITHIN, async || {
        (!is_in_log(&up, "free-sesame")).then_some(())
    })
    .await;
    // For readers it is gone all the same.
    let history = "/v1/conversations/d.alice.bob/messages";
    eventually("it is deleted", WITHIN, async || {
        let page = alice.get(history).await.expect(200);
        page["messages"][0]["deletedAt"].is_string().then_some(())
    })
    .await;
    assert_eq!(columns_with(&up, "held-sesame").await, Vec::<String>::new());
    assert!(is_in_log(&up, "held-sesame"));

    let list = up.parley(&["hold", "list", "d.alice.bob"]).await.printed();
    assert!(list.contains("by ada: case 7"), "{list}");
    for wrong in [
        &["hold", "add", "d.bob.alice", "--by", "ada", "--reason", "case 7"][..],
        &["hold", "add", "d.alice.bob", "--reason", "case 7"],
        &["hold", "remove", "d.alice.carol", "--by", "ada", "--reason", "closed"],
        &["hold", "remove", "d.alice.bob", "--hold", "99", "--by", "ada", "--reason", "closed"],
    ] {
        assert_eq!(up.parley(wrong).await.code, Some(64), "{wrong:?}");
    }
    let remove = ["hold", "remove", "d.alice.bob", "--by", "bea", "--reason", "closed"];
    up.parley(&remove).await.printed();
    eventually("it is erased", WITHIN, async || (!is_in_log(&up, "held-sesame")).then_some(()))
        .await;
    let list = up.parley(&["hold", "list", "d.alice.bob"]).await.printed();
    assert!(list.contains("by bea: closed"), "{list}");
}
