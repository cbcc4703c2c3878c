//! Tokens for development: log in as anyone.
//!
//! They stand for the marketplace's tokens, but are signed with a key of their own, derived from
//! the session secret. So they survive a restart, need no configuration, and a gateway that is not
//! in development mode has no key that would accept one.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use parley_domain::{Scope, Timestamp, UserId};
use ring::hmac;
use serde::Serialize;

use super::{
    AuthError, Identity,
    keys::{Key, KeyError},
    marketplace,
    session::MintError,
};

/// The `typ` of a development token's header.
pub const TYP: &str = "parley-dev+jwt";
/// How long a development token lasts.
pub const TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Mints and checks development tokens.
pub struct DevTokens {
    key: Key,
    signing: EncodingKey,
}

impl std::fmt::Debug for DevTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevTokens").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a UserId,
    scope: Scope,
    iat: i64,
    exp: i64,
}

impl DevTokens {
    /// Of the deployment with this session secret.
    pub fn new(session_secret: &[u8]) -> Result<Self, KeyError> {
        super::crypto::install();
        let root = hmac::Key::new(hmac::HMAC_SHA256, session_secret);
        let derived = hmac::sign(&root, b"parley development tokens");
        let secret = derived.as_ref();
        Ok(Self { key: Key::hs256(secret)?, signing: EncodingKey::from_secret(secret) })
    }

    /// A token that says: this is `user`, with `scope`.
    pub fn mint(&self, user: &UserId, scope: Scope, now: Timestamp) -> Result<String, MintError> {
        let iat = now.unix_millis().div_euclid(1_000);
        let ttl = i64::try_from(TTL.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims { sub: user, scope, iat, exp: iat.saturating_add(ttl) };
        let header = Header { typ: Some(TYP.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|_| MintError)
    }

    pub(super) fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        marketplace::decode(token, &self.key, &validation)
    }
}
