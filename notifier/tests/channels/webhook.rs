//! Signed webhooks, checked as standardwebhooks.com tells receivers to.

use parley_notifier::{
    channels::{Address, Channels, Endpoint},
    notice::Proof,
    testing::{HttpServer, Reply, Seen, believed},
};
use serde_json::{Value, json};

use crate::{
    email::kind,
    support::{channels, close, digest, endpoint, verify},
};

const SECRET: &str = "a secret of 32 bytes, or of more";

fn sender(more: &[(&str, &str)]) -> Channels {
    channels(&[&[("PARLEY_WEBHOOK_SECRET", SECRET)], more].concat())
}

fn to(url: &str) -> Endpoint {
    endpoint(Address::Webhook { url: url.to_owned() })
}

/// The body, if the signature is good.
fn checked(request: &Seen) -> Value {
    believed(request, SECRET.as_bytes())
}

#[tokio::test]
async fn a_receiver_can_check_what_it_gets() {
    let server = HttpServer::start(Reply::status(204)).await;
    let channels = sender(&[]);
    let target = to(&format!("{}/hook?a=b", server.url));
    for what in [digest(7), close(7), verify(8, Proof::Code("012345".to_owned()))] {
        channels.send(&target, &what).await.unwrap();
    }
    let [told, closed, asked] = server.seen().try_into().unwrap();
    assert_eq!(told.path, "/hook?a=b");
    assert_eq!(told.header("content-type"), "application/json");
    let body = checked(&told);
    assert_eq!(body["type"], "notification.digest");
    assert_eq!(
        body["data"],
        json!({
            "notificationId": "00000000-0000-0000-0000-000000000007",
            "userId": "bob",
            "conversationId": "d.alice.bob",
            "messages": 20,
            "senders": ["Alice"],
            "preview": "Is the bike still there?",
            "link": "https://chat.example/#/c/d.alice.bob",
            "unsubscribe": "https://chat.example/v1/unsubscribe?token=abc.def",
            "locale": "en",
        })
    );
    assert_eq!(checked(&closed)["type"], "notification.close");
    assert_ne!(told.header("webhook-id"), closed.header("webhook-id"));
    let body = checked(&asked);
    assert_eq!(
        (&body["type"], &body["data"]["code"]),
        (&json!("endpoint.verify"), &json!("012345"))
    );
}

#[tokio::test]
async fn the_receivers_answers_are_told_apart_and_a_repetition_has_the_same_id() {
    let server = HttpServer::start(Reply::status(200)).await;
    let channels = sender(&[]);
    for (reply, expected) in [
        (Reply::status(410), "EndpointDead"),
        (Reply::status(400), "GiveUp"),
        (Reply::status(401), "GiveUp"),
        (Reply::status(302), "GiveUp"),
        (Reply::status(404), "Retry"),
        (Reply::status(429), "Retry"),
        (Reply::status(500), "Retry"),
        (Reply::Hang, "Retry"),
        (Reply::Drop, "Retry"),
    ] {
        server.next([reply.clone()]);
        let failed = channels.send(&to(&server.url), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), expected, "{reply:?}: {failed:?}");
    }
    let seen = server.seen();
    assert!(
        seen.iter().all(|request| request.header("webhook-id") == seen[0].header("webhook-id"))
    );
}

#[tokio::test]
async fn an_operator_says_which_servers_there_are() {
    let server = HttpServer::start(Reply::status(200)).await;
    let private = sender(&[("PARLEY_NOTIFY_PRIVATE_TARGETS", "false")]);
    let failed = private.send(&to(&server.url), &digest(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "GiveUp", "{failed:?}");
    let other = sender(&[("PARLEY_WEBHOOK_HOSTS", "hooks.shop.example")]);
    let failed = other.send(&to(&server.url), &digest(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "GiveUp", "{failed:?}");
    assert!(server.seen().is_empty());
    let this = sender(&[("PARLEY_WEBHOOK_HOSTS", "hooks.shop.example,127.0.0.1")]);
    this.send(&to(&server.url), &digest(1)).await.unwrap();
}
