//! Direct conversations: opening, sending, reading, cursors, receipts.

use parley_domain::Scope;
use serde_json::json;

use crate::support::{token, world};

fn text(id: &str, text: &str) -> serde_json::Value {
    json!({"clientMessageId": id, "body": {"kind": "text", "text": text}})
}

#[tokio::test]
async fn a_message_is_accepted_and_a_retry_gets_its_numbers() {
    let world = world();
    let path = "/v1/conversations/d.send_a.send_b/messages";
    let first = world.post(path, "send_a", &text("c-1", "ship it")).await.ok(202);
    assert_eq!(first["conversationSeq"], 1);
    assert_eq!(first["version"], 1);
    assert_eq!(first["status"], "accepted");
    assert!(first.get("duplicate").is_none());
    let again = world.post(path, "send_a", &text("c-1", "ship it")).await.ok(202);
    assert_eq!(again["messageId"], first["messageId"]);
    assert_eq!((&again["conversationSeq"], &again["duplicate"]), (&json!(1), &json!(true)));
    world.post(path, "send_a", &text("c-1", "no")).await.refused(409, "client_message_id_reused");
    // The other side's ids are their own.
    let other = world.post(path, "send_b", &text("c-1", "ok")).await.ok(202);
    assert_eq!(other["conversationSeq"], 2);
    let mut reply = text("c-2", "yes");
    reply["replyTo"] = json!(2);
    reply["senderId"] = json!("send_a");
    assert_eq!(world.post(path, "send_a", &reply).await.ok(202)["conversationSeq"], 3);
    reply["clientMessageId"] = json!("c-3");
    reply["replyTo"] = json!(9);
    world.post(path, "send_a", &reply).await.refused(422, "beyond_last_message");
}

