//! Groups and channels as their members' devices see them, and what a block takes back.

use std::time::Duration;

use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{
    client::{Client, texts},
    support::{Answer, World, world},
};

async fn call(world: &World, method: &str, path: &str, user: &str, body: Option<&Value>) -> Answer {
    let path = format!("/v1/conversations{path}");
    world.send(method, &path, user, body.unwrap_or(&Value::Null)).await
}

/// A group or channel of its first member, who owns it.
async fn create(world: &World, kind: &str, members: &[&str]) -> String {
    let body = json!({"kind": kind, "title": "Lamps", "memberIds": members});
    let created = call(world, "POST", "", members[0], Some(&body)).await.ok(201);
    created["conversationId"].as_str().unwrap().to_owned()
}

async fn add(world: &World, group: &str, by: &str, user: &str) {
    let path = format!("/{group}/members/{user}");
    call(world, "PUT", &path, by, Some(&json!({"role": "member"}))).await.ok(200);
}

async fn remove(world: &World, group: &str, by: &str, user: &str) {
    call(world, "DELETE", &format!("/{group}/members/{user}"), by, None).await.ok(200);
}

async fn send(world: &World, id: &str, by: &str, text: &str) {
    let body = json!({"clientMessageId": text, "body": {"kind": "text", "text": text}});
    call(world, "POST", &format!("/{id}/messages"), by, Some(&body)).await.ok(202);
}

/// All frames up to the message with this text.
async fn until_text(client: &mut Client, text: &str) -> Vec<Value> {
    client.until_frame(|frame| frame["event"]["data"]["body"]["text"] == text).await
}

/// All frames up to the removal from a group, to this message of another conversation, which may come
/// first, and whatever else was on its way.
async fn until_removed(client: &mut Client, text: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    let is_removal = |frame: &Value| frame["event"]["type"] == "member.removed";
    let is_text = |frame: &Value| frame["event"]["data"]["body"]["text"] == text;
    while !(frames.iter().any(is_removal) && frames.iter().any(is_text)) {
        frames.extend(client.until("event").await);
    }
    frames.extend(so_far(client).await);
    frames
}

/// Whatever was on its way by now.
async fn so_far(client: &mut Client) -> Vec<Value> {
    client.say(&json!({"type":"ping"})).await;
    client.until("pong").await
}

#[tokio::test]
async fn members_see_a_group_from_their_coming_to_their_going() {
    let world = world();
    let there = world.another_gateway().await;
    let mut anna = Client::open(world, "ganna", "d").await;
    let mut ben = Client::open(&there, "gben", "d").await;
    let mut cleo = Client::open(&there, "gcleo", "d").await;
    let group = create(world, "group", &["ganna", "gben"]).await;
    for client in [&mut anna, &mut ben] {
        let created = |frame: &Value| frame["event"]["type"] == "conversation.created";
        let frames = client.until_frame(created).await;
        assert_eq!(frames.last().unwrap()["event"]["version"], 1);
    }
    send(world, &group, "ganna", "before").await;
    until_text(&mut ben, "before").await;
    let before = cleo.token.clone();

    add(world, &group, "ganna", "gcleo").await;
    // A client that knows versions only sees no jump: the group is shown before its event.
    let frames = cleo.until_frame(|frame| frame["event"]["type"] == "member.added").await;
    let sync = frames.iter().find(|frame| frame["type"] == "sync").unwrap();
    assert_eq!(sync["conversations"][0]["conversation"]["conversationId"], group.as_str());
    send(world, &group, "gben", "between").await;
    assert_eq!(texts(&until_text(&mut cleo, "between").await), ["between"]);

    remove(world, &group, "ganna", "gcleo").await;
    send(world, &group, "ganna", "after").await;
    until_text(&mut ben, "after").await;
    send(&there, "d.ganna.gcleo", "ganna", "direct").await;
    let frames = until_removed(&mut cleo, "direct").await;
    assert_eq!(texts(&frames), ["direct"]);

    // The same for a device that comes back with a token from before all this.
    let mut old = Client::connect(&there, &[]).await;
    old.token = before;
    let session = crate::client::session(&there, "gcleo", "d").await;
    old.greet(&session, "d").await;
    let frames = until_removed(&mut old, "direct").await;
    assert!(!texts(&frames).contains(&"after") && texts(&frames).contains(&"between"));
    // Somebody who never was a member has heard nothing.
    let mut eve = Client::open(&there, "geve", "d").await;
    send(world, &group, "ganna", "more").await;
    until_text(&mut ben, "more").await;
    assert!(so_far(&mut eve).await.iter().all(|frame| frame["event"]["subject"] != group.as_str()));
}

#[tokio::test]
async fn a_gateway_that_comes_later_finds_out_who_is_in() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let group = create(&world, "group", &["pia", "quin", "rob"]).await;
    remove(&world, &group, "pia", "rob").await;
    add(&world, &group, "pia", "sue").await;
    // Its ring begins at the log's end, so it has to ask who is in; or with the whole log in it.
    for preload in ["0", "20000"] {
        let late = world.another_gateway_with(&[("PARLEY_RING_PRELOAD_EVENTS", preload)]).await;
        let mut clients = Vec::new();
        for user in ["quin", "sue", "rob"] {
            clients.push(Client::open(&late, user, preload).await);
        }
        send(&world, &group, "pia", preload).await;
        until_text(&mut clients[0], preload).await;
        until_text(&mut clients[1], preload).await;
        assert!(texts(&so_far(&mut clients[2]).await).is_empty());
        // Who types is seen by the others.
        clients[0].say(&json!({"type":"typing","conversationId":group,"typing":true})).await;
        let typing = clients[1].until("typing").await.pop().unwrap();
        assert_eq!(typing["userId"], "quin");
    }
}

