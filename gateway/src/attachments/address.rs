//! Signed addresses: whoever has one may do one thing with one file for a while.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parley_domain::{Timestamp, UserId};
use ring::hmac;
use serde::Deserialize;
use uuid::Uuid;

/// Enough to tell people apart.
const PERSON_BYTES: usize = 9;

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

/// What a signed address says.
#[derive(Debug, Clone, Deserialize)]
pub struct Signed {
    /// Stands for the person it was given to, and tells nobody else who that is.
    pub by: String,
    /// In seconds since the Unix epoch.
    expires: i64,
    signature: String,
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
    pub fn sign(&self, method: Method, id: Uuid, by: &UserId, expires_at: Timestamp) -> String {
        let expires = expires_at.unix_millis().div_euclid(1_000);
        let by = self.person(by);
        let tag = hmac::sign(&self.key, message(method, id, &by, expires).as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(tag);
        format!("/v1/attachments/{id}/content?by={by}&expires={expires}&signature={signature}")
    }

    fn person(&self, user: &UserId) -> String {
        let tag = hmac::sign(&self.key, format!("person\n{user}").as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref().get(..PERSON_BYTES).unwrap_or_default())
    }

    /// Whether an address is one of ours, for this, and not over. In constant time.
    pub fn is_good(&self, method: Method, id: Uuid, signed: &Signed, now: Timestamp) -> bool {
        let Signed { by, expires, signature } = signed;
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        let message = message(method, id, by, *expires);
        hmac::verify(&self.key, message.as_bytes(), &signature).is_ok()
            && now.unix_millis().div_euclid(1_000) < *expires
    }
}

/// The purpose comes first, so that nothing else that is signed with the key is an address.
fn message(method: Method, id: Uuid, by: &str, expires: i64) -> String {
    format!("attachment\n{}\n{id}\n{expires}\n{by}", method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of thirty-two bytes, or more";

    fn signed(address: &str) -> Signed {
        let (_, query) = address.split_once('?').unwrap();
        let mut values = query.split('&').map(|pair| pair.split_once('=').unwrap().1);
        let mut next = || values.next().unwrap().to_owned();
        Signed { by: next(), expires: next().parse().unwrap(), signature: next() }
    }

    #[test]
    fn an_address_is_good_for_one_thing_and_a_while() {
        let addresses = Addresses::new(SECRET);
        let (id, now) = (Uuid::from_u128(7), Timestamp::from_unix_millis(1_000_000));
        let until = Timestamp::from_unix_millis(1_060_999);
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let good = signed(&addresses.sign(Method::Put, id, &ann, until));
        assert!(addresses.is_good(Method::Put, id, &good, now));
        assert!(!addresses.is_good(Method::Get, id, &good, now));
        assert!(!addresses.is_good(Method::Put, Uuid::from_u128(8), &good, now));
        assert!(!addresses.is_good(Method::Put, id, &good, until));
        let bobs = signed(&addresses.sign(Method::Put, id, &bob, until));
        assert_ne!(bobs.by, good.by);
        for bad in [
            Signed { expires: good.expires + 1, ..good.clone() },
            Signed { by: bobs.by, ..good.clone() },
            Signed { by: String::new(), ..good.clone() },
            Signed { signature: String::new(), ..good.clone() },
            Signed { signature: "AAAA".to_owned(), ..good.clone() },
            Signed { signature: "not base64!".to_owned(), ..good.clone() },
            Signed { signature: good.signature[1..].to_owned(), ..good.clone() },
        ] {
            assert!(!addresses.is_good(Method::Put, id, &bad, now), "{bad:?}");
        }
        let others = Addresses::new(b"another secret of thirty-two bytes");
        assert!(!others.is_good(Method::Put, id, &good, now));
    }
}