#[tokio::test]
async fn what_was_said_can_be_read_by_both_and_nobody_else() {
    let world = world();
    let path = "/v1/conversations/d.hist_a.hist_b/messages";
    let empty = world.get(path, "hist_a").await.ok(200);
    assert_eq!(empty, json!({"messages": []}));
    for n in 1..=5 {
        world.post(path, "hist_a", &text(&format!("c-{n}"), &format!("no {n}"))).await.ok(202);
    }
    let all = world
        .get_until(path, "hist_b", |page| page["messages"].as_array().unwrap().len() == 5)
        .await;
    assert_eq!(all["messages"][0]["body"], json!({"kind": "text", "text": "no 1"}));
    assert_eq!(all["messages"][0]["senderId"], "hist_a");
    let seqs = |page: &serde_json::Value| -> Vec<u64> {
        let messages = page["messages"].as_array().unwrap();
        messages.iter().map(|message| message["conversationSeq"].as_u64().unwrap()).collect()
    };
    let page = world.get(&format!("{path}?afterSeq=1&limit=2"), "hist_b").await.ok(200);
    assert_eq!((seqs(&page), &page["nextAfterSeq"]), (vec![2, 3], &json!(3)));
    let page = world.get(&format!("{path}?beforeSeq=4&limit=2"), "hist_b").await.ok(200);
    assert_eq!((seqs(&page), &page["nextBeforeSeq"]), (vec![2, 3], &json!(2)));
    let page = world.get(&format!("{path}?limit=2"), "hist_b").await.ok(200);
    assert_eq!(seqs(&page), [4, 5]);
    assert_eq!(seqs(&world.get(&format!("{path}?limit=1000"), "hist_b").await.ok(200)).len(), 5);
    for bad in ["limit=0", "limit=-1", "limit=x", "afterSeq=x", "afterSeq=1&beforeSeq=3"] {
        world.get(&format!("{path}?{bad}"), "hist_a").await.refused(400, "invalid_body");
    }
    world.get(path, "eve").await.refused(404, "not_found");
    world.post(path, "eve", &text("c-1", "hi")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_conversation_of_two_needs_no_creation() {
    let world = world();
    let path = "/v1/conversations/direct";
    let both = json!({"participantIds": ["open_b", "open_a"]});
    let opened = world.post(path, "open_a", &both).await.ok(201);
    assert_eq!(opened, json!({"conversationId": "d.open_a.open_b"}));
    let summary = world.get("/v1/conversations/d.open_a.open_b", "open_b").await.ok(200);
    assert_eq!((&summary["lastSeq"], &summary["canSend"]), (&json!(0), &json!(true)));
    world
        .post("/v1/conversations/d.open_a.open_b/messages", "open_b", &text("c-1", "hi"))
        .await
        .ok(202);
    // At once, whatever the views know.
    assert_eq!(world.post(path, "open_a", &both).await.ok(200), opened);
    world.post(path, "eve", &both).await.refused(403, "forbidden");
    for (participants, status, code) in [
        (json!(["open_a", "open_a"]), 400, "invalid_id"),
        (json!(["open_a", "a.b"]), 400, "invalid_id"),
        (json!(["open_a"]), 422, "invalid_body"),
        (json!(["open_a", "b", "c"]), 422, "invalid_body"),
        (json!("open_a"), 400, "invalid_body"),
    ] {
        let body = json!({"participantIds": participants});
        world.post(path, "open_a", &body).await.refused(status, code);
    }
}

#[tokio::test]
async fn cursors_go_forward_and_receipts_show_it() {
    let world = world();
    let base = "/v1/conversations/d.cur_a.cur_b";
    for n in 1..=3 {
        let path = format!("{base}/messages");
        world.post(&path, "cur_a", &text(&format!("c-{n}"), "hi")).await.ok(202);
    }
    let read = |seq: u64| json!({"deviceId": "dev_1", "readThroughSeq": seq});
    let delivered = |seq: u64| json!({"deviceId": "dev_1", "deliveredThroughSeq": seq});
    let (reads, deliveries) = (format!("{base}/read-cursors"), format!("{base}/delivery-cursors"));
    let moved = world.post(&reads, "cur_b", &read(2)).await.ok(200);
    assert_eq!(moved, json!({"readSeq": 2}));
    assert_eq!(world.post(&reads, "cur_b", &read(1)).await.ok(200), json!({"readSeq": 2}));
    let arrived = world.post(&deliveries, "cur_b", &delivered(3)).await.ok(200);
    assert_eq!(arrived, json!({"deliveredSeq": 3}));
    world.post(&reads, "cur_b", &read(4)).await.refused(422, "beyond_last_message");
    world.post(&deliveries, "cur_b", &delivered(4)).await.refused(422, "beyond_last_message");
    world.post(&reads, "eve", &read(1)).await.refused(404, "not_found");
    for bad in [json!({}), json!({"readThroughSeq": -1}), json!({"readThroughSeq": "1"})] {
        world.post(&reads, "cur_b", &bad).await.refused(400, "invalid_body");
    }
    let bad = json!({"deviceId": "dev 1", "readThroughSeq": 1});
    world.post(&reads, "cur_b", &bad).await.refused(400, "invalid_id");

    let receipts = |seq: u64| format!("{base}/receipts/{seq}");
    let shown = world
        .get_until(&receipts(2), "cur_a", |shown| shown["readBy"] == json!([{"userId": "cur_b"}]))
        .await;
    assert_eq!((&shown["deliveredTo"], &shown["members"]), (&shown["readBy"], &json!(2)));
    let arrived = |shown: &serde_json::Value| shown["deliveredTo"] == json!([{"userId": "cur_b"}]);
    let shown = world.get_until(&receipts(3), "cur_a", arrived).await;
    assert_eq!(shown["readBy"], json!([]));
    world.get(&receipts(4), "cur_a").await.refused(404, "not_found");
    world.get(&receipts(1), "eve").await.refused(404, "not_found");
    for bad in ["0", "x", "-1", "99999999999999999999"] {
        world.get(&format!("{base}/receipts/{bad}"), "cur_a").await.refused(400, "invalid_id");
    }
}

#[tokio::test]
async fn the_inbox_has_the_newest_first_page_by_page() {
    let world = world();
    for n in 1..=3 {
        let path = format!("/v1/conversations/d.inb_{n}.inb_a/messages");
        world.post(&path, &format!("inb_{n}"), &text("c-1", "hi")).await.ok(202);
    }
    let ids = |page: &serde_json::Value| -> Vec<String> {
        let summaries = page["conversations"].as_array().unwrap();
        summaries.iter().map(|one| one["conversationId"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.get_until("/v1/conversations", "inb_a", |page| ids(page).len() == 3).await;
    assert_eq!(ids(&all), ["d.inb_3.inb_a", "d.inb_2.inb_a", "d.inb_1.inb_a"]);
    assert_eq!(all["conversations"][0]["unread"], 1);
    assert_eq!(all["conversations"][0]["lastMessage"]["body"]["text"], "hi");
    assert!(all.get("nextCursor").is_none());
    let page = world.get("/v1/conversations?limit=2", "inb_a").await.ok(200);
    let next = format!("/v1/conversations?limit=2&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_eq!(ids(&world.get(&next, "inb_a").await.ok(200)), ["d.inb_1.inb_a"]);
    let unread = world.get("/v1/conversations?filter=unread", "inb_1").await.ok(200);
    assert_eq!(ids(&unread), Vec::<String>::new());
    for bad in ["filter=new", "cursor=x", "limit=0", "limit=x"] {
        let path = format!("/v1/conversations?{bad}");
        world.get(&path, "inb_a").await.refused(400, "invalid_body");
    }
}

#[tokio::test]
async fn what_does_not_exist_and_what_is_not_an_id() {
    let world = world();
    for id in ["d.ids_a.ids_b", "g.0193e5a0-7b1c-7def-8123-456789abcdef"] {
        let path = format!("/v1/conversations/{id}");
        world.get(&path, "eve").await.refused(404, "not_found");
        world.get(&format!("{path}/messages"), "eve").await.refused(404, "not_found");
    }
    let others = ["d.ids_b.ids_a", "d.a.a", "x", "d.a.b.c", "d.%ff.b", "a.ids_a", "d.a*.b"];
    for id in others {
        world.get(&format!("/v1/conversations/{id}"), "ids_a").await.refused(400, "invalid_id");
    }
    // Who is not signed in learns nothing.
    world.get("/v1/conversations/x", "").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn bodies_that_are_wrong_say_how() {
    let world = world();
    let path = "/v1/conversations/d.body_a.body_b/messages";
    for (body, status, code) in [
        ("{", 400, "invalid_body"),
        ("", 400, "invalid_body"),
        ("null", 400, "invalid_body"),
        (r#"{"clientMessageId":"c","body":{"kind":"text"}}"#, 400, "invalid_body"),
        (r#"{"clientMessageId":"c","body":{"kind":"hologram"}}"#, 400, "invalid_body"),
        (r#"{"clientMessageId":1,"body":{"kind":"text","text":"x"}}"#, 400, "invalid_body"),
        (r#"{"body":{"kind":"text","text":"x"}}"#, 400, "invalid_body"),
        (r#"{"clientMessageId":"","body":{"kind":"text","text":"x"}}"#, 400, "invalid_id"),
        (r#"{"clientMessageId":"é","body":{"kind":"text","text":"x"}}"#, 400, "invalid_id"),
        (r#"{"clientMessageId":"c","body":{"kind":"text","text":" \n"}}"#, 422, "invalid_body"),
        (
            r#"{"clientMessageId":"c","body":{"kind":"order","refId":"1","title":"T","url":"javascript:x"}}"#,
            422,
            "invalid_body",
        ),
        (
            r#"{"clientMessageId":"c","senderId":"body_b","body":{"kind":"text","text":"x"}}"#,
            403,
            "forbidden",
        ),
        (r#"{"clientMessageId":"c","body":{"kind":"system","text":"x"}}"#, 403, "forbidden"),
    ] {
        world.post_text(path, "body_a", body).await.refused(status, code);
    }
    let long = text("c", &"x".repeat(4_097));
    world.post(path, "body_a", &long).await.refused(413, "body_too_large");
    world.post(path, "body_a", &text("c", &"é".repeat(4_096))).await.ok(202);
    let huge = text("d", &"x".repeat(64 * 1_024));
    world.post(path, "body_a", &huge).await.refused(413, "body_too_large");
    let enormous = text("d", &"x".repeat(900_000));
    world.post(path, "body_a", &enormous).await.refused(413, "body_too_large");

    let service = format!("Bearer {}", token("body_a", Scope::Service));
    let system = r#"{"clientMessageId":"s","body":{"kind":"system","text":"shipped"}}"#;
    let headers = [("authorization", service.as_str()), ("content-type", "application/json")];
    world.request("POST", path, &headers, system).await.ok(202);
}
