//! The gateway's own tokens: one device of one person, for some hours.
//!
//! Every gateway of a deployment has the same secret, so a session goes on at any of them.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use parley_domain::{DeviceId, Scope, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    AuthError, Identity,
    keys::{Key, KeyError},
    marketplace::refusal,
};

/// The `typ` of a session token's header.
pub const TYP: &str = "parley-session+jwt";
const ISSUER: &str = "parley/gateway";

/// Mints and checks session tokens.
pub struct Sessions {
    key: Key,
    signing: EncodingKey,
    ttl: Duration,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: UserId,
    device: DeviceId,
    /// [`Identity::registration`].
    registration: u64,
    scope: Scope,
    iat: i64,
    exp: i64,
}

/// A new session.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    pub token: String,
    pub expires_at: Timestamp,
}

/// A session token that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("a session token could not be signed")]
pub struct MintError;

impl Sessions {
    /// `ttl` is how long a session lasts.
    pub fn new(secret: &[u8], ttl: Duration) -> Result<Self, KeyError> {
        super::crypto::install();
        Ok(Self { key: Key::hs256(secret)?, signing: EncodingKey::from_secret(secret), ttl })
    }

    /// A token for this device of the caller, linked since the account event `registration`.
    ///
    /// A session renewed by its own token ends no later than before: only the marketplace can
    /// say that a person may stay.
    pub fn mint(
        &self,
        caller: &Identity,
        device: &DeviceId,
        registration: u64,
        now: Timestamp,
    ) -> Result<Session, MintError> {
        let now_seconds = now.unix_millis().div_euclid(1_000);
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let mut exp = now_seconds.saturating_add(ttl);
        if caller.device_id.is_some() {
            exp = exp.min(caller.expires_at.unix_millis().div_euclid(1_000));
        }
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: caller.user_id.clone(),
            device: device.clone(),
            registration,
            scope: caller.scope,
            iat: now_seconds,
            exp,
        };
        let header = Header { typ: Some(TYP.to_owned()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|_| MintError)?;
        let expires_at = Timestamp::from_unix_millis(exp.saturating_mul(1_000));
        Ok(Session { token, expires_at })
    }

    pub(super) fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The gateways' own clock: no leeway.
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let data = jsonwebtoken::decode::<Claims>(token, &self.key.decoding, &validation)
            .map_err(|error| refusal(&error))?;
        if data.header.typ.as_deref() != Some(TYP) {
            return Err(AuthError::Invalid);
        }
        let claims = data.claims;
        Ok(Identity {
            user_id: claims.sub,
            device_id: Some(claims.device),
            registration: Some(claims.registration),
            scope: claims.scope,
            expires_at: Timestamp::from_unix_millis(claims.exp.saturating_mul(1_000)),
        })
    }
}
