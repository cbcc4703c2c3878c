//! The marketplace's own tokens.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation, errors::ErrorKind};
use parley_domain::{Scope, Timestamp, UserId};
use serde::Deserialize;

use super::{
    AuthError, Identity,
    jwks::Jwks,
    keys::{Key, KeySet},
};

#[derive(Debug)]
pub(super) struct Marketplace {
    keys: KeySet,
    jwks: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: Duration,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    pub sub: String,
    /// NumericDate: RFC 7519 allows a fraction.
    pub exp: f64,
    #[serde(default)]
    pub scope: Option<Scope>,
}

impl Claims {
    pub(super) fn identity(self) -> Result<Identity, AuthError> {
        Ok(Identity {
            user_id: UserId::parse(&self.sub).map_err(|_| AuthError::Subject)?,
            device_id: None,
            registration: None,
            scope: self.scope.unwrap_or(Scope::User),
            // Saturates, and `Timestamp` clamps: a far-off expiry is the end of time.
            expires_at: Timestamp::from_unix_millis((self.exp * 1_000.0) as i64),
        })
    }
}

impl Marketplace {
    pub(super) fn new(
        keys: KeySet,
        jwks: Option<Jwks>,
        issuer: Option<String>,
        audience: Option<String>,
        leeway: Duration,
    ) -> Self {
        Self { keys, jwks, issuer, audience, leeway }
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty() || self.jwks.as_ref().is_none_or(Jwks::has_keys)
    }

    pub(super) async fn refresh(&self) {
        match &self.jwks {
            Some(jwks) => jwks.refresh_for_ever().await,
            None => std::future::pending().await,
        }
    }

    /// Checks with the keys at hand.
    pub(super) fn verify_now(&self, token: &str, header: &Header) -> Result<Identity, AuthError> {
        // RFC 7515: what is critical and not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(AuthError::Invalid);
        }
        let kid = header.kid.as_deref();
        match (self.try_keys(&self.keys, token, kid, header.alg), &self.jwks) {
            // No fixed key has signed it: the marketplace's newest keys may have.
            (Err(AuthError::Invalid), Some(jwks)) => {
                self.try_keys(&jwks.current(), token, kid, header.alg)
            }
            (result, _) => result,
        }
    }

    /// Checks, and fetches keys if none at hand is named as the token's.
    pub(super) async fn verify(&self, token: &str, header: &Header) -> Result<Identity, AuthError> {
        let result = self.verify_now(token, header);
        let Some(jwks) = &self.jwks else {
            return result;
        };
        if result != Err(AuthError::Invalid) || header.crit.is_some() {
            return result;
        }
        let kid = header.kid.as_deref();
        let keys = jwks.keys_for(kid, header.alg).await;
        let result = self.try_keys(&keys, token, kid, header.alg);
        if result.is_err() && !self.has_keys() {
            return Err(AuthError::KeysUnavailable);
        }
        result
    }

    fn try_keys(
        &self,
        keys: &KeySet,
        token: &str,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Identity, AuthError> {
        for key in keys.candidates(kid, algorithm) {
            match self.try_key(key, token) {
                // Another key of the same algorithm may still fit.
                Err(AuthError::Invalid) => {}
                result => return result,
            }
        }
        Err(AuthError::Invalid)
    }

    fn try_key(&self, key: &Key, token: &str) -> Result<Identity, AuthError> {
        // Exactly the key's algorithm: a token that names another one is refused unread.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        match &self.issuer {
            Some(issuer) => {
                validation.set_issuer(&[issuer]);
                validation.required_spec_claims.insert("iss".to_owned());
            }
            None => validation.iss = None,
        }
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        decode(token, key, &validation)
    }
}

/// Checks the signature and the registered claims, then reads who it is.
pub(super) fn decode(
    token: &str,
    key: &Key,
    validation: &Validation,
) -> Result<Identity, AuthError> {
    jsonwebtoken::decode::<Claims>(token, &key.decoding, validation)
        .map_err(|error| refusal(&error))?
        .claims
        .identity()
}

/// The library's error without its details, which may repeat a part of the token.
pub(super) fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    if matches!(error.kind(), ErrorKind::ExpiredSignature) {
        AuthError::Expired
    } else {
        AuthError::Invalid
    }
}
