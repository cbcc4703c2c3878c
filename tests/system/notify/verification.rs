//! Addresses are proved before anything else goes there, and leave the account when nobody is there any
//! more: outside development, with providers that really get what is sent.

use hyper::Method;
use parley_domain::{AccountId, Event, UserId};
use parley_nats::{read::read_subject, subjects::shard_of};
use parley_notifier::testing::{HttpServer, Reply, Seen, SmtpServer, believed};
use serde_json::{Value, json};

use super::{SOON, say};
use crate::harness::{Client, Deployment, Service, eventually};

const ALL: &str = "/v1/notification-endpoints";
const PUBLIC_URL: &str = "https://chat.example";
const WEBHOOK_SECRET: &str = "a secret for webhooks, for tests only";
const PHONE: &str = "+4915112300001";

/// All services, where nobody signs in without the marketplace.
struct World {
    deployment: Deployment,
    gateway: Service,
    _others: [Service; 3],
}

impl World {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("PARLEY_DEV", "false"),
            ("PARLEY_PUBLIC_URL", PUBLIC_URL),
            ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for these tests only"),
            ("PARLEY_NOTIFY_GRACE_SECONDS", "1"),
            ("PARLEY_NOTIFY_RETRY_FIRST_MILLIS", "500"),
        ];
        all.extend(variables);
        let deployment = Deployment::start_with(&all).await;
        let others = [
            deployment.service("commands").await,
            deployment.service("projections").await,
            deployment.service("notifier").await,
        ];
        let gateway = deployment.gateway().await;
        Self { deployment, gateway, _others: others }
    }

    async fn client(&self, user: &str) -> Client {
        Client::with_token(&self.gateway.url(), self.deployment.token(user).await)
    }

    /// Asks for what a link leads to, as whoever got it does: without a login.
    async fn follow(&self, method: Method, link: &str) {
        let path = link.strip_prefix(PUBLIC_URL).unwrap();
        let answer = Client::anonymous(&self.gateway.url()).request(method, path, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The types in somebody's account, in order.
    async fn log(&self, user: &str) -> Vec<&'static str> {
        let nats = parley_nats::connect(&self.deployment.nats.url(), "test").await.unwrap();
        let account = AccountId::of(&UserId::parse(user).unwrap());
        let messages = read_subject(&nats, shard_of(&account, 4), &account).await.unwrap();
        let events = messages.iter().map(|message| Event::from_json(&message.payload).unwrap());
        events.map(|event| event.data.kind()).collect()
    }
}

/// Adds an address, and says its id and state.
async fn add(client: &Client, body: &Value) -> (String, String) {
    let added = client.post(ALL, body).await.expect(201);
    let text = |name: &str| added[name].as_str().unwrap().to_owned();
    (text("endpointId"), text("state"))
}

