//! DKIM, checked as a receiving server does (RFC 6376 relaxed/relaxed, RFC 8463 Ed25519).

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use parley_notifier::{channels::Address, testing::SmtpServer};
use ring::{
    digest::{SHA256, digest as hash},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use crate::support::{channels, digest, endpoint};

const SEED: [u8; 32] = [9; 32];

/// One blank for many, none at the ends.
fn relaxed_value(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn relaxed_body(body: &str) -> String {
    let lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let blank = line.starts_with([' ', '\t']) && !line.trim().is_empty();
            format!("{}{}", if blank { " " } else { "" }, relaxed_value(line))
        })
        .collect();
    format!("{}\r\n", lines.join("\r\n").trim_end_matches("\r\n"))
}

#[tokio::test]
async fn a_receiving_server_finds_the_signature_good() {
    let server = SmtpServer::start().await;
    let channels = channels(&[
        ("PARLEY_SMTP_HOST", "localhost"),
        ("PARLEY_SMTP_PORT", &server.port.to_string()),
        ("PARLEY_SMTP_TLS", "none"),
        ("PARLEY_SMTP_FROM", "notifications@chat.example"),
        ("PARLEY_SMTP_DKIM_DOMAIN", "chat.example"),
        ("PARLEY_SMTP_DKIM_SELECTOR", "s1"),
        ("PARLEY_SMTP_DKIM_KEY", &BASE64.encode(SEED)),
    ]);
    let bob = endpoint(Address::Email("bob@example.com".to_owned()));
    channels.send(&bob, &digest(1)).await.unwrap();
    let text = server.letters()[0].text.clone();

    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers: Vec<(String, String)> = unfolded
        .split("\r\n")
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), relaxed_value(value)))
        .collect();
    let value = |name: &str| {
        let found = headers.iter().find(|(other, _)| other == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    };
    let signature = value("dkim-signature");
    let tag = |name: &str| {
        let mut tags = signature.split(';').map(str::trim);
        let found = tags.find_map(|tag| tag.strip_prefix(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("no {name}")).replace(' ', "")
    };
    assert_eq!((tag("a"), tag("c")), ("ed25519-sha256".to_owned(), "relaxed/relaxed".to_owned()));
    assert_eq!((tag("d"), tag("s")), ("chat.example".to_owned(), "s1".to_owned()));
    let signed = tag("h").to_ascii_lowercase();
    for name in ["from", "message-id", "list-unsubscribe", "list-unsubscribe-post"] {
        assert!(signed.split(':').any(|other| other == name), "{name} in {signed}");
    }
    assert_eq!(tag("bh"), BASE64.encode(hash(&SHA256, relaxed_body(body).as_bytes())));

    let mut covered: String =
        signed.split(':').map(|name| format!("{name}:{}\r\n", value(name))).collect();
    let (before, _) = signature.rsplit_once("b=").unwrap();
    covered.push_str(&format!("dkim-signature:{}", format!("{before}b=").trim_end()));
    let key = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    let good = |text: &str| {
        public.verify(hash(&SHA256, text.as_bytes()).as_ref(), &BASE64.decode(tag("b")).unwrap())
    };
    good(&covered).unwrap();
    assert!(good(&covered.replace("Alice", "Eve")).is_err());
}
