//! Editing, deleting and reacting on a socket; and what a device is given that comes back.

use serde_json::json;

use crate::{client::Client, support::world};

#[tokio::test]
async fn changes_are_acknowledged_and_reach_everybody() {
    let world = world();
    let mut fred = Client::open(world, "felix", "d").await;
    let mut gina = Client::open(world, "greta", "d").await;
    let id = "d.felix.greta";
    fred.send_message(id, "c-1", "secret").await;
    gina.until_message().await;
    let frame = |kind: &str, more: serde_json::Value| {
        let mut frame =
            json!({"type": kind, "ref": kind, "conversationId": id, "conversationSeq": 1});
        frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame
    };
    let edit = json!({"body": {"kind": "text", "text": "secret too"}});
    for (frame, event, version) in [
        (frame("message.edit", edit), "message.edited", 2),
        (frame("reaction.add", json!({"emoji": "👍"})), "reaction.added", 3),
        (frame("reaction.remove", json!({"emoji": "👍"})), "reaction.removed", 4),
        (frame("message.delete", json!({})), "message.deleted", 5),
    ] {
        fred.say(&frame).await;
        let acked = fred.until("ack").await;
        let expected = json!({"type": "ack", "ref": frame["type"], "version": version});
        assert_eq!(acked.last().unwrap(), &expected);
        let heard = gina.until_frame(|frame| frame["event"]["version"] == version).await;
        assert_eq!(heard.last().unwrap()["event"]["type"], event);
    }
    gina.say(&frame("message.delete", json!({}))).await;
    let refused = gina.until("error").await;
    assert_eq!(refused.last().unwrap()["code"], "not_sender");
}

#[tokio::test]
async fn the_recent_past_has_no_body_of_a_deleted_message() {
    let world = world();
    let mut hugo = Client::open(world, "hugo", "d").await;
    let ines = Client::open(world, "ines", "d").await.leave().await;
    hugo.send_message("d.hugo.ines", "c-1", "secret").await;
    hugo.until("message.ack").await;
    hugo.send_message("d.hugo.ines", "c-2", "public").await;
    hugo.until("message.ack").await;
    hugo.say(
        &json!({"type": "message.delete", "conversationId": "d.hugo.ines", "conversationSeq": 1}),
    )
    .await;
    hugo.until_frame(|frame| frame["event"]["type"] == "message.deleted").await;
    let (mut ines, mut frames) = ines.reconnect(world, "ines", "d").await;
    if !frames.iter().any(|frame| frame["event"]["type"] == "message.deleted") {
        let is_last = |frame: &serde_json::Value| frame["event"]["type"] == "message.deleted";
        frames.extend(ines.until_frame(is_last).await);
    }
    let told = serde_json::to_string(&frames).unwrap();
    assert!(told.contains("public") && !told.contains("secret"), "{told}");
    let first = frames.iter().find(|frame| frame["event"]["data"]["conversationSeq"] == 1).unwrap();
    assert_eq!(first["event"]["data"]["body"], json!(null));
    assert_eq!(first["event"]["data"]["clientMessageId"], "c-1");
}
