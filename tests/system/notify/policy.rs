//! Who is told and who is not, under `parley up`.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::{SOON, add_email, items, say};
use crate::harness::{Client, Deployment, Up, eventually};

const QUICK: [(&str, &str); 2] =
    [("PARLEY_NOTIFY_GRACE_SECONDS", "5"), ("PARLEY_NOTIFY_COOLDOWN_SECONDS", "3600")];

/// The newest decision about a conversation, once there is one.
async fn decision(client: &Client, conversation: &str) -> Value {
    let path = format!("/v1/notifications/decisions?conversationId={conversation}");
    eventually("something is decided", SOON, async || {
        let page = client.get(&path).await.expect(200);
        page["decisions"].as_array()?.first().cloned()
    })
    .await
}

/// What `parley why` prints.
async fn why(up: &Up, user: &str, conversation: &str) -> String {
    up.parley(&["why", user, conversation]).await.printed()
}

fn emails_to<'a>(items: &'a [Value], user: &str) -> Vec<&'a Value> {
    let to = format!("{user}@example.com");
    items.iter().filter(|item| item["channel"] == "email" && item["to"] == to.as_str()).collect()
}

#[tokio::test]
async fn twenty_messages_are_one_email_and_whoever_should_not_be_told_is_not() {
    let up = Up::start_with(&[], &QUICK).await;
    let outbox = up.data().join("outbox.jsonl");
    let alice = up.client("alice").await;
    let mut people = std::collections::BTreeMap::new();
    for name in ["bob", "reader", "here", "muter", "blocker", "sleeper", "off", "nowhere"] {
        let client = up.client(name).await;
        if name != "nowhere" {
            add_email(&client, name).await;
        }
        people.insert(name, client);
    }
    // Somebody is there, on some device.
    let mut here = up.socket("here", "phone", None).await;
    here.until("caughtUp").await;
    let mute = people["muter"].request(Method::PUT, "/v1/conversations/d.alice.muter/mute", None);
    mute.await.expect(200);
    let all_day =
        json!({"quietHours": {"from": "00:00", "to": "23:59"}, "timeZone": "Europe/Berlin"});
    people["sleeper"].request(Method::PUT, "/v1/settings", Some(&all_day)).await.expect(200);
    let no_email = json!({"notifications": {"email": false}});
    people["off"].request(Method::PUT, "/v1/settings", Some(&no_email)).await.expect(200);

    // To all of them at once, so that a busy machine is done long before the first window ends.
    let writing = people.iter().map(async |(name, person)| {
        let (lo, hi) = if *name < "alice" { (*name, "alice") } else { ("alice", *name) };
        for n in 0..20 {
            say(&alice, &format!("d.{lo}.{hi}"), &format!("m-{n}")).await;
        }
        if *name == "reader" {
            // One of the twenty, on whatever device.
            let read = json!({"deviceId": "phone", "readThroughSeq": 1});
            person.post("/v1/conversations/d.alice.reader/read-cursors", &read).await.expect(200);
        }
        if *name == "blocker" {
            let path = "/v1/conversations/d.alice.blocker/block";
            person.request(Method::PUT, path, None).await.expect(200);
        }
    });
    futures_util::future::join_all(writing).await;

    let told = decision(&people["bob"], "d.alice.bob").await;
    assert_eq!((&told["decision"], &told["messages"]), (&json!("told"), &json!(20)), "{told}");
    assert_eq!(told["channels"], json!(["email"]));
    for (name, conversation, decided, reason) in [
        ("reader", "d.alice.reader", "skipped", "read"),
        ("here", "d.alice.here", "skipped", "online"),
        ("muter", "d.alice.muter", "skipped", "muted"),
        ("blocker", "d.alice.blocker", "skipped", "blocked"),
        ("sleeper", "d.alice.sleeper", "deferred", "quietHours"),
        ("off", "d.alice.off", "skipped", "preferences"),
        ("nowhere", "d.alice.nowhere", "skipped", "noEndpoint"),
    ] {
        let decision = decision(&people[name], conversation).await;
        assert_eq!(
            (&decision["decision"], &decision["reason"]),
            (&json!(decided), &json!(reason)),
            "{name}: {decision}"
        );
        let said = why(&up, name, conversation).await;
        assert!(said.contains(&format!("{decided} ({reason})")), "{name}: {said}");
    }
    let sent = eventually("Bob's email", SOON, async || {
        let items = items(&outbox);
        (!emails_to(&items, "bob").is_empty()).then_some(items)
    })
    .await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let email = emails_to(&sent, "bob")[0];
    assert_eq!(email["notificationId"], told["notificationId"]);
    assert!(email["subject"].as_str().unwrap().contains("20"), "{email}");
    assert!(why(&up, "bob", "d.alice.bob").await.contains("told, 20 waiting, by email"));

    // Further messages only count, until he reads; then the next one is told again.
    say(&alice, "d.alice.bob", "m-20").await;
    let waits = eventually("it has been looked at", SOON, async || {
        let said = why(&up, "bob", "d.alice.bob").await;
        said.contains("21 unread").then_some(said)
    })
    .await;
    assert!(waits.contains("told, and at the earliest told again"), "{waits}");
    let read = json!({"deviceId": "phone", "readThroughSeq": 21});
    people["bob"].post("/v1/conversations/d.alice.bob/read-cursors", &read).await.expect(200);
    say(&alice, "d.alice.bob", "m-21").await;
    let both = eventually("Bob's second email", SOON, async || {
        let items = items(&outbox);
        (emails_to(&items, "bob").len() == 2).then_some(items)
    })
    .await;
    assert_eq!(both.len(), 2, "{both:?}");
    // Decisions are one's own, and come in pages.
    let path = "/v1/notifications/decisions?limit=1";
    let (mut told, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = people["bob"].get(&format!("{path}{cursor}")).await.expect(200);
        let decisions = page["decisions"].as_array().unwrap();
        assert_eq!(decisions.len(), 1, "{page}");
        told.extend(decisions.iter().filter(|decision| decision["decision"] == "told").cloned());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let counts: Vec<&Value> = told.iter().map(|decision| &decision["messages"]).collect();
    assert_eq!(counts, [&json!(1), &json!(20)]);
    assert_eq!(alice.get(path).await.expect(200)["decisions"], json!([]));
}

#[tokio::test]
async fn each_member_of_a_group_is_told_for_themselves() {
    let up = Up::start_with(&[], &QUICK).await;
    let outbox = up.data().join("outbox.jsonl");
    let alice = up.client("alice").await;
    let mut people = std::collections::BTreeMap::new();
    for name in ["bob", "carol", "leaver", "reader", "removed", "newcomer"] {
        let client = up.client(name).await;
        add_email(&client, name).await;
        people.insert(name, client);
    }
    let members = ["bob", "carol", "leaver", "reader", "removed"];
    let group = json!({"kind": "group", "title": "Garden tools", "memberIds": members});
    let created = alice.post("/v1/conversations", &group).await.expect(201);
    let id = created["conversationId"].as_str().unwrap();
    let path = |rest: &str| format!("/v1/conversations/{id}/{rest}");
    people["carol"].request(Method::PUT, &path("mute"), None).await.expect(200);
    for n in 0..3 {
        say(&alice, id, &format!("m-{n}")).await;
    }
    let read = json!({"deviceId": "phone", "readThroughSeq": 3});
    people["reader"].post(&path("read-cursors"), &read).await.expect(200);
    people["leaver"].request(Method::DELETE, &path("members/leaver"), None).await.expect(200);
    alice.request(Method::DELETE, &path("members/removed"), None).await.expect(200);
    let role = json!({"role": "member"});
    alice.request(Method::PUT, &path("members/newcomer"), Some(&role)).await.expect(200);
    say(&alice, id, "m-3").await;

    for (name, messages) in [("bob", 4), ("newcomer", 1)] {
        let told = decision(&people[name], id).await;
        assert_eq!(
            (&told["decision"], &told["messages"]),
            (&json!("told"), &json!(messages)),
            "{name}: {told}"
        );
    }
    for (name, reason) in [("carol", "muted"), ("leaver", "notMember"), ("removed", "notMember")] {
        let decision = decision(&people[name], id).await;
        assert_eq!(decision["reason"], reason, "{name}: {decision}");
        let said = why(&up, name, id).await;
        assert!(said.contains(&format!("skipped ({reason})")), "{name}: {said}");
    }
    // The reading cancelled the first window; what came after it opened another one.
    let sent = eventually("three emails", SOON, async || {
        let items = items(&outbox);
        (items.len() >= 3).then_some(items)
    })
    .await;
    let mut to: Vec<&str> = sent.iter().map(|item| item["to"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, ["bob@example.com", "newcomer@example.com", "reader@example.com"], "{sent:?}");
    let email = emails_to(&sent, "bob")[0];
    assert_eq!(email["subject"], "4 new messages from alice in Garden tools", "{email}");
    let decisions = people["reader"].get("/v1/notifications/decisions").await.expect(200);
    let decided: Vec<_> = decisions["decisions"].as_array().unwrap().iter().rev().collect();
    assert_eq!(decided[0]["reason"], "read", "{decisions}");
    assert_eq!((&decided[1]["decision"], &decided[1]["messages"]), (&json!("told"), &json!(1)));
}

#[tokio::test]
async fn a_push_is_closed_within_two_seconds_of_a_reading_and_a_restart_tells_nobody_twice() {
    let mut up = Up::start_with(&[], &[("PARLEY_NOTIFY_GRACE_SECONDS", "1")]).await;
    let outbox = up.data().join("outbox.jsonl");
    let (alice, bob) = (up.client("alice").await, up.client("bob").await);
    let push = json!({"channel": "webpush", "subscription": {
        "endpoint": "https://push.example.com/bob",
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    }});
    bob.post("/v1/notification-endpoints", &push).await.expect(201);
    say(&alice, "d.alice.bob", "m-0").await;
    eventually("a push", SOON, async || (items(&outbox).len() == 1).then_some(())).await;
    up.kill9();
    up.restart().await;
    let bob = up.client("bob").await;
    let read = json!({"deviceId": "desk", "readThroughSeq": 1});
    bob.post("/v1/conversations/d.alice.bob/read-cursors", &read).await.expect(200);
    let closed = eventually("its end", Duration::from_secs(2), async || {
        let items = items(&outbox);
        (items.len() > 1).then_some(items)
    })
    .await;
    assert_eq!(closed.len(), 2, "{closed:?}");
    assert_eq!(closed[1]["what"], "close");
    assert_eq!(closed[1]["notificationId"], closed[0]["notificationId"]);
}

#[tokio::test]
async fn a_group_is_told_although_the_views_are_behind() {
    let deployment = Deployment::start_with(&[
        ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for these tests only"),
        ("PARLEY_NOTIFY_GRACE_SECONDS", "0"),
    ])
    .await;
    let _commands = deployment.service("commands").await;
    let projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let (alice, bob) = (gateway.client("alice").await, gateway.client("bob").await);
    add_email(&bob, "bob").await;
    let group = json!({"kind": "group", "title": "Garden tools", "memberIds": ["bob"]});
    let created = alice.post("/v1/conversations", &group).await.expect(201);
    let id = created["conversationId"].as_str().unwrap();
    let outbox = deployment.dir().join("outbox.jsonl");
    let file = ("PARLEY_NOTIFY_OUTBOX_FILE", outbox.to_str().unwrap());
    let mut notifier = deployment.service_with("notifier", &[file]).await;
    say(&alice, id, "m-0").await;
    assert_eq!(decision(&bob, id).await["messages"], 1);
    eventually("Bob's email", SOON, async || (items(&outbox).len() == 1).then_some(())).await;
    let read = json!({"deviceId": "phone", "readThroughSeq": 1});
    bob.post(&format!("/v1/conversations/{id}/read-cursors"), &read).await.expect(200);

    // A notifier that remembers no group, and views that do not know its newest members.
    notifier.kill9();
    projections.pause();
    let role = json!({"role": "member"});
    for name in ["carol", "dave"] {
        let path = format!("/v1/conversations/{id}/members/{name}");
        alice.request(Method::PUT, &path, Some(&role)).await.expect(200);
    }
    say(&alice, id, "m-1").await;
    let path = format!("/v1/conversations/{id}/members/dave");
    alice.request(Method::DELETE, &path, None).await.expect(200);
    notifier.restart().await;
    projections.resume();
    for (name, reason) in [("carol", "noEndpoint"), ("dave", "notMember")] {
        let client = gateway.client(name).await;
        assert_eq!(decision(&client, id).await["reason"], reason, "{name}");
    }
    eventually("Bob's second email", SOON, async || (items(&outbox).len() == 2).then_some(()))
        .await;
}
