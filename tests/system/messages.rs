//! A message's way through the whole system, and through its worst moments.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Deployment, Up, eventually};

const SEND: &str = "/v1/conversations/d.alice.bob/messages";
const HISTORY: &str = "/v1/conversations/d.alice.bob/messages?afterSeq=0&limit=50";

fn text(client_message_id: &str, text: &str) -> serde_json::Value {
    json!({"clientMessageId": client_message_id, "body": {"kind": "text", "text": text}})
}

#[tokio::test]
async fn what_was_accepted_survives_a_kill_of_everything() {
    let mut up = Up::start().await;
    let alice = up.client("alice").await;
    let mut bob = up.socket("bob", "phone", None).await;
    let caught_up = bob.until("caughtUp").await;

    let sent = alice.post(SEND, &text("c-1", "ship it")).await.expect(202);
    assert_eq!((&sent["conversationSeq"], &sent["status"]), (&json!(1), &json!("accepted")));
    let event = bob.until("event").await;
    assert_eq!(event["event"]["data"]["body"]["text"], "ship it");

    up.kill9();
    up.restart().await;
    let alice = up.client("alice").await;
    let again = alice.post(SEND, &text("c-1", "ship it")).await.expect(202);
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["messageId"], sent["messageId"]);
    let reused = alice.post(SEND, &text("c-1", "something else")).await.expect(409);
    assert_eq!(reused["code"], "client_message_id_reused");

    // The device missed nothing: its token from before leads it to the message, as a page of the
    // sync or as an event after it.
    let token = caught_up["token"].as_str().unwrap().to_owned();
    let mut bob = up.socket("bob", "phone", Some(&token)).await;
    loop {
        let frame = bob.next().await.unwrap();
        let synced = &frame["conversations"][0]["messages"][0]["body"]["text"];
        let live = &frame["event"]["data"]["body"]["text"];
        if [synced, live].contains(&&json!("ship it")) {
            break;
        }
    }

    let bob = up.client("bob").await;
    eventually("the history has it", Duration::from_secs(10), async || {
        let answer = bob.get(HISTORY).await;
        let messages = answer.json["messages"].as_array()?.clone();
        (messages.len() == 1 && messages[0]["body"]["text"] == "ship it").then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_instance_takes_over_from_one_that_is_killed() {
    let deployment = Deployment::start().await;
    let mut first = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let alice = gateway.client("alice").await;
    let mut bob = gateway.socket("bob", "phone", None).await;
    bob.until("caughtUp").await;

    alice.post(SEND, &text("c-1", "one")).await.expect(202);
    let _second = deployment.service("commands").await;
    first.kill9();
    let killed = Instant::now();
    // The client does what clients do: the same message again until it is accepted.
    eventually("the second one is accepted", Duration::from_secs(30), async || {
        let answer = alice.post(SEND, &text("c-2", "two")).await;
        assert!([202, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 202).then_some(())
    })
    .await;
    println!("another instance answers after {:?}", killed.elapsed());
    for expected in ["one", "two"] {
        let event = bob.until("event").await;
        assert_eq!(event["event"]["data"]["body"]["text"], expected);
    }
}

#[tokio::test]
async fn a_frozen_owner_is_not_waited_for_and_does_no_harm_when_it_thaws() {
    let deployment = Deployment::start().await;
    let first = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let mut gateway = deployment.gateway().await;
    let alice = gateway.client("alice").await;
    alice.post(SEND, &text("c-1", "one")).await.expect(202);
    let _second = deployment.service("commands").await;

    first.pause();
    let paused = Instant::now();
    eventually("the second one is accepted", Duration::from_secs(30), async || {
        (alice.post(SEND, &text("c-2", "two")).await.status == 202).then_some(())
    })
    .await;
    // It holds on to what it was given for ten seconds in all, long past its lease.
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(paused.elapsed())).await;
    first.resume();
    for index in 3..20 {
        let id = format!("c-{index}");
        eventually("it is accepted", Duration::from_secs(30), async || {
            let answer = alice.post(SEND, &text(&id, &id)).await;
            (answer.status == 202).then(|| {
                assert_eq!(answer.json["conversationSeq"], index);
            })
        })
        .await;
    }
    assert_eq!(gateway.terminate().await.code(), Some(0), "{}", gateway.output());
}
