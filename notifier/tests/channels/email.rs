//! Email over a real SMTP server.

use parley_notifier::{
    channels::{Address, Channels, Endpoint, Failed},
    notice::{Notice, Proof, What},
    testing::{Fate, Letter, SmtpServer},
};

use crate::support::{channels, close, digest, endpoint, notice, verify};

fn to(address: &str) -> Endpoint {
    endpoint(Address::Email(address.to_owned()))
}

fn over(server: &SmtpServer, more: &[(&str, &str)]) -> Channels {
    let port = server.port.to_string();
    let mut variables = vec![
        ("PARLEY_SMTP_HOST", "localhost"),
        ("PARLEY_SMTP_PORT", &port),
        ("PARLEY_SMTP_TLS", "none"),
        ("PARLEY_SMTP_FROM", "notifications@chat.example"),
    ];
    variables.extend(more);
    channels(&variables)
}

/// A header's value, unfolded.
fn header(letter: &Letter, name: &str) -> String {
    let head = letter.text.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ");
    let start = format!("{name}: ");
    let found: Vec<&str> =
        head.split("\r\n").filter_map(|line| line.strip_prefix(&start)).collect();
    assert_eq!(found.len(), 1, "{name} in {head}");
    found[0].to_owned()
}

#[tokio::test]
async fn a_digest_arrives_with_everything_that_mail_programs_want() {
    let server = SmtpServer::start().await;
    over(&server, &[]).send(&to("bob@example.com"), &digest(7)).await.unwrap();
    let letters = server.letters();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.from, "notifications@chat.example");
    assert_eq!(letter.to, "bob@example.com");
    assert_eq!(header(letter, "From"), "Parley <notifications@chat.example>");
    assert_eq!(header(letter, "To"), "bob@example.com");
    assert_eq!(header(letter, "Subject"), "20 new messages from Alice");
    assert_eq!(header(letter, "Message-ID"), "<00000000-0000-0000-0000-000000000007@chat.example>");
    assert_eq!(header(letter, "Auto-Submitted"), "auto-generated");
    assert_eq!(
        header(letter, "List-Unsubscribe"),
        "<https://chat.example/v1/unsubscribe?token=abc.def>"
    );
    assert_eq!(header(letter, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(header(letter, "Content-Type").starts_with("multipart/alternative"));
    for part in ["text/plain; charset=utf-8", "text/html; charset=utf-8"] {
        assert!(letter.text.contains(part), "{part}");
    }
    assert!(letter.text.contains("Is the bike still there?"));
}

#[tokio::test]
async fn letters_about_one_conversation_are_one_thread() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[]);
    for id in [1, 2] {
        channels.send(&to("bob@example.com"), &digest(id)).await.unwrap();
    }
    let other = Notice { conversation_id: None, ..notice(3) };
    channels.send(&to("bob@example.com"), &What::Digest(other)).await.unwrap();
    let letters = server.letters();
    let threads: Vec<String> = letters.iter().map(|letter| header(letter, "References")).collect();
    assert_eq!(threads[0], threads[1]);
    assert_ne!(threads[0], threads[2]);
    assert_eq!(header(&letters[0], "In-Reply-To"), threads[0]);
    assert_ne!(header(&letters[0], "Message-ID"), header(&letters[1], "Message-ID"));
}

#[tokio::test]
async fn each_language_has_its_words() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[("PARLEY_NOTIFY_BRAND", "Fahrradmarkt")]);
    for (locale, subject) in [
        ("de-DE", "20 neue Nachrichten von Alice"),
        ("en", "20 new messages from Alice"),
        ("pt-BR", "20 new messages from Alice"),
    ] {
        let notice = Notice { locale: locale.to_owned(), ..notice(1) };
        channels.send(&to("bob@example.com"), &What::Digest(notice)).await.unwrap();
        assert_eq!(header(server.letters().last().unwrap(), "Subject"), subject);
    }
    assert_eq!(header(&server.letters()[0], "From"), "Fahrradmarkt <notifications@chat.example>");
}

#[tokio::test]
async fn an_address_is_verified_by_a_link() {
    let server = SmtpServer::start().await;
    let link = "https://chat.example/v1/notification-endpoints/verify?token=a.b";
    let what = verify(1, Proof::Link(link.to_owned()));
    over(&server, &[]).send(&to("bob@example.com"), &what).await.unwrap();
    let letter = &server.letters()[0];
    assert_eq!(header(letter, "Subject"), "Confirm your email address for Parley");
    assert!(!letter.text.contains("List-Unsubscribe"));
    // Quoted-printable may break the address, but not its beginning.
    assert!(letter.text.contains("https://chat.example/v1/notification-endpoints/verify"));
}

#[tokio::test]
async fn the_servers_answers_are_told_apart() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[]);
    for (fate, expected) in [
        (Fate::RefuseRecipient("451 4.7.1 greylisted"), "Retry"),
        (Fate::RefuseRecipient("550 user unknown"), "GiveUp"),
        (Fate::RefuseRecipient("550 5.1.1 <bob@example.com>: unknown"), "EndpointDead"),
        (Fate::RefuseRecipient("550 5.7.1 policy"), "GiveUp"),
        (Fate::RefuseRecipient("554 no"), "GiveUp"),
        (Fate::RefuseSender("421 busy"), "Retry"),
        (Fate::RefuseContent("554 5.6.0 spam"), "GiveUp"),
        (Fate::RefuseContent("452 full"), "Retry"),
        (Fate::HangAtRecipient, "Retry"),
        (Fate::DropAtRecipient, "Retry"),
        (Fate::HangAfterContent, "Unknown"),
        (Fate::DropAfterContent, "Unknown"),
    ] {
        server.next(&[fate]);
        let failed = channels.send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), expected, "{fate:?}: {failed:?}");
        assert!(!failed.reason().contains("bob"), "{failed:?}");
        // And the next letter goes its way.
        channels.send(&to("bob@example.com"), &digest(2)).await.unwrap();
    }
}

