//! Unsubscribing by link, and the outbox of development.

use std::sync::Arc;

use parley_domain::{ConversationId, Scope, UserId};
use parley_notifier::{
    channels::{Address, ChannelKind, Channels, Endpoint},
    config::channels::{ChannelsConfig, links},
    links::Links,
    notice::{Notice, What},
};
use parley_runtime::{clock::SystemClock, config::Env, engines::testing::TestPostgres};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, LINK_SECRET, World, now, token, world};

fn our_links() -> Links {
    links(&mut Env::from_map([("PARLEY_NOTIFY_LINK_SECRET", LINK_SECRET)])).unwrap()
}

/// The path and query of a link for this person.
fn link(user: &str, channel: ChannelKind, conversation: Option<&str>) -> String {
    let conversation = conversation.map(|id| ConversationId::parse(id).unwrap());
    let user = UserId::parse(user).unwrap();
    let url = our_links().unsubscribe(&user, channel, conversation.as_ref(), now());
    url.strip_prefix("http://127.0.0.1:8080").unwrap().to_owned()
}

/// What mail programs send (RFC 8058).
async fn one_click(world: &World, path: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    world.request("POST", path, &headers, "List-Unsubscribe=One-Click").await
}

async fn browse(world: &World, path: &str, language: &str) -> Answer {
    let headers = [("accept", "text/html,*/*;q=0.8"), ("accept-language", language)];
    world.request("GET", path, &headers, "").await
}

/// What the account of this person says of notifications, once it says so.
async fn told(world: &World, user: &str, right: impl Fn(&Value) -> bool) -> Value {
    let shown = |sync: &Value| right(&sync["account"]["settings"]["notifications"]);
    let sync = world.get_until("/v1/sync", user, shown).await;
    sync["account"]["settings"]["notifications"].clone()
}

#[tokio::test]
async fn one_click_ends_the_emails_and_nothing_else() {
    let world = world();
    let path = link("uns_a", ChannelKind::Email, None);
    for _ in 0..2 {
        assert_eq!(one_click(world, &path).await.status, 200);
    }
    let told = told(world, "uns_a", |told| told["email"] == false).await;
    assert_eq!(
        told,
        json!({"email": false, "sms": true, "webpush": true, "webhook": true, "preview": true})
    );
}

#[tokio::test]
async fn one_conversation_ends_and_the_others_go_on() {
    let world = world();
    let path = link("uns_b", ChannelKind::Sms, Some("d.uns_b.uns_c"));
    assert_eq!(one_click(world, &path).await.status, 200);
    let told = told(world, "uns_b", |told| told["conversations"].is_object()).await;
    assert_eq!(told["sms"], true);
    assert_eq!(told["conversations"], json!({"d.uns_b.uns_c": {"sms": false}}));
}

