//! What a receiver of webhooks does before it believes one, as standardwebhooks.com tells it to.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ring::hmac;

use super::Seen;

/// What is older may be a copy of somebody else.
const MAX_AGE_SECONDS: i64 = 60;

/// The body, if it is signed with `secret`, and lately.
///
/// # Panics
/// If it is not.
pub fn believed(request: &Seen, secret: &[u8]) -> serde_json::Value {
    let (id, time) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let body = std::str::from_utf8(&request.body).unwrap();
    let signature = request.header("webhook-signature").strip_prefix("v1,").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = format!("{id}.{time}.{body}");
    hmac::verify(&key, signed.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();
    let age = request.at.unix_millis() / 1_000 - time.parse::<i64>().unwrap();
    assert!((0..MAX_AGE_SECONDS).contains(&age), "{age}");
    serde_json::from_str(body).unwrap()
}