pub fn kind(failed: &Failed) -> &'static str {
    match failed {
        Failed::Retry { .. } => "Retry",
        Failed::Wait { .. } => "Wait",
        Failed::GiveUp { .. } => "GiveUp",
        Failed::EndpointDead { .. } => "EndpointDead",
        Failed::Unknown { .. } => "Unknown",
    }
}

#[tokio::test]
async fn a_letter_in_doubt_is_repeated_under_the_same_message_id() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[]);
    server.next(&[Fate::DropAfterContent]);
    let failed = channels.send(&to("bob@example.com"), &digest(5)).await.unwrap_err();
    assert!(matches!(failed, Failed::Unknown { .. }), "{failed:?}");
    channels.send(&to("bob@example.com"), &digest(5)).await.unwrap();
    let letters = server.letters();
    assert_eq!(letters.len(), 2);
    assert_eq!(header(&letters[0], "Message-ID"), header(&letters[1], "Message-ID"));
}

#[tokio::test]
async fn connections_are_used_again_and_bounded() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[("PARLEY_SMTP_CONNECTIONS", "2")]);
    for id in 0..5 {
        channels.send(&to("bob@example.com"), &digest(id)).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    let bob = to("bob@example.com");
    let sending = (0..20).map(|id| {
        let (channels, bob) = (&channels, &bob);
        async move { channels.send(bob, &digest(id)).await }
    });
    for sent in futures_util::future::join_all(sending).await {
        sent.unwrap();
    }
    assert!(server.connections() <= 2, "{}", server.connections());
    assert_eq!(server.letters().len(), 25);
}

#[tokio::test]
async fn a_password_goes_over_tls_to_a_trusted_server_only() {
    let server = SmtpServer::start().await;
    let file = std::env::temp_dir().join(format!("parley-smtp-ca-{}", server.port));
    std::fs::write(&file, &server.certificate).unwrap();
    let secret = [
        ("PARLEY_SMTP_TLS", "starttls"),
        ("PARLEY_SMTP_USER", "parley"),
        ("PARLEY_SMTP_PASSWORD", "hunter2"),
    ];
    let failed = over(&server, &secret).send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
    assert!(matches!(failed, Failed::Retry { .. }), "{failed:?}");
    assert!(server.letters().is_empty());

    let trusted = [&secret[..], &[("PARLEY_SMTP_CA_FILE", file.to_str().unwrap())]].concat();
    over(&server, &trusted).send(&to("bob@example.com"), &digest(1)).await.unwrap();
    let letter = &server.letters()[0];
    assert!(letter.private);
    assert_eq!(letter.signed_in, Some(("parley".to_owned(), "hunter2".to_owned())));

    let wrong = [&trusted[..], &[("PARLEY_SMTP_PASSWORD", "wrong")]].concat();
    let failed = over(&server, &wrong).send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
    assert!(matches!(failed, Failed::Retry { .. }), "{failed:?}");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_left_alone_for_a_while() {
    let server = SmtpServer::start().await;
    let patient =
        [("PARLEY_NOTIFY_BREAKER_FAILURES", "2"), ("PARLEY_NOTIFY_BREAKER_OPEN_MILLIS", "300000")];
    let channels = over(&server, &patient);
    server.next(&[Fate::DropAtRecipient, Fate::DropAtRecipient]);
    for _ in 0..2 {
        let failed = channels.send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
        assert_eq!(failed.after(), None, "{failed:?}");
    }
    for _ in 0..100 {
        let failed = channels.send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
        assert!(failed.after().is_some_and(|wait| wait.as_secs() > 200), "{failed:?}");
    }
    assert_eq!(server.connections(), 2);
    assert!(server.letters().is_empty());
}

#[tokio::test]
async fn people_who_are_not_there_do_not_close_the_server() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[("PARLEY_NOTIFY_BREAKER_FAILURES", "2")]);
    server.next(&[Fate::RefuseRecipient("550 5.1.1 user unknown"); 10]);
    for _ in 0..10 {
        let failed = channels.send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
        assert!(matches!(failed, Failed::EndpointDead { .. }), "{failed:?}");
    }
    channels.send(&to("bob@example.com"), &digest(1)).await.unwrap();
}

#[tokio::test]
async fn what_an_email_cannot_do_is_given_up() {
    let server = SmtpServer::start().await;
    let channels = over(&server, &[]);
    let failed = channels.send(&to("bob@example.com"), &close(1)).await.unwrap_err();
    assert!(matches!(failed, Failed::GiveUp { .. }), "{failed:?}");
    for address in ["", "bob", "bob@", "bob@example.com\r\nDATA", "a@b.example, c@d.example"] {
        let failed = channels.send(&to(address), &digest(1)).await.unwrap_err();
        assert!(matches!(failed, Failed::GiveUp { .. }), "{address:?}: {failed:?}");
    }
    let none = crate::support::channels(&[]);
    let failed = none.send(&to("bob@example.com"), &digest(1)).await.unwrap_err();
    assert!(matches!(failed, Failed::GiveUp { .. }), "{failed:?}");
    assert_eq!(server.connections(), 0);
}
