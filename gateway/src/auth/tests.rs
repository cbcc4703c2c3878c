//! What is accepted as whom, and everything that must not be.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8] = b"marketplace-secret-of-32-bytes-or-more";
const SESSION_SECRET: &[u8] = b"session-secret-of-32-bytes-or-more-too";

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(i64::try_from(now.as_millis()).unwrap())
}

fn in_seconds(seconds: i64) -> i64 {
    now().unix_millis() / 1_000 + seconds
}

fn config(keys: KeySet) -> AuthenticatorConfig {
    AuthenticatorConfig {
        keys,
        jwks: None,
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(5),
        sessions: Sessions::new(SESSION_SECRET, Duration::from_secs(3_600)).unwrap(),
        dev: None,
    }
}

fn hs256() -> Authenticator {
    Authenticator::new(config([Key::hs256(SECRET).unwrap()].into_iter().collect()))
}

fn ed25519() -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    // The SubjectPublicKeyInfo of RFC 8410 is this prefix and the key.
    let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
    der.extend_from_slice(pair.public_key().as_ref());
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    (pair, format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"))
}

/// A token with any header, signed by any means.
fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn hmac_with(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> + use<> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    move |message| ring::hmac::sign(&key, message).as_ref().to_vec()
}

fn alice(claims: &Value) -> String {
    token(&json!({"alg":"HS256","typ":"JWT"}), claims, hmac_with(SECRET))
}

#[tokio::test]
async fn the_marketplaces_token_says_who_it_is() {
    let exp = in_seconds(60);
    let identity = hs256().bearer(&alice(&json!({"sub":"alice","exp":exp}))).await.unwrap();
    let expected = Identity {
        user_id: UserId::parse("alice").unwrap(),
        device_id: None,
        registration: None,
        scope: Scope::User,
        expires_at: Timestamp::from_unix_millis(exp * 1_000),
    };
    assert_eq!(identity, expected);
    let service = alice(&json!({"sub":"alice","exp":exp,"scope":"service","other":[1]}));
    assert_eq!(hs256().bearer(&service).await.unwrap().scope, Scope::Service);
    // Neither typ nor whole seconds are required.
    let claims = json!({"sub":"alice","exp":(exp as f64) + 0.5});
    let bare = token(&json!({"alg":"HS256"}), &claims, hmac_with(SECRET));
    assert!(hs256().bearer(&bare).await.is_ok());
}

#[tokio::test]
async fn what_is_expired_unfinished_or_foreign_is_refused() {
    let authenticator = hs256();
    let late = in_seconds(60);
    for (claims, error) in [
        (json!({"sub":"alice","exp":in_seconds(-6)}), AuthError::Expired),
        (json!({"sub":"alice","exp":0}), AuthError::Expired),
        (json!({"sub":"alice"}), AuthError::Invalid),
        (json!({"exp":late}), AuthError::Invalid),
        (json!({"sub":"alice","exp":"tomorrow"}), AuthError::Invalid),
        (json!({"sub":"alice","exp":late,"nbf":late}), AuthError::Invalid),
        (json!({"sub":"alice","exp":late,"scope":"root"}), AuthError::Invalid),
        (json!({"sub":"a.b","exp":late}), AuthError::Subject),
        (json!({"sub":"","exp":late}), AuthError::Subject),
        (json!({"sub":"a".repeat(65),"exp":late}), AuthError::Subject),
    ] {
        assert_eq!(authenticator.bearer(&alice(&claims)).await, Err(error), "{claims}");
    }
    // Within the leeway a clock may be off.
    let just_over = alice(&json!({"sub":"alice","exp":in_seconds(-2)}));
    assert!(authenticator.bearer(&just_over).await.is_ok());
    for garbage in ["", ".", "..", "a.b.c", "ey", "\u{0}", &"x".repeat(10_000)] {
        assert_eq!(authenticator.bearer(garbage).await, Err(AuthError::Invalid));
    }
}

