//! Accounts on sockets: what one device does, the others have; and what people show of themselves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    client::Client,
    support::{World, world},
};

/// What the issue promises for drafts.
const SOON: Duration = Duration::from_secs(1);

async fn done(world: &World, method: &str, path: &str, user: &str, body: &Value) {
    world.send(method, path, user, body).await.ok(200);
}

/// The next event of this type, and how long it took to come.
async fn event(client: &mut Client, kind: &str) -> (Value, Duration) {
    let start = Instant::now();
    let mut frames = client.until_frame(|frame| frame["event"]["type"] == kind).await;
    (frames.pop().unwrap()["event"].take(), start.elapsed())
}

/// A conversation with one message, in the views too.
async fn acquaint(world: &World, one: &str, other: &str) {
    let id = format!("d.{one}.{other}");
    let body = json!({"clientMessageId": "c", "body": {"kind": "text", "text": "hello"}});
    world.post(&format!("/v1/conversations/{id}/messages"), one, &body).await.ok(202);
    world.get_until(&format!("/v1/conversations/{id}"), one, |found| found["lastSeq"] == 1).await;
}

async fn show(world: &World, user: &str, visibility: &str) {
    let settings = json!({"presenceVisibility": visibility});
    done(world, "PUT", "/v1/settings", user, &settings).await;
}

#[tokio::test]
async fn a_draft_is_on_the_other_devices_within_a_second_and_on_nobody_elses() {
    let world = world();
    let there = world.another_gateway().await;
    let mut laptop = Client::open(&there, "dora", "laptop").await;
    let mut evan = Client::open(&there, "evan", "phone").await;
    let path = "/v1/conversations/d.dora.evan/draft";
    done(world, "PUT", path, "dora", &json!({"text": "shall we"})).await;
    let (saved, took) = event(&mut laptop, "draft.saved").await;
    assert!(took < SOON, "{took:?}");
    assert_eq!((&saved["subject"], &saved["data"]["text"]), (&json!("a.dora"), &json!("shall we")));
    done(world, "DELETE", path, "dora", &Value::Null).await;
    let (cleared, took) = event(&mut laptop, "draft.cleared").await;
    assert!(took < SOON, "{took:?}");
    assert_eq!(cleared["data"]["conversationId"], "d.dora.evan");
    // What evan gets first is the message behind all that.
    acquaint(world, "dora", "evan").await;
    let frames = evan.until_message().await;
    assert!(frames.iter().all(|frame| frame["event"]["subject"] != "a.dora"), "{frames:?}");
    there.shutdown().begin();
}

