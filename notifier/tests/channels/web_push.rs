//! Web push to a browser that decrypts what it gets, with another implementation of the curve.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use p256::{
    PublicKey, SecretKey,
    ecdh::diffie_hellman,
    ecdsa::{Signature, VerifyingKey, signature::Verifier},
    elliptic_curve::sec1::ToEncodedPoint,
};
use parley_notifier::{
    channels::{Address, Channels, Endpoint},
    notice::Proof,
    testing::{HttpServer, Reply, Seen},
};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use serde_json::{Value, json};

use crate::{
    email::kind,
    support::{channels, close, digest, endpoint, now, verify},
};

/// A browser with a subscription.
struct Browser {
    key: SecretKey,
    auth: [u8; 16],
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf(salt: &[u8], input: &[u8], info: &[u8], bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    let info = [info];
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(input);
    pseudorandom.expand(&info, Bytes(bytes)).unwrap().fill(&mut out).unwrap();
    out
}

fn public(key: &SecretKey) -> Vec<u8> {
    key.public_key().to_encoded_point(false).as_bytes().to_vec()
}

impl Browser {
    fn new(seed: u8) -> Self {
        Self { key: SecretKey::from_slice(&[seed; 32]).unwrap(), auth: [seed; 16] }
    }

    fn at(&self, url: &str) -> Endpoint {
        endpoint(Address::WebPush {
            endpoint: url.to_owned(),
            p256dh: BASE64.encode(public(&self.key)),
            auth: BASE64.encode(self.auth),
        })
    }

