//! Whatever people call themselves and write: it stays text in every channel.

use std::time::{Duration, UNIX_EPOCH};

use lettre::transport::smtp::extension::ClientId;
use parley_domain::{ConversationId, Timestamp, UserId};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::{
    email::{Email, Letter, Security, Sender, Settings},
    sms,
    web_push::{MAX_PLAINTEXT_BYTES, Push},
    webhook::Message,
};
use crate::notice::{Notice, What};

const LINK: &str = "https://chat.example/#/c/d.alice.bob";
const UNSUBSCRIBE: &str = "https://chat.example/v1/unsubscribe?token=abc.def";

/// Pieces that break something somewhere, in any order, among other text.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nBcc: eve@evil.example\r\n".to_owned()),
        Just("\r\n\r\n<h1>another body</h1>".to_owned()),
        Just("\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n".to_owned()),
        Just("<script>alert(1)</script><!--".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("' style='position:fixed' &amp; &lt;".to_owned()),
        Just("{{ page.brand }}{% include \"/etc/passwd\" %}{#".to_owned()),
        Just("${7*7} %s %n \\u0000 =?utf-8?B?PHNjcmlwdD4=?=".to_owned()),
        Just("\u{202e}\u{2066}\u{200b}\u{feff}\0\u{7f}\u{85}\u{2028}".to_owned()),
        Just("🦀".repeat(2_560)),
        Just("👩\u{200d}🚀".repeat(100)),
        Just("Z\u{335}a\u{334}l\u{336}".repeat(200)),
        any::<String>(),
        "[a-zA-Z ]{0,20}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn notice(senders: Vec<String>, preview: Option<String>, locale: String) -> What {
    // What is hostile in a name is so in a title.
    let title = senders.first().cloned();
    What::Digest(Notice {
        notification_id: Uuid::from_u128(7),
        user_id: UserId::parse("bob").unwrap(),
        conversation_id: Some(ConversationId::parse("d.alice.bob").unwrap()),
        messages: 20,
        title,
        senders,
        preview,
        link: LINK.to_owned(),
        unsubscribe: UNSUBSCRIBE.to_owned(),
        locale,
        at: Timestamp::from_unix_millis(1_790_000_000_000),
    })
}

fn email() -> Email {
    Email::new(Settings {
        host: "localhost".to_owned(),
        port: 25,
        security: Security::None,
        credentials: None,
        from: "Parley <notifications@chat.example>".parse().unwrap(),
        hello: ClientId::Domain("chat.example".to_owned()),
        step_timeout: Duration::from_secs(1),
        connections: 1,
        idle: Duration::from_secs(1),
        dkim: None,
    })
}

/// The names of the headers, and the letter that goes out.
fn sent(letter: &Letter) -> (Vec<String>, String) {
    let to = letter.to.parse().unwrap();
    let message = email().message(letter, to, UNIX_EPOCH).unwrap();
    let bytes = String::from_utf8(message.formatted()).unwrap();
    let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
    let names = head
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split_once(':').unwrap().0.to_owned())
        .collect();
    (names, head.to_owned())
}