#[tokio::test]
async fn a_token_cannot_choose_how_it_is_checked() {
    let (pair, pem) = ed25519();
    let claims = json!({"sub":"alice","exp":in_seconds(60)});
    let by_key =
        Authenticator::new(config([Key::ed25519_pem(&pem).unwrap()].into_iter().collect()));
    let good =
        token(&json!({"alg":"EdDSA"}), &claims, |message| pair.sign(message).as_ref().to_vec());
    assert!(by_key.bearer(&good).await.is_ok());
    // The public key, known to all, as an HMAC secret: in each of its spellings.
    for secret in [pem.as_bytes(), pem.trim().as_bytes(), pair.public_key().as_ref()] {
        let forged = token(&json!({"alg":"HS256"}), &claims, hmac_with(secret));
        assert_eq!(by_key.bearer(&forged).await, Err(AuthError::Invalid));
    }
    for algorithm in ["none", "None", "NONE", "", "HS384", "HS512", "RS256", "ES256"] {
        let header = json!({"alg":algorithm});
        let unsigned = token(&header, &claims, |_| Vec::new());
        assert_eq!(by_key.bearer(&unsigned).await, Err(AuthError::Invalid), "{algorithm}");
        let signed = token(&header, &claims, hmac_with(SECRET));
        assert_eq!(hs256().bearer(&signed).await, Err(AuthError::Invalid), "{algorithm}");
    }
    let other_key = token(&json!({"alg":"HS256"}), &claims, hmac_with(&[1; 32]));
    assert_eq!(hs256().bearer(&other_key).await, Err(AuthError::Invalid));
    let cut = alice(&claims);
    assert_eq!(hs256().bearer(&cut[..cut.len() - 1]).await, Err(AuthError::Invalid));
    let critical = json!({"alg":"HS256","crit":["b64"],"b64":false});
    let critical = token(&critical, &claims, hmac_with(SECRET));
    assert_eq!(hs256().bearer(&critical).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn a_session_is_of_one_device_and_ends() {
    let authenticator = hs256();
    let device = DeviceId::parse("dev_1").unwrap();
    let caller = authenticator
        .bearer(&alice(&json!({"sub":"alice","exp":in_seconds(60),"scope":"service"})))
        .await
        .unwrap();
    let session = authenticator.sessions().mint(&caller, &device, 7, now()).unwrap();
    let identity = authenticator.bearer(&session.token).await.unwrap();
    assert_eq!(identity.device_id, Some(device.clone()));
    assert_eq!((identity.registration, caller.registration), (Some(7), None));
    assert_eq!(identity.user_id, caller.user_id);
    assert_eq!(identity.scope, Scope::Service);
    assert_eq!(identity.expires_at, session.expires_at);
    assert_eq!(authenticator.session(&session.token), Ok(identity.clone()));
    // A session outlives the marketplace's token, but not itself by renewing.
    assert!(session.expires_at > caller.expires_at);
    let long_ago = Timestamp::from_unix_millis(now().unix_millis() - 3_601_000);
    let renewed = authenticator.sessions().mint(&identity, &device, 7, now()).unwrap();
    assert!(renewed.expires_at <= session.expires_at);
    let over = authenticator.sessions().mint(&caller, &device, 7, long_ago).unwrap();
    assert_eq!(authenticator.bearer(&over.token).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn session_and_marketplace_tokens_are_never_taken_for_each_other() {
    let authenticator = hs256();
    let claims = json!({
        "iss":"parley/gateway","sub":"alice","device":"dev_1","scope":"user",
        "iat":in_seconds(0),"exp":in_seconds(60)
    });
    let session_header = json!({"alg":"HS256","typ":session::TYP});
    // Signed by the marketplace, dressed as a session.
    let dressed = token(&session_header, &claims, hmac_with(SECRET));
    assert_eq!(authenticator.bearer(&dressed).await, Err(AuthError::Invalid));
    // Signed as a session, dressed as the marketplace's.
    let dressed = token(&json!({"alg":"HS256","typ":"JWT"}), &claims, hmac_with(SESSION_SECRET));
    assert_eq!(authenticator.bearer(&dressed).await, Err(AuthError::Invalid));
    assert_eq!(authenticator.session(&dressed), Err(AuthError::Invalid));
    // A marketplace token is no cookie.
    assert_eq!(authenticator.session(&alice(&claims)), Err(AuthError::Invalid));
    // A session of another issuer, or of no device, is none.
    for (name, value) in [("iss", json!("other")), ("iss", json!(null)), ("device", json!(null))] {
        let mut claims = claims.clone();
        claims[name] = value;
        let forged = token(&session_header, &claims, hmac_with(SESSION_SECRET));
        assert_eq!(authenticator.bearer(&forged).await, Err(AuthError::Invalid), "{claims}");
    }
}

#[tokio::test]
async fn development_tokens_work_in_development_only() {
    let dev = DevTokens::new(SESSION_SECRET).unwrap();
    let minted = dev.mint(&UserId::parse("alice").unwrap(), Scope::Service, now()).unwrap();
    assert_eq!(hs256().bearer(&minted).await, Err(AuthError::Invalid));
    let mut development = config(KeySet::default());
    development.dev = Some(DevTokens::new(SESSION_SECRET).unwrap());
    let identity = Authenticator::new(development).bearer(&minted).await.unwrap();
    assert_eq!((identity.user_id.as_str(), identity.scope), ("alice", Scope::Service));
}

#[tokio::test]
async fn issuer_and_audience_are_checked_when_configured() {
    let strict = Authenticator::new(AuthenticatorConfig {
        issuer: Some("https://id.example".to_owned()),
        audience: Some("parley".to_owned()),
        ..config([Key::hs256(SECRET).unwrap()].into_iter().collect())
    });
    let exp = in_seconds(60);
    for (accepted, claims) in [
        (true, json!({"sub":"a","exp":exp,"iss":"https://id.example","aud":"parley"})),
        (true, json!({"sub":"a","exp":exp,"iss":"https://id.example","aud":["x","parley"]})),
        (false, json!({"sub":"a","exp":exp,"iss":"https://id.example","aud":"x"})),
        (false, json!({"sub":"a","exp":exp,"iss":"https://id.example"})),
        (false, json!({"sub":"a","exp":exp,"iss":"https://evil.example","aud":"parley"})),
        (false, json!({"sub":"a","exp":exp,"aud":"parley"})),
    ] {
        assert_eq!(strict.bearer(&alice(&claims)).await.is_ok(), accepted, "{claims}");
    }
    // Without configuration a token may say what it likes.
    let claims = json!({"sub":"a","exp":exp,"iss":"any","aud":["any"]});
    assert!(hs256().bearer(&alice(&claims)).await.is_ok());
}

#[tokio::test]
async fn a_key_set_gives_keys_by_name_and_no_secrets() {
    let (pair, _) = ed25519();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let good = json!({"kty":"OKP","crv":"Ed25519","kid":"2026","use":"sig","x":x});
    let set = json!({"keys":[
        {"kty":"oct","kid":"shared","alg":"HS256","k":URL_SAFE_NO_PAD.encode(SECRET)},
        {"kty":"RSA","kid":"enc","use":"enc","alg":"RSA-OAEP","n":"AQAB","e":"AQAB"},
        {"kty":"quantum","kid":"q"},
        good,
    ]});
    let keys = KeySet::from_jwks(set.to_string().as_bytes()).unwrap();
    let authenticator = Authenticator::new(config(keys));
    let claims = json!({"sub":"alice","exp":in_seconds(60)});
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    for (header, accepted) in [
        (json!({"alg":"EdDSA","kid":"2026"}), true),
        (json!({"alg":"EdDSA"}), true),
        (json!({"alg":"EdDSA","kid":"2025"}), false),
    ] {
        let signed = token(&header, &claims, sign);
        assert_eq!(authenticator.bearer(&signed).await.is_ok(), accepted, "{header}");
    }
    let by_secret = token(&json!({"alg":"HS256","kid":"shared"}), &claims, hmac_with(SECRET));
    assert_eq!(authenticator.bearer(&by_secret).await, Err(AuthError::Invalid));
    // A key that claims another algorithm than its kind can do is left out.
    let mut odd = good;
    odd["alg"] = json!("HS256");
    for useless in [json!({"keys":[odd]}), json!({"keys":[]}), json!({}), json!(null)] {
        assert!(KeySet::from_jwks(useless.to_string().as_bytes()).is_err(), "{useless}");
    }
}

#[test]
fn weak_or_wrong_keys_are_refused() {
    assert!(Key::hs256(&[0; 31]).is_err());
    assert!(Sessions::new(b"short", Duration::from_secs(1)).is_err());
    assert!(Key::ed25519_pem("").is_err());
    assert!(
        Key::ed25519_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----").is_err()
    );
}