#[tokio::test]
async fn a_channels_readers_hear_its_owner() {
    let world = world();
    let channel = create(world, "channel", &["hal"]).await;
    let mut ines = Client::open(world, "isa", "d").await;
    add(world, &channel, "isa", "isa").await;
    ines.until_frame(|frame| frame["event"]["type"] == "member.added").await;
    send(world, &channel, "hal", "news").await;
    until_text(&mut ines, "news").await;
    // No presence: a channel makes no acquaintances.
    let mut hugo = Client::open(world, "hal", "d").await;
    hugo.say(&json!({"type":"presence.watch","userIds":["isa"]})).await;
    let watched = tokio::time::timeout(Duration::from_secs(1), hugo.until("presence")).await;
    assert!(watched.is_err(), "{watched:?}");
}

#[tokio::test]
async fn members_of_a_group_see_each_other_until_one_leaves() {
    let world = world();
    let mut kim = Client::open(world, "kim", "d").await;
    let _lou = Client::open(world, "lou", "d").await;
    let group = create(world, "group", &["kim", "lou"]).await;
    kim.until_frame(|frame| frame["event"]["type"] == "conversation.created").await;
    kim.say(&json!({"type":"presence.watch","userIds":["lou"]})).await;
    assert_eq!(kim.until("presence").await.pop().unwrap()["state"], "online");
    remove(world, &group, "lou", "lou").await;
    // Still connected, but nothing is to be seen any more.
    let gone = kim.until("presence").await.pop().unwrap();
    assert_eq!(gone, json!({"type":"presence","userId":"lou","state":"offline"}));
    let asked = world.get("/v1/presence?userIds=lou", "kim").await.ok(200);
    assert_eq!(asked, json!({"presence": []}));
    add(world, &group, "kim", "lou").await;
    assert_eq!(kim.until("presence").await.pop().unwrap()["state"], "online");
}

#[tokio::test]
async fn a_block_stops_presence_typing_and_receipts_at_once() {
    let world = world();
    let mut max = Client::open(world, "max", "d").await;
    let mut nora = Client::open(world, "nora", "d").await;
    send(world, "d.max.nora", "max", "hello").await;
    until_text(&mut nora, "hello").await;
    max.say(&json!({"type":"presence.watch","userIds":["nora"]})).await;
    assert_eq!(max.until("presence").await.pop().unwrap()["state"], "online");

    let block = |method| call(world, method, "/d.max.nora/block", "nora", None);
    block("PUT").await.ok(200);
    assert_eq!(max.until("presence").await.pop().unwrap()["state"], "offline");
    nora.say(&json!({"type":"cursor.read","ref":"r","conversationId":"d.max.nora","throughSeq":1}))
        .await;
    // She sees her own cursor; for him it does not move, and no version is missing.
    let is_read = |frame: &Value| frame["event"]["type"] == "cursor.read";
    let own = nora.until_frame(is_read).await.pop().unwrap();
    assert_eq!(own["event"]["data"]["throughSeq"], 1);
    let other = max.until_frame(is_read).await.pop().unwrap();
    assert_eq!(other["event"]["data"], json!({"userId": "nora", "throughSeq": 0}));
    for (who, listener) in [(&mut nora, &mut max)] {
        who.say(&json!({"type":"typing","conversationId":"d.max.nora","typing":true})).await;
        so_far(who).await;
        assert!(so_far(listener).await.iter().all(|frame| frame["type"] != "typing"));
    }
    block("DELETE").await.ok(200);
    assert_eq!(max.until("presence").await.pop().unwrap()["state"], "online");
}

#[tokio::test]
async fn whoever_came_later_is_not_told_what_an_older_message_says_now() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let group = create(&world, "group", &["vera", "wim"]).await;
    let mut vera = Client::open(&world, "vera", "d").await;
    let mut wim = Client::open(&world, "wim", "d").await;
    send(&world, &group, "vera", "first").await;
    until_text(&mut wim, "first").await;
    let mut xena = Client::open(&world, "xena", "d").await;
    add(&world, &group, "vera", "xena").await;
    xena.until_frame(|frame| frame["event"]["type"] == "member.added").await;
    let before = xena.leave().await;
    let mut xena = Client::open(&world, "xena", "d2").await;
    vera.say(&json!({"type":"message.edit","ref":"e","conversationId":group,"conversationSeq":1,
        "body":{"kind":"text","text":"secret"}}))
        .await;
    let edited = |frame: &Value| frame["event"]["type"] == "message.edited";
    let told = wim.until_frame(edited).await.pop().unwrap();
    assert_eq!(told["event"]["data"]["body"]["text"], "secret");
    let kept = xena.until_frame(edited).await.pop().unwrap();
    assert_eq!(kept["event"]["data"]["body"], Value::Null);
    assert_eq!(kept["event"]["version"], told["event"]["version"]);
    // Nor out of the recent past.
    let (mut back, mut frames) = before.reconnect(&world, "xena", "d").await;
    if !frames.iter().any(edited) {
        frames.extend(back.until_frame(edited).await);
    }
    let text = serde_json::to_string(&frames).unwrap();
    assert!(!text.contains("secret"), "{text}");
}
