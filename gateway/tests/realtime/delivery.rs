//! Live delivery and commands.

use serde_json::json;

use crate::{
    client::{Client, Said, session, texts},
    support::{token, world},
};

#[tokio::test]
async fn a_message_reaches_every_device_of_both() {
    let world = world();
    let mut phone = Client::open(world, "ada", "phone").await;
    let mut laptop = Client::open(world, "ada", "laptop").await;
    let mut bob = Client::open(world, "bert", "dev_1").await;
    phone.send_message("d.ada.bert", "c-1", "ship it").await;
    for client in [&mut phone, &mut laptop, &mut bob] {
        let frames = client.until_message().await;
        let event = &frames.last().unwrap()["event"];
        assert_eq!(event["type"], "message.sent");
        assert_eq!((&event["subject"], &event["actor"]), (&json!("d.ada.bert"), &json!("ada")));
        assert_eq!(event["device"], "phone");
        assert_eq!(event["data"]["body"], json!({"kind":"text","text":"ship it"}));
    }
    // The same again is the same message.
    phone.send_message("d.ada.bert", "c-1", "ship it").await;
    let acks = phone.until_frame(|frame| frame["duplicate"] == true).await;
    let ack = acks.last().unwrap();
    assert_eq!((&ack["type"], &ack["ref"]), (&json!("message.ack"), &json!("c-1")));
    assert_eq!((&ack["conversationSeq"], &ack["version"]), (&json!(1), &json!(1)));

    bob.say(&json!({"type":"cursor.read","ref":"r","conversationId":"d.ada.bert","throughSeq":1}))
        .await;
    let frames = bob.until("ack").await;
    assert_eq!(frames.last().unwrap(), &json!({"type":"ack","ref":"r","version":2}));
    let read = laptop.until_frame(|frame| frame["event"]["type"] == "cursor.read").await;
    assert_eq!(read.last().unwrap()["event"]["data"], json!({"userId":"bert","throughSeq":1}));
}

#[tokio::test]
async fn many_at_once_keep_their_order() {
    let world = world();
    let mut carl = Client::open(world, "carl", "d").await;
    let mut dora = Client::open(world, "dora", "d").await;
    let sent: Vec<String> = (0..300).map(|n| format!("m-{n}")).collect();
    for text in &sent {
        carl.send_message("d.carl.dora", text, text).await;
    }
    let last = sent.last().unwrap().as_str();
    let got = dora.until_frame(|frame| frame["event"]["data"]["clientMessageId"] == last).await;
    assert_eq!(texts(&got), sent);
    assert_eq!(dora.known["d.carl.dora"], 300);
}

#[tokio::test]
async fn what_is_refused_is_an_error_with_its_ref() {
    let world = world();
    let mut eve = Client::open(world, "eve", "d").await;
    for (frame, code) in [
        (
            json!({"type":"message.send","ref":"1","conversationId":"d.ada.bert","clientMessageId":"c","body":{"kind":"text","text":"hi"}}),
            "not_found",
        ),
        (
            json!({"type":"message.send","ref":"2","conversationId":"d.b.a","clientMessageId":"c","body":{"kind":"text","text":"hi"}}),
            "invalid_id",
        ),
        (
            json!({"type":"message.send","ref":"3","conversationId":"d.eve.zoe","clientMessageId":"c","body":{"kind":"text","text":"  "}}),
            "invalid_body",
        ),
        (
            json!({"type":"message.send","ref":"4","conversationId":"d.eve.zoe","clientMessageId":"c","body":{"kind":"text","text":"a".repeat(4_097)}}),
            "body_too_large",
        ),
        (
            json!({"type":"message.send","ref":"5","conversationId":"d.eve.zoe","clientMessageId":"c","body":{"kind":"system","text":"hi"}}),
            "forbidden",
        ),
        (
            json!({"type":"cursor.read","ref":"6","conversationId":"d.eve.zoe","throughSeq":1}),
            "beyond_last_message",
        ),
        (
            json!({"type":"message.edit","ref":"7","conversationId":"d.eve.zoe","conversationSeq":1}),
            "invalid_body",
        ),
    ] {
        eve.say(&frame).await;
        let frames = eve.until("error").await;
        let error = frames.last().unwrap();
        assert_eq!((&error["ref"], error["code"].as_str()), (&frame["ref"], Some(code)));
        assert!(error["message"].is_string() && error["retryAfterMs"].is_number(), "{error}");
    }
    eve.say(&json!({"type":"ping"})).await;
    assert_eq!(eve.next().await, Said::Frame(json!({"type":"pong"})));
}

#[tokio::test]
async fn a_header_or_a_session_token_signs_in() {
    let world = world();
    let bearer = format!("Bearer {}", token("hans", parley_domain::Scope::User));
    let mut hans = Client::connect(world, &[("authorization", &bearer)]).await;
    hans.say(&json!({"type":"hello","deviceId":"dev_1"})).await;
    let Said::Frame(ready) = hans.next().await else { panic!() };
    assert_eq!(
        ready,
        json!({"type":"ready","userId":"hans","deviceId":"dev_1","heartbeatSeconds":25})
    );

    for (token, device) in
        [("nonsense".to_owned(), "dev_1"), (session(world, "hans", "dev_1").await, "dev_2")]
    {
        let mut wrong = Client::connect(world, &[]).await;
        wrong.say(&json!({"type":"hello","sessionToken":token,"deviceId":device})).await;
        assert_eq!(wrong.closed().await, 4401);
    }
}
