//! Proving an address: an email or a webhook by a link, a phone by a code.

use parley_commands::{AccountRequest, Client};
use parley_domain::{
    Actor, Scope, UserId,
    account::{Action, Address, Answer as AccountAnswer},
};
use parley_notifier::{config::channels::links, links::Links};
use parley_runtime::config::Env;
use serde_json::{Value, json};

use crate::support::{Answer, LINK_SECRET, World, now, world};

const ALL: &str = "/v1/notification-endpoints";
const PHONE: &str = "+4915112345678";

fn our_links() -> Links {
    links(&mut Env::from_map([("PARLEY_NOTIFY_LINK_SECRET", LINK_SECRET)])).unwrap()
}

fn id(user: &str) -> UserId {
    UserId::parse(user).unwrap()
}

/// An endpoint that nothing is sent to yet; in development there are no such, so the command is
/// given as a backend service does.
async fn pending(world: &World, user: &str, address: Address) -> String {
    let nats = parley_nats::connect(&world.nats().url(), "test").await.unwrap();
    let client = Client::new(nats, 2, parley_commands::config::client(&mut Env::default()));
    let actor =
        Actor { user_id: id(user), device_id: None, scope: Scope::Service, is_discreet: false };
    let action = Action::AddEndpoint { address, verified: false };
    let answer = client.execute(AccountRequest::new(actor, action, None)).await.unwrap();
    let AccountAnswer::Endpoint { endpoint_id, .. } = answer else { panic!("{answer:?}") };
    let endpoint_id = endpoint_id.to_string();
    until_state(world, user, &endpoint_id, "pending").await;
    endpoint_id
}

async fn until_state(world: &World, user: &str, endpoint_id: &str, state: &str) {
    let is_so = |all: &Value| {
        let mut endpoints = all["endpoints"].as_array().unwrap().iter();
        endpoints.any(|one| one["endpointId"] == endpoint_id && one["state"] == state)
    };
    world.get_until(ALL, user, is_so).await;
}

/// The path of the link that an email has.
fn link(user: &str, endpoint_id: &str, address: &str) -> String {
    let url = our_links().verify(&id(user), endpoint_id, address, now());
    url.strip_prefix("http://127.0.0.1:8080").unwrap().to_owned()
}

async fn press(world: &World, path: &str) -> Answer {
    let headers = [("accept", "text/html"), ("origin", "null")];
    world.request("POST", path, &headers, "").await
}

#[tokio::test]
async fn the_button_behind_the_link_verifies_and_looking_does_not() {
    let world = world();
    let address = "ver_a@shop.example";
    let endpoint = pending(world, "ver_a", Address::Email(address.to_owned())).await;
    let path = link("ver_a", &endpoint, address);
    let page = world.request("GET", &path, &[("accept", "text/html")], "").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<button>Confirm this address</button>"), "{page:?}");
    until_state(world, "ver_a", &endpoint, "pending").await;
    for _ in 0..2 {
        let done = press(world, &path).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert!(done.text.contains("Confirmed"), "{done:?}");
    }
    until_state(world, "ver_a", &endpoint, "verified").await;
}

#[tokio::test]
async fn whoever_answers_at_a_webhook_posts_to_its_link() {
    let world = world();
    let url = "https://shop.example/hook?of=ver_g";
    let endpoint = pending(world, "ver_g", Address::Webhook(url.to_owned())).await;
    let path = link("ver_g", &endpoint, url);
    assert_eq!(world.request("GET", &path, &[], "").await.status, 200);
    let other = link("ver_g", &endpoint, "https://shop.example/hook?of=eve");
    world.request("POST", &other, &[], "").await.refused(400, "invalid_body");
    until_state(world, "ver_g", &endpoint, "pending").await;
    // A service, not a browser: no headers, no body.
    for _ in 0..2 {
        assert_eq!(world.request("POST", &path, &[], "").await.status, 200);
    }
    until_state(world, "ver_g", &endpoint, "verified").await;
}

#[tokio::test]
async fn a_link_is_for_one_endpoint_and_its_address() {
    let world = world();
    let address = "ver_b@shop.example";
    let endpoint = pending(world, "ver_b", Address::Email(address.to_owned())).await;
    let phone = pending(world, "ver_b", Address::Sms(PHONE.to_owned())).await;
    let unsubscribe = our_links().unsubscribe(
        &id("ver_b"),
        parley_notifier::channels::ChannelKind::Email,
        None,
        now(),
    );
    for path in [
        link("ver_b", &endpoint, "eve@shop.example"),
        link("ver_b", &phone, PHONE),
        link("ver_c", &endpoint, address),
        link("ver_b", "0193e5a0-7b1c-7def-8123-456789abcdef", address),
        link("ver_b", "no id", address),
        format!("{ALL}/verify?{}", unsubscribe.split_once('?').unwrap().1),
        format!("{ALL}/verify"),
    ] {
        let refused = press(world, &path).await;
        assert_eq!(refused.status, 400, "{path}: {refused:?}");
        world.request("POST", &path, &[], "").await.refused(400, "invalid_body");
    }
    for endpoint in [&endpoint, &phone] {
        until_state(world, "ver_b", endpoint, "pending").await;
    }
}

fn verify(endpoint_id: &str) -> String {
    format!("{ALL}/{endpoint_id}/verify")
}

#[tokio::test]
async fn a_phone_is_verified_by_its_code_only() {
    let world = world();
    let endpoint = pending(world, "ver_d", Address::Sms(PHONE.to_owned())).await;
    let email = Address::Email("ver_d@shop.example".to_owned());
    let email = pending(world, "ver_d", email).await;
    let code = our_links().phone_code(&id("ver_d"), &endpoint, PHONE);
    let other = our_links().phone_code(&id("ver_d"), &endpoint, "+4915112345679");
    let path = verify(&endpoint);
    for wrong in [other.as_str(), "", "<b>"] {
        let answer = world.post(&path, "ver_d", &json!({"code": wrong})).await;
        answer.refused(422, "invalid_body");
    }
    world.post(&verify(&email), "ver_d", &json!({"code": code})).await.refused(422, "invalid_body");
    world.post(&path, "ver_e", &json!({"code": code})).await.refused(404, "not_found");
    world.post(&path, "", &json!({"code": code})).await.refused(401, "unauthenticated");
    world.post(&path, "ver_d", &json!({})).await.refused(400, "invalid_body");
    until_state(world, "ver_d", &endpoint, "pending").await;
    let done = world.post(&path, "ver_d", &json!({"code": code})).await.ok(200);
    assert!(done["version"].is_u64());
    until_state(world, "ver_d", &endpoint, "verified").await;
}

#[tokio::test]
async fn guessing_ends_soon() {
    let world = world();
    let endpoint = pending(world, "ver_f", Address::Sms(PHONE.to_owned())).await;
    let code = our_links().phone_code(&id("ver_f"), &endpoint, PHONE);
    let mut guesses = 0;
    let limited = loop {
        let answer = world.post(&verify(&endpoint), "ver_f", &json!({"code": "x"})).await;
        if answer.status == 429 {
            break answer;
        }
        answer.refused(422, "invalid_body");
        guesses += 1;
    };
    assert_eq!(guesses, 10);
    limited.refused(429, "rate_limited");
    assert!(limited.header("retry-after").parse::<u64>().unwrap() > 0);
    // The right one comes too late, too.
    let late = world.post(&verify(&endpoint), "ver_f", &json!({"code": code})).await;
    late.refused(429, "rate_limited");
    until_state(world, "ver_f", &endpoint, "pending").await;
}
