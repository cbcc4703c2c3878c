//! RFC 8292: the push service learns who sends.

use base64::Engine;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;
use url::Url;

use super::encryption::BASE64;

/// How long one signature is good for; push services take a day at most.
const TTL_SECONDS: i64 = 12 * 60 * 60;

/// Our key, and who we are.
pub struct Vapid {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// `mailto:` or `https:`, where a push service can reach us.
    subject: String,
}

/// A pair of keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a pair of VAPID keys in base64url")]
pub struct BadKeys;

impl Vapid {
    /// From base64url, as browsers and all tools write them: 32 bytes and an uncompressed point.
    ///
    /// # Errors
    /// If they do not belong together.
    pub fn new(private: &str, public: &str, subject: String) -> Result<Self, BadKeys> {
        let random = SystemRandom::new();
        let private = BASE64.decode(private.trim()).map_err(|_| BadKeys)?;
        let public = BASE64.decode(public.trim()).map_err(|_| BadKeys)?;
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private,
            &public,
            &random,
        )
        .map_err(|_| BadKeys)?;
        Ok(Self { key, random, subject })
    }

    /// What pages subscribe with (`applicationServerKey`).
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64.encode(self.key.public_key())
    }

    /// The `Authorization` of a push to this endpoint; `None` if the system gives no randomness.
    pub fn authorization(&self, endpoint: &Url, now_seconds: i64) -> Option<String> {
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now_seconds + TTL_SECONDS,
            "sub": self.subject,
        });
        let head = BASE64.encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{head}.{}", BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!("vapid t={signed}.{}, k={}", BASE64.encode(signature), self.public_key()))
    }
}

impl std::fmt::Debug for Vapid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vapid").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}