    /// RFC 8188 and RFC 8291, from the receiving side.
    fn decrypt(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (record, rest) = rest.split_at(4);
        assert_eq!(record, 4_096_u32.to_be_bytes());
        let (theirs, sealed) = rest[1..].split_at(usize::from(rest[0]));
        let their_key = PublicKey::from_sec1_bytes(theirs).unwrap();
        let shared = diffie_hellman(self.key.to_nonzero_scalar(), their_key.as_affine());
        let info = [b"WebPush: info\0".as_slice(), &public(&self.key), theirs].concat();
        let input = hkdf(&self.auth, shared.raw_secret_bytes(), &info, 32);
        let key = hkdf(salt, &input, b"Content-Encoding: aes128gcm\0", 16);
        let nonce = hkdf(salt, &input, b"Content-Encoding: nonce\0", 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        let (last, text) = plain.split_last().unwrap();
        assert_eq!(*last, 2);
        serde_json::from_slice(text).unwrap()
    }
}

fn server_key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn sender(more: &[(&str, &str)]) -> Channels {
    let key = server_key();
    let (private, public) = (BASE64.encode(key.to_bytes()), BASE64.encode(public(&key)));
    let mut variables = vec![
        ("PARLEY_PUSH_VAPID_PRIVATE_KEY", private.as_str()),
        ("PARLEY_PUSH_VAPID_PUBLIC_KEY", public.as_str()),
        ("PARLEY_PUSH_CONTACT", "mailto:ops@chat.example"),
        ("PARLEY_PUSH_TTL_SECONDS", "3600"),
    ];
    variables.extend(more);
    channels(&variables)
}

/// The claims of a request's VAPID token, checked.
fn claims(request: &Seen) -> Value {
    let header = request.header("authorization").strip_prefix("vapid t=").unwrap();
    let (token, key) = header.split_once(", k=").unwrap();
    let key = BASE64.decode(key).unwrap();
    assert_eq!(key, public(&server_key()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&BASE64.decode(signature).unwrap()).unwrap();
    VerifyingKey::from_sec1_bytes(&key).unwrap().verify(signed.as_bytes(), &signature).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(BASE64.decode(head).unwrap(), br#"{"typ":"JWT","alg":"ES256"}"#);
    serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_browser_reads_what_was_sent() {
    let server = HttpServer::start(Reply::status(201)).await;
    let browser = Browser::new(3);
    let to = browser.at(&format!("{}/push/abc", server.url));
    let channels = sender(&[]);
    channels.send(&to, &digest(7)).await.unwrap();
    channels.send(&to, &close(7)).await.unwrap();
    let [shown, closed] = server.seen().try_into().unwrap();
    assert_eq!(shown.path, "/push/abc");
    assert_eq!(shown.header("content-encoding"), "aes128gcm");
    assert_eq!(shown.header("ttl"), "3600");
    assert_eq!(shown.header("urgency"), "high");
    let mut payload = browser.decrypt(&shown.body);
    assert!(payload["at"].take().is_string());
    assert_eq!(
        payload,
        json!({
            "type": "digest",
            "notificationId": "00000000-0000-0000-0000-000000000007",
            "conversationId": "d.alice.bob",
            "tag": "d.alice.bob",
            "title": "20 new messages from Alice",
            "body": "Is the bike still there?",
            "link": "https://chat.example/#/c/d.alice.bob",
            "messages": 20,
            "at": null,
        })
    );
    // It takes the place of the first, if that is still on its way, and of what is shown.
    let payload = browser.decrypt(&closed.body);
    assert_eq!((&payload["type"], &payload["tag"]), (&json!("close"), &json!("d.alice.bob")));
    assert_eq!(shown.header("topic"), closed.header("topic"));
    assert!((1..=32).contains(&shown.header("topic").len()));

    let claims = claims(&shown);
    assert_eq!(claims["aud"], server.url);
    assert_eq!(claims["sub"], "mailto:ops@chat.example");
    let ends = claims["exp"].as_i64().unwrap() - now().unix_millis() / 1_000;
    assert!((1..=86_400).contains(&ends), "{ends}");
}

#[tokio::test]
async fn no_two_pushes_have_the_same_key() {
    let server = HttpServer::start(Reply::status(201)).await;
    let to = Browser::new(3).at(&server.url);
    let channels = sender(&[]);
    for _ in 0..2 {
        channels.send(&to, &close(1)).await.unwrap();
    }
    let [one, other] = server.seen().try_into().unwrap();
    // Salt, and the public half of the key.
    assert_ne!(one.body[..16], other.body[..16]);
    assert_ne!(one.body[21..86], other.body[21..86]);
}

#[tokio::test]
async fn the_push_services_answers_are_told_apart() {
    let server = HttpServer::start(Reply::status(201)).await;
    let to = Browser::new(3).at(&server.url);
    for (reply, expected) in [
        (Reply::status(404), "EndpointDead"),
        (Reply::status(410), "EndpointDead"),
        (Reply::status(400), "GiveUp"),
        (Reply::status(403), "GiveUp"),
        (Reply::status(413), "GiveUp"),
        (Reply::status(429), "Retry"),
        (Reply::status(500), "Retry"),
        (Reply::status(503), "Retry"),
        (Reply::Hang, "Retry"),
        (Reply::Drop, "Retry"),
        // Nobody follows: it could lead inside.
        (Reply::Status(307, &[("location", "http://127.0.0.1:1/")], String::new()), "GiveUp"),
    ] {
        server.next([reply.clone()]);
        let failed = sender(&[]).send(&to, &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), expected, "{reply:?}: {failed:?}");
    }
    server.next([Reply::Status(429, &[("retry-after", "17")], String::new())]);
    let failed = sender(&[]).send(&to, &digest(1)).await.unwrap_err();
    assert_eq!(failed.after().map(|wait| wait.as_secs()), Some(17));
}

#[tokio::test]
async fn one_push_service_that_is_away_does_not_stop_another() {
    let (away, well) =
        (HttpServer::start(Reply::status(503)).await, HttpServer::start(Reply::status(201)).await);
    let browser = Browser::new(3);
    let channels = sender(&[("PARLEY_NOTIFY_BREAKER_FAILURES", "2")]);
    for round in 0..10 {
        let failed = channels.send(&browser.at(&away.url), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), if round < 2 { "Retry" } else { "Wait" });
        channels.send(&browser.at(&well.url), &digest(1)).await.unwrap();
    }
    assert_eq!((away.seen().len(), well.seen().len()), (2, 10));
}

#[tokio::test]
async fn nothing_is_sent_into_the_operators_network() {
    let server = HttpServer::start(Reply::status(201)).await;
    let channels = sender(&[("PARLEY_NOTIFY_PRIVATE_TARGETS", "false")]);
    let browser = Browser::new(3);
    let port = server.url.rsplit_once(':').unwrap().1;
    for url in [
        server.url.clone(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not an address".to_owned(),
    ] {
        let failed = channels.send(&browser.at(&url), &digest(1)).await.unwrap_err();
        assert_eq!(kind(&failed), "GiveUp", "{url}: {failed:?}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn keys_that_are_none_are_given_up_and_a_subscription_needs_no_proof() {
    let server = HttpServer::start(Reply::status(201)).await;
    let channels = sender(&[]);
    let broken = endpoint(Address::WebPush {
        endpoint: server.url.clone(),
        p256dh: BASE64.encode([4; 65]),
        auth: BASE64.encode([1; 16]),
    });
    let failed = channels.send(&broken, &digest(1)).await.unwrap_err();
    assert_eq!(kind(&failed), "GiveUp", "{failed:?}");
    let what = verify(1, Proof::Code("1".to_owned()));
    let failed = channels.send(&Browser::new(3).at(&server.url), &what).await.unwrap_err();
    assert_eq!(kind(&failed), "GiveUp", "{failed:?}");
    assert!(server.seen().is_empty());
}
