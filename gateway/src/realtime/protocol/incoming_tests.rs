use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rejected(text: &str) -> (Option<String>, &'static str) {
    match parse(text) {
        Err(Unusable::Rejected(rejected)) => (rejected.r#ref.map(Into::into), rejected.code),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_contracts_frames_are_read() {
    let sent = parse(
        r#"{"type":"message.send","ref":"1","conversationId":"d.alice.bob","clientMessageId":"c-1","body":{"kind":"text","text":"ship it"},"replyTo":7}"#,
    );
    let Ok(ClientFrame::Command { r#ref, conversation_id, action }) = sent else { panic!() };
    assert_eq!((r#ref.as_deref(), conversation_id.as_str()), (Some("1"), "d.alice.bob"));
    assert_eq!(
        action,
        Action::SendMessage {
            client_message_id: ClientMessageId::parse("c-1").unwrap(),
            body: Body::Text { text: "ship it".to_owned() },
            reply_to: Some(7),
        }
    );
    assert!(matches!(
        parse(r#"{"type":"cursor.read","ref":"3","conversationId":"d.alice.bob","throughSeq":9}"#),
        Ok(ClientFrame::Command { action: Action::MarkRead { through_seq: 9 }, .. })
    ));
    assert!(matches!(
        parse(r#"{"type":"cursor.delivered","conversationId":"d.alice.bob","throughSeq":9}"#),
        Ok(ClientFrame::Command {
            r#ref: None,
            action: Action::MarkDelivered { through_seq: 9 },
            ..
        })
    ));
    for (text, expected) in [
        (
            r#"{"type":"message.edit","conversationId":"d.alice.bob","conversationSeq":9,"body":{"kind":"text","text":"hi"}}"#,
            Action::EditMessage { conversation_seq: 9, body: Body::Text { text: "hi".to_owned() } },
        ),
        (
            r#"{"type":"message.delete","conversationId":"d.alice.bob","conversationSeq":9}"#,
            Action::DeleteMessage { conversation_seq: 9, reason: None },
        ),
        (
            r#"{"type":"reaction.add","conversationId":"d.alice.bob","conversationSeq":9,"emoji":"👍"}"#,
            Action::AddReaction { conversation_seq: 9, emoji: Emoji::parse("👍").unwrap() },
        ),
        (
            r#"{"type":"reaction.remove","conversationId":"d.alice.bob","conversationSeq":9,"emoji":"👍"}"#,
            Action::RemoveReaction { conversation_seq: 9, emoji: Emoji::parse("👍").unwrap() },
        ),
    ] {
        let Ok(ClientFrame::Command { action, .. }) = parse(text) else { panic!("{text}") };
        assert_eq!(action, expected);
    }
    assert!(matches!(
        parse(r#"{"type":"typing","conversationId":"d.alice.bob","typing":true}"#),
        Ok(ClientFrame::Typing { typing: true, .. })
    ));
    let bob = UserId::parse("bob").unwrap();
    assert_eq!(
        parse(r#"{"type":"presence.watch","userIds":["bob"]}"#),
        Ok(ClientFrame::Watch { r#ref: None, user_ids: vec![bob] })
    );
    assert_eq!(
        parse(r#"{"type":"sync","ref":"4","since":"T"}"#),
        Ok(ClientFrame::Sync { r#ref: Some("4".into()), since: Some("T".into()) })
    );
    assert_eq!(parse(r#" {"type":"ping","later":{"field":1}}"#), Ok(ClientFrame::Ping));
    let hello = parse(r#"{"type":"hello","sessionToken":"s","deviceId":"dev_1","since":null}"#);
    let Ok(ClientFrame::Hello(hello)) = hello else { panic!() };
    assert_eq!((hello.session_token.as_deref(), hello.since), (Some("s"), None));
    assert!(
        !format!("{:?}", parse(r#"{"type":"hello","sessionToken":"s3cret","deviceId":"d"}"#))
            .contains("s3cret")
    );
}

#[test]
fn what_is_not_a_frame_is_malformed() {
    for text in [
        "",
        "hi",
        "[]",
        "null",
        "1",
        r#""ping""#,
        r#"["ping"]"#,
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"ping""#,
        r#"{"type":null}"#,
    ] {
        assert_eq!(parse(text), Err(Malformed::Json.into()), "{text}");
    }
    assert_eq!(parse(r#"{"type":"teleport"}"#), Err(Malformed::UnknownType.into()));
    assert_eq!(parse(r#"{"type":"ping","ref":1}"#), Err(Malformed::Ref.into()));
    let long = format!(r#"{{"type":"ping","ref":"{}"}}"#, "r".repeat(129));
    assert_eq!(parse(&long), Err(Malformed::Ref.into()));
    for hello in [
        r#"{"type":"hello"}"#,
        r#"{"type":"hello","deviceId":"a b"}"#,
        r#"{"type":"hello","deviceId":7}"#,
    ] {
        assert_eq!(parse(hello), Err(Malformed::DeviceId.into()), "{hello}");
    }
    assert_eq!(parse(r#"{"type":"sync","since":7}"#), Err(Malformed::Field.into()));
    assert_eq!(
        parse(r#"{"type":"typing","conversationId":"d.a.b"}"#),
        Err(Malformed::Field.into())
    );
    for users in ["", r#","userIds":"bob""#, r#","userIds":[1]"#, r#","userIds":null"#] {
        let text = format!(r#"{{"type":"presence.watch"{users}}}"#);
        assert_eq!(parse(&text), Err(Malformed::Field.into()), "{text}");
    }
}

#[test]
fn what_cannot_be_done_is_answered_by_name() {
    let send = |id: &str, name: &str, body: &str| {
        rejected(&format!(
            r#"{{"type":"message.send","ref":"7","conversationId":{id},"clientMessageId":{name},"body":{body}}}"#
        ))
    };
    let ok = r#"{"kind":"text","text":"hi"}"#;
    let answer = |code| (Some("7".to_owned()), code);
    assert_eq!(send(r#""d.b.a""#, r#""c""#, ok), answer("invalid_id"));
    assert_eq!(send("7", r#""c""#, ok), answer("invalid_id"));
    assert_eq!(send(r#""d.a.b""#, r#""é""#, ok), answer("invalid_id"));
    assert_eq!(send(r#""d.a.b""#, "null", ok), answer("invalid_id"));
    assert_eq!(send(r#""d.a.b""#, r#""c""#, "7"), answer("invalid_body"));
    assert_eq!(send(r#""d.a.b""#, r#""c""#, r#"{"kind":"hologram"}"#), answer("invalid_body"));
    assert_eq!(
        send(r#""d.a.b""#, r#""c""#, r#"{"kind":"text","text":" "}"#),
        answer("invalid_body")
    );
    let long = format!(r#"{{"kind":"text","text":"{}"}}"#, "a".repeat(4_097));
    assert_eq!(send(r#""d.a.b""#, r#""c""#, &long), answer("body_too_large"));
    assert_eq!(
        rejected(r#"{"type":"message.send","conversationId":"d.a.b","clientMessageId":"c"}"#),
        (None, "invalid_body")
    );
    for through in ["-1", "1.5", r#""9""#, "null"] {
        let text = format!(
            r#"{{"type":"cursor.read","ref":"7","conversationId":"d.a.b","throughSeq":{through}}}"#
        );
        assert_eq!(rejected(&text), answer("invalid_body"), "{through}");
    }
    let watch = |users: &[&str]| {
        rejected(&json!({"type":"presence.watch","ref":"7","userIds":users}).to_string())
    };
    assert_eq!(watch(&["a b"]), answer("invalid_id"));
    assert_eq!(watch(&["a"; MAX_WATCHED + 1]), answer("invalid_body"));
    for (kind, rest) in [
        ("message.edit", r#""conversationSeq":1"#),
        ("message.edit", r#""conversationSeq":"1","body":{"kind":"text","text":"hi"}"#),
        ("message.edit", r#""conversationSeq":1,"body":{"kind":"text","text":" "}"#),
        ("message.delete", r#""conversationSeq":-1"#),
        ("reaction.add", r#""conversationSeq":1"#),
        ("reaction.add", r#""conversationSeq":1,"emoji":"ok""#),
        ("reaction.remove", r#""conversationSeq":1,"emoji":7"#),
    ] {
        let text = format!(r#"{{"type":"{kind}","ref":"7","conversationId":"d.a.b",{rest}}}"#);
        assert_eq!(rejected(&text), answer("invalid_body"), "{text}");
    }
}

fn frame_like() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("7".to_owned()),
        Just("-1e999".to_owned()),
        Just("true".to_owned()),
        Just(r#"{"kind":"text","text":"\ud800"}"#.to_owned()),
        Just(r#""d.a.b""#.to_owned()),
        Just(r#""\u0000""#.to_owned()),
        "\\PC{0,9}".prop_map(|s| format!("{s:?}")),
    ];
    let name = prop_oneof![
        Just("type"),
        Just("ref"),
        Just("conversationId"),
        Just("clientMessageId"),
        Just("body"),
        Just("throughSeq"),
        Just("conversationSeq"),
        Just("emoji"),
        Just("since"),
        Just("deviceId"),
        Just("other"),
    ];
    let kind = prop_oneof![
        Just("message.send"),
        Just("message.edit"),
        Just("reaction.add"),
        Just("cursor.read"),
        Just("typing"),
        Just("sync"),
        Just("hello")
    ];
    (kind, proptest::collection::vec((name, value), 0..6)).prop_map(|(kind, fields)| {
        let rest: String =
            fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        format!("{{\"type\":\"{kind}\"{rest}}}")
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC*", like in frame_like()) {
        let _ = parse(&text);
        let _ = parse(&like);
    }
}
