//! Who types: told to the other person's sessions wherever they are, and to nobody else.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{
    client::{Client, Said},
    polling::{caller, realtime},
    support::{World, world},
};

fn typing(id: &str, is_typing: bool) -> Value {
    json!({"type":"typing","conversationId":id,"typing":is_typing})
}

async fn next(
    frames: &mut (impl Stream<Item = impl std::ops::Deref<Target = str>> + Unpin),
    kind: &str,
) -> Value {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(20), frames.next()).await;
        let frame: Value = serde_json::from_str(&frame.unwrap().unwrap()).unwrap();
        if frame["type"] == kind {
            return frame;
        }
    }
}

#[tokio::test]
async fn typing_is_seen_by_the_other_on_every_gateway_and_by_a_stream() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let there = world.another_gateway().await;
    let mut fred = Client::open(&world, "fred", "d").await;
    let mut freds_other = Client::open(&there, "fred", "e").await;
    let mut ginas =
        [Client::open(&world, "gina", "d").await, Client::open(&there, "gina", "e").await];
    let mut eve = Client::open(&there, "eve", "d").await;
    let realtime = realtime(&world, &database).await;
    let mut stream = realtime.subscribe(caller("gina"), None);

    next(&mut stream, "caughtUp").await;

    // Whoever has had an event is listening; typing is not kept for those who come later.
    fred.send_message("d.fred.gina", "c-1", "hello").await;
    for gina in &mut ginas {
        gina.until("event").await;
    }
    next(&mut stream, "event").await;

    for is_typing in [true, false] {
        fred.say(&typing("d.fred.gina", is_typing)).await;
        let expected = json!({"type":"typing","conversationId":"d.fred.gina","userId":"fred",
            "typing":is_typing});
        for gina in &mut ginas {
            assert_eq!(gina.until("typing").await.last(), Some(&expected));
        }
        assert_eq!(next(&mut stream, "typing").await, expected);
    }
    // All of it went through one connection, in order: a later answer shows that nothing came.
    for other in [&mut fred, &mut freds_other, &mut eve] {
        other.say(&json!({"type":"ping"})).await;
        let frames = other.until("pong").await;
        assert!(frames.iter().all(|frame| frame["type"] != "typing"), "{frames:?}");
    }
    there.shutdown().begin();
    world.shutdown().begin();
}

#[tokio::test]
async fn only_members_type_and_not_too_often() {
    let world = world();
    let mut hope = Client::open(world, "hope", "d").await;
    let mut ivan = Client::open(world, "ivan", "d").await;
    hope.send_message("d.hope.ivan", "c-1", "hello").await;
    // Both the answer and the event, in whichever order they come.
    let seen = std::cell::Cell::new(0);
    hope.until_frame(|frame| {
        let is_sent = frame["event"]["type"] == "message.sent";
        let is_one = is_sent || frame["type"] == "message.ack";
        seen.set(seen.get() + u32::from(is_one));
        seen.get() == 2
    })
    .await;
    hope.say(&typing("d.ivan.zoe", true)).await;
    assert_eq!(hope.until("error").await.last().unwrap()["code"], "not_found");
    // Stopping without having begun is nothing to tell.
    hope.say(&typing("d.hope.ivan", false)).await;
    for _ in 0..50 {
        hope.say(&typing("d.hope.ivan", true)).await;
    }
    hope.say(&typing("d.hope.ivan", false)).await;
    let mut told = Vec::new();
    while told.last() != Some(&json!(false)) {
        told.push(ivan.until("typing").await.pop().unwrap()["typing"].clone());
    }
    assert!(told.len() <= 6 && told[0] == true, "{told:?}");
    hope.say(&json!({"type":"ping"})).await;
    assert_eq!(hope.next().await, Said::Frame(json!({"type":"pong"})), "never acknowledged");
    // Who is in a group is not known here before somebody types there.
    loop {
        hope.say(&typing("g.019376a0-0000-7000-8000-000000000000", true)).await;
        hope.say(&json!({"type":"ping"})).await;
        let frames = hope.until("pong").await;
        if frames.iter().any(|frame| frame["code"] == "not_found") {
            break;
        }
    }
}