/// Of all that somebody has, in the order in which they were added.
async fn states(client: &Client) -> Vec<String> {
    let all = client.get(ALL).await.expect(200);
    let all = all["endpoints"].as_array().unwrap();
    all.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

async fn until_states(client: &Client, expected: &[&str]) {
    eventually(&format!("{expected:?}"), SOON, async || {
        (states(client).await == expected).then_some(())
    })
    .await;
}

/// The link in a letter, whose lines are broken (RFC 2045) and whose dots are whole.
fn link(letter: &str) -> String {
    let whole = letter.replace("=\r\n", "").replace("=3D", "=");
    let start = whole.find(&format!("{PUBLIC_URL}{ALL}/verify?token=")).unwrap();
    whole[start..].split(['\r', '\n', '"', ' ']).next().unwrap().to_owned()
}

/// What an SMS says that the provider was asked for.
fn sms(request: &Seen) -> String {
    assert_eq!(request.field("To"), PHONE);
    request.field("Body")
}

#[tokio::test]
async fn nothing_but_the_proof_goes_to_an_email_and_a_phone_that_are_not_verified() {
    let mail = SmtpServer::start().await;
    let accepted = json!({"sid": "SM1", "status": "queued"}).to_string();
    let provider = HttpServer::start(Reply::Status(201, &[], accepted)).await;
    let port = mail.port.to_string();
    let world = World::start(&[
        ("PARLEY_SMTP_HOST", "127.0.0.1"),
        ("PARLEY_SMTP_PORT", &port),
        ("PARLEY_SMTP_TLS", "none"),
        ("PARLEY_SMTP_FROM", "notifications@chat.example"),
        ("PARLEY_SMS_URL", &provider.url),
        ("PARLEY_SMS_ACCOUNT", "AC1"),
        ("PARLEY_SMS_TOKEN", "token"),
        ("PARLEY_SMS_FROM", "+4915112300000"),
        ("PARLEY_SMS_COUNTRIES", "DE"),
    ])
    .await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let email = json!({"channel": "email", "address": "bob@example.com"});
    assert_eq!(add(&bob, &email).await.1, "pending");
    let (phone, state) = add(&bob, &json!({"channel": "sms", "address": PHONE})).await;
    assert_eq!(state, "pending");
    let (letter, code) = eventually("both proofs", SOON, async || {
        Some((mail.letters().first()?.clone(), sms(provider.seen().first()?)))
    })
    .await;
    assert_eq!(letter.to, "bob@example.com");
    let code = code.split(' ').next().unwrap().to_owned();

    // He is away, and nobody knows yet whether that is he.
    say(&alice, "d.alice.bob", "m-0").await;
    eventually("it is decided", SOON, async || {
        let page = bob.get("/v1/notifications/decisions").await.expect(200);
        (page["decisions"][0]["reason"] == "noEndpoint").then_some(())
    })
    .await;
    assert_eq!((mail.letters().len(), provider.seen().len()), (1, 1));

    // Looking at the page is not enough, because scanners do.
    let link = link(&letter.text);
    world.follow(Method::GET, &link).await;
    assert_eq!(states(&bob).await, ["pending", "pending"]);
    world.follow(Method::POST, &link).await;
    until_states(&bob, &["verified", "pending"]).await;
    let path = format!("{ALL}/{phone}/verify");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refused = bob.post(&path, &json!({"code": wrong})).await.expect(422);
    assert_eq!(refused["code"], "invalid_body");
    assert_eq!(states(&bob).await, ["verified", "pending"]);
    bob.post(&path, &json!({"code": code})).await.expect(200);
    until_states(&bob, &["verified", "verified"]).await;

    say(&alice, "d.alice.bob", "m-1").await;
    let (letter, text) = eventually("both digests", SOON, async || {
        Some((mail.letters().get(1)?.clone(), sms(provider.seen().get(1)?)))
    })
    .await;
    assert_eq!(letter.to, "bob@example.com");
    assert!(letter.text.contains("Subject: 2 new messages from alice"), "{}", letter.text);
    assert!(letter.text.contains("List-Unsubscribe-Post"), "{}", letter.text);
    assert!(text.contains("2 new messages from alice") && text.contains(PUBLIC_URL), "{text}");
    assert_eq!((mail.letters().len(), provider.seen().len()), (2, 2));
}

/// RFC 8291's: of the server, and of a browser.
const VAPID_PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const VAPID_PUBLIC: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const BROWSER: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";

#[tokio::test]
async fn a_webhook_is_proved_by_its_link_and_what_answers_410_leaves_the_account() {
    let hook = HttpServer::start_tls(Reply::status(204)).await;
    let push = HttpServer::start_tls(Reply::status(201)).await;
    let trusted = std::env::temp_dir().join(format!("parley-hooks-{}.pem", std::process::id()));
    let certificates = [&hook, &push].map(|server| server.certificate.clone().unwrap());
    std::fs::write(&trusted, certificates.concat()).unwrap();
    let world = World::start(&[
        ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ("PARLEY_NOTIFY_PRIVATE_TARGETS", "true"),
        ("PARLEY_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("PARLEY_PUSH_VAPID_PRIVATE_KEY", VAPID_PRIVATE),
        ("PARLEY_PUSH_VAPID_PUBLIC_KEY", VAPID_PUBLIC),
        ("PARLEY_PUSH_CONTACT", "mailto:ops@chat.example"),
    ])
    .await;
    let (alice, bob) = (world.client("alice").await, world.client("bob").await);
    let at_hook = json!({"channel": "webhook", "address": format!("{}/hook", hook.url)});
    let (endpoint, state) = add(&bob, &at_hook).await;
    assert_eq!(state, "pending");
    let subscription = json!({
        "endpoint": format!("{}/push/bob", push.url),
        "keys": {"p256dh": BROWSER, "auth": "BTBZMqHH6r4Tts7J_aSIgg"},
    });
    let at_push = json!({"channel": "webpush", "subscription": subscription});
    assert_eq!(add(&bob, &at_push).await.1, "verified");
    // What the hook has got, in order, as far as it is believed.
    let got = || -> Vec<Value> {
        hook.seen().iter().map(|request| believed(request, WEBHOOK_SECRET.as_bytes())).collect()
    };
    let asked = eventually("the question", SOON, async || got().first().cloned()).await;
    assert_eq!(
        (&asked["type"], &asked["data"]["userId"]),
        (&json!("endpoint.verify"), &json!("bob"))
    );
    let link = asked["data"]["link"].as_str().unwrap();
    world.follow(Method::POST, link).await;
    until_states(&bob, &["verified", "verified"]).await;

    say(&alice, "d.alice.bob", "m-0").await;
    let told = eventually("a digest", SOON, async || got().get(1).cloned()).await;
    assert_eq!(told["type"], "notification.digest");
    assert_eq!(told["data"]["conversationId"], "d.alice.bob");
    let pushed = eventually("a push", SOON, async || push.seen().first().cloned()).await;
    assert_eq!((&*pushed.path, pushed.header("content-encoding")), ("/push/bob", "aes128gcm"));

    hook.next([Reply::status(410)]);
    push.next([Reply::status(410)]);
    say(&world.client("eve").await, "d.bob.eve", "m-0").await;
    until_states(&bob, &[]).await;
    let mut log = world.log("bob").await;
    log.retain(|kind| kind.starts_with("endpoint."));
    // Added twice, one of them a second time as verified; then both are gone.
    let expected = ["endpoint.added", "endpoint.added", "endpoint.added"].into_iter();
    assert_eq!(log, expected.chain(["endpoint.removed"; 2]).collect::<Vec<_>>());
    let pool = world.deployment.pool().await;
    eventually("nothing is left to do", SOON, async || {
        let left = sqlx::query_scalar("SELECT count(*) FROM dead_endpoints");
        let left: i64 = left.fetch_one(&pool).await.unwrap();
        (left == 0).then_some(())
    })
    .await;

    // Somebody is there again: that is a new endpoint.
    let (again, state) = add(&bob, &at_hook).await;
    assert_ne!(again, endpoint);
    assert_eq!(state, "pending");
    let asked = eventually("the question", SOON, async || got().get(3).cloned()).await;
    assert_eq!(asked["type"], "endpoint.verify");
    assert_ne!(asked["data"]["link"], link);
    std::fs::remove_file(trusted).unwrap();
}