fn keys(json: &Value) -> Vec<&String> {
    json.as_object().unwrap().keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_email_keeps_its_headers_its_lines_and_its_tags(
        names in prop::collection::vec(hostile(), 0..4),
        preview in hostile(),
        locale in prop_oneof![Just("de".to_owned()), Just("en".to_owned()), hostile()],
        brand in hostile(),
    ) {
        let what = notice(names.clone(), Some(preview.clone()), locale.clone());
        let sender = Sender { brand: brand.clone(), domain: "chat.example".to_owned() };
        let letter = Letter::compose(&sender, "bob@example.com", &what).unwrap();
        // The same with nothing hostile: who and what is there or not, but harmless.
        let shown = |text: &String| if super::text::preview(text).is_empty() { "" } else { "x" };
        let harmless = notice(
            names.iter().map(|name| shown(name).to_owned()).collect(),
            Some(shown(&preview).to_owned()),
            locale,
        );
        let plain = Sender { brand: "x".to_owned(), domain: "chat.example".to_owned() };
        let calm = Letter::compose(&plain, "bob@example.com", &harmless).unwrap();

        prop_assert!(!letter.subject.chars().any(char::is_control));
        prop_assert_eq!(letter.text.lines().count(), calm.text.lines().count());
        prop_assert_eq!(letter.html.matches('<').count(), calm.html.matches('<').count());
        prop_assert_eq!(letter.html.matches('"').count(), calm.html.matches('"').count());
        let link = format!("href=\"{LINK}\"");
        prop_assert!(letter.html.contains(&link));
        let (headers, head) = sent(&letter);
        prop_assert_eq!(&headers, &sent(&calm).0);
        prop_assert_eq!(headers.len(), 12);
        prop_assert!(head.is_ascii());
        prop_assert!(head.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        let whole = format!("\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n");
        prop_assert!(head.contains(&whole), "{}", head);
    }

    #[test]
    fn an_sms_keeps_its_length_and_its_link(
        names in prop::collection::vec(hostile(), 0..4),
        preview in prop::option::of(hostile()),
    ) {
        let body = sms::compose("Parley", &notice(names, preview, "en".to_owned())).unwrap();
        prop_assert!(sms::fits(&body, 2), "{}", body);
        prop_assert!(body.contains("20 new messages"), "{}", body);
        let (said, link) = body.split_once('\n').unwrap();
        prop_assert_eq!(link, LINK);
        prop_assert!(!said.chars().any(char::is_control));
    }

    #[test]
    fn a_push_and_a_webhook_keep_their_form(
        names in prop::collection::vec(hostile(), 0..4),
        preview in hostile(),
        locale in hostile(),
    ) {
        let what = notice(names, Some(format!("x{preview}")), locale);
        let push = Push::compose(&what).unwrap();
        prop_assert!(push.payload.len() <= MAX_PLAINTEXT_BYTES);
        let json: Value = serde_json::from_str(&push.payload).unwrap();
        prop_assert_eq!(
            keys(&json),
            ["at", "body", "conversationId", "link", "messages", "notificationId", "tag", "title", "type"]
        );
        for shown in ["title", "body"] {
            prop_assert!(!json[shown].as_str().unwrap().chars().any(char::is_control));
        }
        let message = Message::compose(&what).unwrap();
        prop_assert!(message.body.len() < 8_192);
        let json: Value = serde_json::from_str(&message.body).unwrap();
        prop_assert_eq!(keys(&json), ["data", "timestamp", "type"]);
        prop_assert_eq!(&json["data"]["link"], LINK);
    }

    #[test]
    fn an_address_is_one_address(address in prop_oneof![
        hostile(),
        hostile().prop_map(|text| format!("bob{text}@example.com")),
        hostile().prop_map(|text| format!("bob@example.com{text}")),
    ]) {
        if let Ok(parsed) = address.parse::<lettre::Address>() {
            let text: &str = parsed.as_ref();
            prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
            prop_assert!(!text.contains(['<', '>', ',']) || text.starts_with('"'), "{:?}", text);
        }
    }
}

#[test]
fn a_link_that_is_none_is_not_sent() {
    for link in
        ["javascript:alert(1)", "https://x/\r\nBcc: eve@evil.example", "https://x/\"><b>", ""]
    {
        let What::Digest(notice) = notice(Vec::new(), None, "en".to_owned()) else { panic!() };
        let sender = Sender { brand: "Parley".to_owned(), domain: "chat.example".to_owned() };
        for notice in [
            Notice { link: link.to_owned(), ..notice.clone() },
            Notice { unsubscribe: link.to_owned(), ..notice },
        ] {
            let letter = Letter::compose(&sender, "bob@example.com", &What::Digest(notice));
            assert!(letter.is_err(), "{link:?}");
        }
    }
}