#[tokio::test]
async fn state_and_events_are_a_fresh_fetch() {
    let world = world();
    acquaint(world, "fred", "gina").await;
    let conversation = "/v1/conversations/d.fred.gina";
    done(world, "PUT", "/v1/contacts/gina", "fred", &Value::Null).await;
    // As the views have it, so that what comes now comes as events.
    world.get("/v1/contacts", "fred").await.ok(200);
    let sync = world.get("/v1/sync", "fred").await.ok(200);
    let account = &sync["account"];
    assert_eq!(account["contacts"][0]["userId"], "gina");
    assert_eq!((&account["marks"], &account["endpoints"]), (&json!([]), &json!([])));
    let since = sync["token"].as_str().unwrap();
    for (method, what, body) in [
        ("PUT", "pin", Value::Null),
        ("PUT", "mute", json!({"until": "2999-01-01T00:00:00.000Z"})),
        ("PUT", "archive", Value::Null),
        ("PUT", "draft", json!({"text": "x"})),
        ("DELETE", "pin", Value::Null),
    ] {
        done(world, method, &format!("{conversation}/{what}"), "fred", &body).await;
    }
    show(world, "fred", "contacts").await;
    // A device that was away.
    world.get("/v1/settings", "fred").await.ok(200);
    let missed = world.get(&format!("/v1/sync?since={since}"), "fred").await.ok(200);
    // Only the account changed: its marks are what the conversation's summary says.
    assert_eq!(missed["conversations"], json!([]));
    let mark = &missed["account"]["marks"][0];
    let summary = world.get(conversation, "fred").await.ok(200);
    assert_eq!(mark["conversationId"], summary["conversationId"]);
    for field in ["muted", "mutedUntil", "pinned", "draft"] {
        assert_eq!(mark[field], summary[field], "{field}");
    }
    assert_eq!((&mark["archivedThroughSeq"], &summary["archived"]), (&json!(1), &json!(true)));
    let fresh = world.get("/v1/sync", "fred").await.ok(200);
    assert_eq!(fresh["account"], missed["account"]);
    assert_eq!(fresh["account"]["settings"]["presenceVisibility"], "contacts");
    assert_eq!(fresh["conversations"][0]["conversation"], summary);
    // It is nobody else's.
    let other = world.get("/v1/sync", "gina").await.ok(200);
    assert_eq!((&other["account"]["version"], &other["account"]["marks"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn who_is_watched_decides_who_watches() {
    let world = world();
    let there = world.another_gateway().await;
    acquaint(world, "hank", "iris").await;
    let _iris = Client::open(world, "iris", "phone").await;
    let mut hank = Client::open(&there, "hank", "phone").await;
    hank.say(&json!({"type":"presence.watch","userIds":["iris"]})).await;
    let state = async |hank: &mut Client| hank.until("presence").await.pop().unwrap();
    assert_eq!(state(&mut hank).await["state"], "online");
    let asked = async |world: &World| {
        let found = world.get("/v1/presence?userIds=iris", "hank").await.ok(200);
        found["presence"].as_array().unwrap().len()
    };
    assert_eq!(asked(&there).await, 1);

    show(world, "iris", "nobody").await;
    let hidden = json!({"type":"presence","userId":"iris","state":"offline"});
    assert_eq!(state(&mut hank).await, hidden);
    assert_eq!(asked(&there).await, 0);
    show(world, "iris", "contacts").await;
    // He is none; that she is one of his changes nothing.
    done(world, "PUT", "/v1/contacts/iris", "hank", &Value::Null).await;
    world.get("/v1/contacts", "hank").await.ok(200);
    assert_eq!(asked(&there).await, 0);
    done(world, "PUT", "/v1/contacts/hank", "iris", &Value::Null).await;
    assert_eq!(state(&mut hank).await["state"], "online");
    assert_eq!(asked(&there).await, 1);
    done(world, "DELETE", "/v1/contacts/hank", "iris", &Value::Null).await;
    assert_eq!(state(&mut hank).await["state"], "offline");

    // A gateway that was started later has it from the views.
    let later = world.another_gateway().await;
    assert_eq!(asked(&later).await, 0);
    let mut again = Client::open(&later, "hank", "laptop").await;
    again.say(&json!({"type":"presence.watch","userIds":["iris"]})).await;
    show(world, "iris", "everyone").await;
    // The first that is told.
    assert_eq!(state(&mut again).await["state"], "online");
    assert_eq!(state(&mut hank).await["state"], "online");
    there.shutdown().begin();
    later.shutdown().begin();
}

#[tokio::test]
async fn who_shows_no_receipts_reads_unseen_and_sees_their_own() {
    let world = world();
    acquaint(world, "hanno", "ivy").await;
    done(world, "PUT", "/v1/settings", "ivy", &json!({"readReceipts": false})).await;
    let mut hugo = Client::open(world, "hanno", "phone").await;
    let mut ivy = Client::open(world, "ivy", "phone").await;
    let mut tablet = Client::open(world, "ivy", "tablet").await;
    let id = "d.hanno.ivy";
    // By HTTP and by socket.
    let delivered = json!({"deviceId": "phone", "deliveredThroughSeq": 1});
    let path = format!("/v1/conversations/{id}/delivery-cursors");
    world.post(&path, "ivy", &delivered).await.ok(200);
    ivy.say(&json!({"type": "cursor.read", "ref": "r", "conversationId": id, "throughSeq": 1}))
        .await;
    for (kind, through) in [("cursor.delivered", 1), ("cursor.read", 1)] {
        let (own, _) = event(&mut tablet, kind).await;
        assert_eq!(
            (&own["data"]["throughSeq"], &own["data"]["hidden"]),
            (&json!(through), &json!(true))
        );
        let (shown, _) = event(&mut hugo, kind).await;
        assert_eq!(shown["data"], json!({"userId": "ivy", "throughSeq": 0}));
        assert_eq!(shown["version"], own["version"]);
    }
    let path = format!("/v1/conversations/{id}");
    let own = world.get_until(&path, "ivy", |found| found["readSeq"] == 1).await;
    let shown = world.get(&path, "hanno").await.ok(200);
    assert_eq!((&shown["version"], &shown["peerReadSeq"]), (&own["version"], &json!(0)));
    assert_eq!(shown["peerDeliveredSeq"], 0);
    let receipts = world.get(&format!("{path}/receipts/1"), "hanno").await.ok(200);
    assert_eq!((&receipts["readBy"], &receipts["deliveredTo"]), (&json!([]), &json!([])));
}
