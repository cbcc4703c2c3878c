//! Who is calling: the marketplace's tokens, the gateway's own session tokens, and the cookie.
//!
//! Two sorts of token, told apart by the signed header's `typ` and never accepted as each other:
//! - the **marketplace's** JWT, checked with the keys that the marketplace publishes ([`keys`]);
//! - the gateway's **session** token ([`session`]), minted by bootstrap and bound to a device.
//!
//! Architecture invariant: the algorithm of a check comes from the key, never from the token.
//! Tokens are never logged, and no error repeats any part of one.

pub mod cookie;
mod crypto;
pub mod dev;
pub mod jwks;
pub mod keys;
mod marketplace;
pub mod origin;
pub mod request;
pub mod session;

use std::time::Duration;

use parley_domain::{Actor, DeviceId, Scope, Timestamp, UserId};

use self::{dev::DevTokens, jwks::Jwks, marketplace::Marketplace};
pub use self::{
    keys::{Key, KeySet},
    origin::Origins,
    session::Sessions,
};

/// A caller whose token has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user_id: UserId,
    /// The device that a session token is bound to; a marketplace token names none.
    pub device_id: Option<DeviceId>,
    /// The version of the account event that linked this device, if the token is a session's: the
    /// session is over with that registration.
    pub registration: Option<u64>,
    pub scope: Scope,
    /// From this moment on the token is worth nothing.
    pub expires_at: Timestamp,
}

impl Identity {
    /// The caller as the domain knows them.
    pub fn actor(&self) -> Actor {
        Actor {
            user_id: self.user_id.clone(),
            device_id: self.device_id.clone(),
            scope: self.scope,
            is_discreet: false,
        }
    }
}

/// Why a caller is not who they would need to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("a bearer token or the session cookie is needed")]
    Missing,
    #[error("the Authorization header is not `Bearer <token>`")]
    Scheme,
    #[error("the token is not one that this server accepts")]
    Invalid,
    #[error("the token has expired")]
    Expired,
    #[error("the device was unlinked: its sessions are over")]
    Unlinked,
    #[error("the token's sub is not a userId")]
    Subject,
    #[error("the keys of the marketplace cannot be fetched at the moment")]
    KeysUnavailable,
    #[error("the request comes from an origin that is not on the allow list")]
    Origin,
}

impl AuthError {
    /// Whether the caller has shown nothing that names anybody: what guessing looks like.
    pub fn is_of_a_stranger(self) -> bool {
        match self {
            Self::Missing | Self::Scheme | Self::Invalid | Self::Expired | Self::Subject => true,
            Self::Unlinked | Self::KeysUnavailable | Self::Origin => false,
        }
    }
}

/// What tokens are checked with; one a gateway.
#[derive(Debug)]
pub struct Authenticator {
    marketplace: Marketplace,
    sessions: Sessions,
    dev: Option<DevTokens>,
}

/// What [`Authenticator`] needs to know.
#[derive(Debug)]
pub struct AuthenticatorConfig {
    /// Keys that do not change while the gateway runs.
    pub keys: KeySet,
    /// Keys fetched from the marketplace.
    pub jwks: Option<Jwks>,
    /// The only `iss` that is accepted, if set.
    pub issuer: Option<String>,
    /// The `aud` that must be among the token's, if set.
    pub audience: Option<String>,
    /// How far the marketplace's clock may be off.
    pub leeway: Duration,
    pub sessions: Sessions,
    /// Accept the tokens of `POST /dev/token`.
    pub dev: Option<DevTokens>,
}

/// Whose token it claims to be.
enum Sort {
    /// The gateway's own, with the result of the check.
    Own(Result<Identity, AuthError>),
    Marketplace(Box<jsonwebtoken::Header>),
}

impl Authenticator {
    pub fn new(config: AuthenticatorConfig) -> Self {
        crypto::install();
        Self {
            marketplace: Marketplace::new(
                config.keys,
                config.jwks,
                config.issuer,
                config.audience,
                config.leeway,
            ),
            sessions: config.sessions,
            dev: config.dev,
        }
    }

    /// Checks a token, of whichever sort. Waits only if a key has to be fetched for it.
    pub async fn bearer(&self, token: &str) -> Result<Identity, AuthError> {
        match self.sort(token)? {
            Sort::Own(result) => result,
            Sort::Marketplace(header) => self.marketplace.verify(token, &header).await,
        }
    }

    /// As [`Self::bearer`], with the keys at hand: for a `hello`, whose token is mostly a session's.
    pub fn bearer_now(&self, token: &str) -> Result<Identity, AuthError> {
        match self.sort(token)? {
            Sort::Own(result) => result,
            Sort::Marketplace(header) => self.marketplace.verify_now(token, &header),
        }
    }

    /// By the header's `typ`, which only says which key must have signed it.
    fn sort(&self, token: &str) -> Result<Sort, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        Ok(match header.typ.as_deref() {
            Some(session::TYP) => Sort::Own(self.sessions.verify(token)),
            Some(dev::TYP) => Sort::Own(match &self.dev {
                Some(dev) => dev.verify(token),
                None => Err(AuthError::Invalid),
            }),
            _ => Sort::Marketplace(Box::new(header)),
        })
    }

    /// Checks a token that must be a session token, as the cookie's must.
    pub fn session(&self, token: &str) -> Result<Identity, AuthError> {
        self.sessions.verify(token)
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub fn dev(&self) -> Option<&DevTokens> {
        self.dev.as_ref()
    }

    /// Whether the marketplace's tokens can be checked: false until its keys were fetched once.
    pub fn has_keys(&self) -> bool {
        self.marketplace.has_keys()
    }

    /// Keeps the marketplace's keys fresh for as long as it is polled.
    pub async fn refresh_keys(&self) {
        self.marketplace.refresh().await;
    }
}

#[cfg(test)]
mod tests;
