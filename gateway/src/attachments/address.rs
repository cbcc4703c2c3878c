//! Signed addresses: whoever has one may do one thing with one file for a while.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parley_domain::Timestamp;
use ring::hmac;
use uuid::Uuid;

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Put,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

/// Makes addresses, and knows them again.
pub struct Addresses {
    key: hmac::Key,
}

impl Addresses {
    pub fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Path and query, good until `expires_at`, in whole seconds.
    pub fn sign(&self, method: Method, id: Uuid, expires_at: Timestamp) -> String {
        let expires = expires_at.unix_millis().div_euclid(1_000);
        let tag = hmac::sign(&self.key, message(method, id, expires).as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(tag);
        format!("/v1/attachments/{id}/content?expires={expires}&signature={signature}")
    }

    /// Whether an address is one of ours, for this, and not over. In constant time.
    pub fn is_good(
        &self,
        method: Method,
        id: Uuid,
        expires: i64,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        let message = message(method, id, expires);
        hmac::verify(&self.key, message.as_bytes(), &signature).is_ok()
            && now.unix_millis().div_euclid(1_000) < expires
    }
}

/// The purpose comes first, so that nothing else that is signed with the key is an address.
fn message(method: Method, id: Uuid, expires: i64) -> String {
    format!("attachment\n{}\n{id}\n{expires}", method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

    fn parts(address: &str) -> (i64, String) {
        let (_, query) = address.split_once("?expires=").unwrap();
        let (expires, signature) = query.split_once("&signature=").unwrap();
        (expires.parse().unwrap(), signature.to_owned())
    }

    #[test]
    fn an_address_is_good_for_one_thing_and_a_while() {
        let addresses = Addresses::new(SECRET);
        let (id, now) = (Uuid::from_u128(7), Timestamp::from_unix_millis(1_000_000));
        let until = Timestamp::from_unix_millis(1_060_999);
        let (expires, signature) = parts(&addresses.sign(Method::Put, id, until));
        let good = |method, id, expires, signature: &str, now| {
            addresses.is_good(method, id, expires, signature, now)
        };
        assert!(good(Method::Put, id, expires, &signature, now));
        assert!(!good(Method::Get, id, expires, &signature, now));
        assert!(!good(Method::Put, Uuid::from_u128(8), expires, &signature, now));
        assert!(!good(Method::Put, id, expires + 1, &signature, now));
        assert!(!good(Method::Put, id, expires, &signature, until));
        for wrong in ["", "AAAA", "not base64!", &signature[1..]] {
            assert!(!good(Method::Put, id, expires, wrong, now), "{wrong}");
        }
        let others = Addresses::new(b"another secret of thirty-two bytes");
        assert!(!others.is_good(Method::Put, id, expires, &signature, now));
    }
}
