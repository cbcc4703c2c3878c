//! SMS by a provider that speaks Twilio's form.

use parley_notifier::{
    channels::{Address, Channels, Endpoint},
    notice::{Proof, What},
    testing::{HttpServer, Reply},
};
use url::form_urlencoded;

use crate::{
    email::kind,
    support::{channels, close, digest, endpoint, notice, verify},
};

fn to(number: &str) -> Endpoint {
    endpoint(Address::Phone(number.to_owned()))
}

const BOB: &str = "+4915112345678";

fn over(server: &HttpServer, more: &[(&str, &str)]) -> Channels {
    let mut variables = vec![
        ("PARLEY_SMS_URL", server.url.as_str()),
        ("PARLEY_SMS_ACCOUNT", "AC123"),
        ("PARLEY_SMS_TOKEN", "hunter2"),
        ("PARLEY_SMS_FROM", "+15005550006"),
        ("PARLEY_SMS_COUNTRIES", "DE,AT"),
    ];
    variables.extend(more);
    channels(&variables)
}

async fn twilio() -> HttpServer {
    HttpServer::start(Reply::Status(201, &[], r#"{"sid":"SM42","status":"queued"}"#.to_owned()))
        .await
}

/// Twilio's problem.
fn problem(status: u16, code: u32) -> Reply {
    let body = format!(r#"{{"code":{code},"message":"about {BOB}","status":{status}}}"#);
    Reply::Status(status, &[], body)
}

#[tokio::test]
async fn the_request_has_twilios_form() {
    let server = twilio().await;
    let sent = over(&server, &[]).send(&to(BOB), &digest(7)).await.unwrap();
    assert_eq!(sent.reference.as_deref(), Some("SM42"));
    let request = server.seen().pop().unwrap();
    assert_eq!(request.path, "/2010-04-01/Accounts/AC123/Messages.json");
    // AC123:hunter2
    assert_eq!(request.header("authorization"), "Basic QUMxMjM6aHVudGVyMg==");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(request.header("idempotency-key"), "00000000-0000-0000-0000-000000000007");
    let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
    let body = "Parley: 20 new messages from Alice: Is the bike still there?\n\
                https://chat.example/#/c/d.alice.bob";
    let expected = [("To", BOB), ("From", "+15005550006"), ("Body", body)];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_messaging_service_and_a_code() {
    let server = twilio().await;
    let channels = over(&server, &[("PARLEY_SMS_FROM", "MG77")]);
    channels.send(&to(BOB), &verify(1, Proof::Code("012345".to_owned()))).await.unwrap();
    let form: Vec<_> = form_urlencoded::parse(&server.seen()[0].body).into_owned().collect();
    assert_eq!(form[1], ("MessagingServiceSid".to_owned(), "MG77".to_owned()));
    assert_eq!(form[2].1, "012345 is your Parley code. Do not share it.");
}

#[tokio::test]
async fn the_providers_answers_are_told_apart() {
    let server = twilio().await;
    let channels = over(&server, &[]);
    for (reply, expected) in [
        (problem(400, 21211), "EndpointDead"),
        (problem(400, 21610), "EndpointDead"),
        (problem(400, 21614), "EndpointDead"),
        (problem(400, 21214), "GiveUp"),
        (problem(400, 21408), "GiveUp"),
        (problem(400, 21602), "GiveUp"),
        (problem(429, 20429), "Retry"),
        (problem(401, 20003), "Retry"),
        (problem(500, 20500), "Retry"),
        (Reply::status(503), "Retry"),
        // A proxy's: behind it the SMS may have been accepted.
        (Reply::status(502), "Unknown"),
        (Reply::status(504), "Unknown"),
        (Reply::Hang, "Unknown"),
        (Reply::Drop, "Unknown"),
    ] {
        server.next([reply.clone()]);
        let failed = channels.send(&to(BOB), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), expected, "{reply:?}: {failed:?}");
        assert!(!failed.reason().contains("49151"), "{failed:?}");
    }
    // An answer that cannot be read was a yes all the same.
    server.next([Reply::Status(201, &[], "<html>".to_owned())]);
    assert_eq!(channels.send(&to(BOB), &digest(1)).await.unwrap().reference, None);
}

#[tokio::test]
async fn what_was_lost_is_not_sent_again_by_the_way() {
    let server = twilio().await;
    let channels = over(&server, &[]);
    server.next([Reply::Drop, Reply::Hang]);
    for sent in 1..=2 {
        let failed = channels.send(&to(BOB), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), "Unknown", "{failed:?}");
        assert_eq!(server.seen().len(), sent);
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_has_sent_nothing() {
    let server = twilio().await;
    let channels = over(&server, &[]);
    drop(server);
    tokio::task::yield_now().await;
    let failed = channels.send(&to(BOB), &digest(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "Retry", "{failed:?}");
}

#[tokio::test]
async fn a_provider_that_asks_for_time_gets_it() {
    let server = twilio().await;
    let channels = over(&server, &[]);
    server.next([Reply::Status(429, &[("retry-after", "30")], String::new())]);
    for _ in 0..10 {
        let failed = channels.send(&to(BOB), &digest(1)).await.unwrap_err();
        let wait = failed.after().unwrap().as_secs();
        assert!((29..=30).contains(&wait), "{failed:?}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn only_numbers_of_the_countries_allowed_are_asked_for() {
    let server = twilio().await;
    let channels = over(&server, &[]);
    for (number, expected) in [
        ("+436641234567", None),
        ("+33612345678", Some("GiveUp")),
        ("+12025550123", Some("GiveUp")),
        ("015112345678", Some("GiveUp")),
        ("+491", Some("GiveUp")),
        ("+499001234567", Some("GiveUp")),
    ] {
        let failed = channels.send(&to(number), &digest(1)).await.err();
        assert_eq!(failed.as_ref().map(kind), expected, "{number}: {failed:?}");
    }
    let failed = channels.send(&to(BOB), &close(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "GiveUp");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn numbers_close_together_have_a_cap() {
    let server = twilio().await;
    let channels = over(&server, &[("PARLEY_SMS_BLOCK_PER_HOUR", "3")]);
    for last in 0..3 {
        channels.send(&to(&format!("+49151123450{last:02}")), &digest(1)).await.unwrap();
    }
    let failed = channels.send(&to("+4915112345099"), &digest(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "Wait");
    assert!(failed.after().is_some_and(|wait| wait.as_secs() > 3_500), "{failed:?}");
    channels.send(&to("+4915112346099"), &digest(1)).await.unwrap();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_preview_that_is_not_allowed_is_not_there() {
    let server = twilio().await;
    let what = What::Digest(parley_notifier::notice::Notice { preview: None, ..notice(1) });
    over(&server, &[]).send(&to(BOB), &what).await.unwrap();
    let form: Vec<_> = form_urlencoded::parse(&server.seen()[0].body).into_owned().collect();
    assert_eq!(
        form[2].1,
        "Parley: 20 new messages from Alice\nhttps://chat.example/#/c/d.alice.bob"
    );
}