#[tokio::test]
async fn looking_at_the_page_changes_nothing() {
    let world = world();
    let path = link("uns_d", ChannelKind::Email, None);
    let page = browse(world, &path, "de-DE,de;q=0.9").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text.contains(r#"<form method="post"><button>Abbestellen</button>"#), "{page:?}");
    // Something else of this account, so that there is something to wait for.
    assert_eq!(one_click(world, &link("uns_d", ChannelKind::Sms, None)).await.status, 200);
    let told = told(world, "uns_d", |told| told["sms"] == false).await;
    assert_eq!(told["email"], true);
}

#[tokio::test]
async fn a_link_that_is_not_ours_does_nothing() {
    let world = world();
    let good = link("uns_e", ChannelKind::Email, None);
    let user = UserId::parse("uns_e").unwrap();
    let verify = our_links().verify(&user, "ep_1", "a@b.example", now());
    let verify = format!("/v1/unsubscribe?{}", verify.split_once('?').unwrap().1);
    for path in [
        "/v1/unsubscribe",
        "/v1/unsubscribe?token=",
        "/v1/unsubscribe?token=%3Cscript%3E",
        &good[..good.len() - 2],
        &verify,
    ] {
        one_click(world, path).await.refused(400, "invalid_body");
        world.get(path, "").await.refused(400, "invalid_body");
        let page = browse(world, path, "en").await;
        assert_eq!(page.status, 400);
        assert!(page.text.contains("This link is not complete"), "{page:?}");
        assert!(!page.text.contains("<script") && !page.text.contains("<form"), "{page:?}");
    }
}

fn notice(id: u128, sender: &str) -> What {
    What::Digest(Notice {
        notification_id: Uuid::from_u128(id),
        user_id: UserId::parse("bob").unwrap(),
        conversation_id: None,
        title: None,
        messages: 20,
        senders: vec![sender.to_owned()],
        preview: Some("hello".to_owned()),
        link: "https://chat.example/#/".to_owned(),
        unsubscribe: "https://chat.example/v1/unsubscribe?token=a.b".to_owned(),
        locale: "en".to_owned(),
        at: now(),
    })
}

#[tokio::test]
async fn the_outbox_shows_what_would_have_gone_out() {
    let folder = std::env::temp_dir().join(format!("parley-dev-outbox-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("outbox.jsonl").to_str().unwrap().to_owned();
    let variable = ("PARLEY_NOTIFY_OUTBOX_FILE", file.as_str());
    let database = TestPostgres::database().await;
    let world = World::start_with(&database, &[variable]).await;
    assert_eq!(world.get("/dev/outbox", "").await.ok(200), json!({"items": []}));
    assert!(browse(&world, "/dev/outbox", "en").await.text.contains("Nothing would have gone out"));

    let config = ChannelsConfig::from_env(&mut Env::from_map([variable]));
    let channels = Channels::open(config, Arc::new(SystemClock)).unwrap();
    let to = |address| Endpoint {
        endpoint_id: "ep_1".to_owned(),
        user_id: UserId::parse("bob").unwrap(),
        address,
    };
    let email = to(Address::Email("bob@example.com".to_owned()));
    let hostile = "<script>alert(1)</script>\"><b>";
    channels.send(&email, &notice(1, hostile)).await.unwrap();
    let phone = to(Address::Phone("+4915112345678".to_owned()));
    channels.send(&phone, &notice(1, "Alice")).await.unwrap();

    let items = world.get("/dev/outbox", "").await.ok(200)["items"].take();
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["notificationId"], Uuid::from_u128(1).to_string());
    assert_eq!(
        (&items[0]["channel"], &items[0]["to"]),
        (&json!("email"), &json!("bob@example.com"))
    );
    assert!(items[0]["html"].as_str().unwrap().contains("&#60;script&#62;"));
    assert_eq!(items[0]["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    assert!(items[0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&items[1]["channel"], &items[1]["to"]), (&json!("sms"), &json!("+4915112345678")));
    assert_eq!(items[1].get("subject"), None);

    let page = browse(&world, "/dev/outbox", "en").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(page.text.contains("<iframe sandbox "), "{page:?}");
    assert!(!page.text.contains("<script") && !page.text.contains("\"><b>"), "{page:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn without_development_there_is_no_outbox_and_without_a_secret_no_link() {
    let database = TestPostgres::database().await;
    let variables = [
        ("PARLEY_DEV", "false"),
        ("PARLEY_JWT_HS256_SECRET", "marketplace-secret-of-32-bytes-or-more"),
        ("PARLEY_NOTIFY_LINK_SECRET", ""),
    ];
    let world = World::start_with(&database, &variables).await;
    world.get("/dev/outbox", "").await.refused(404, "not_found");
    let path = link("uns_f", ChannelKind::Email, None);
    one_click(&world, &path).await.refused(404, "not_found");
    // A token is of no use either.
    let authorization = format!("Bearer {}", token("uns_f", Scope::Service));
    let headers = [("authorization", authorization.as_str())];
    world.request("GET", "/dev/outbox", &headers, "").await.refused(404, "not_found");
}
