//! How tokens are checked.

use std::time::Duration;

use axum::http::Uri;
use parley_runtime::config::Env;

use crate::auth::{
    Key, KeySet,
    jwks::JwksConfig,
    keys::{KeyError, MIN_SECRET_BYTES},
};

/// What the marketplace and the gateways sign with.
pub struct AuthConfig {
    /// Keys that do not change while the gateway runs.
    pub keys: KeySet,
    pub jwks: Option<JwksConfig>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub leeway: Duration,
    /// The same at every gateway of a deployment.
    pub session_secret: Vec<u8>,
    pub session_ttl: Duration,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("jwks", &self.jwks)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("session_ttl", &self.session_ttl)
            .finish_non_exhaustive()
    }
}

const HS256: &str = "PARLEY_JWT_HS256_SECRET";
const ED25519: &str = "PARLEY_JWT_ED25519_PUBLIC_KEY";
const ED25519_FILE: &str = "PARLEY_JWT_ED25519_PUBLIC_KEY_FILE";
const JWKS_FILE: &str = "PARLEY_JWT_JWKS_FILE";
const JWKS_URL: &str = "PARLEY_JWT_JWKS_URL";
const SESSION: &str = "PARLEY_SESSION_SECRET";

impl AuthConfig {
    pub(super) fn from_env(env: &mut Env, dev: bool) -> Self {
        let secret = env.opt_secret(HS256, MIN_SECRET_BYTES);
        let named_keys =
            [HS256, ED25519, ED25519_FILE, JWKS_FILE, JWKS_URL].map(|name| env.opt_string(name));
        if !dev && named_keys.iter().all(Option::is_none) {
            env.problem(
                HS256,
                format!(
                    "is not set, and neither is {ED25519}, {ED25519_FILE}, {JWKS_FILE} or \
                     {JWKS_URL}: no token could be checked"
                ),
            );
        }
        let session_secret = session_secret(env, dev);
        Self {
            keys: keys(env, secret.as_deref()),
            jwks: jwks(env),
            issuer: env.opt_string("PARLEY_JWT_ISSUER"),
            audience: env.opt_string("PARLEY_JWT_AUDIENCE"),
            leeway: env.duration_seconds("PARLEY_JWT_LEEWAY_SECONDS", 5, 0..=300),
            session_secret,
            session_ttl: env.duration_seconds(
                "PARLEY_SESSION_TTL_SECONDS",
                12 * 60 * 60,
                60..=90 * 24 * 60 * 60,
            ),
        }
    }
}

fn session_secret(env: &mut Env, dev: bool) -> Vec<u8> {
    match env.opt_secret(SESSION, MIN_SECRET_BYTES) {
        Some(secret) => secret.into_bytes(),
        None if dev => random_secret(env),
        None => {
            // If it is set, it was too short and has been named already.
            if env.opt_string(SESSION).is_none() {
                env.problem(SESSION, "is not set");
            }
            Vec::new()
        }
    }
}

/// In development a session need not outlive the process.
fn random_secret(env: &mut Env) -> Vec<u8> {
    use ring::rand::SecureRandom;
    let mut secret = vec![0; MIN_SECRET_BYTES];
    if ring::rand::SystemRandom::new().fill(&mut secret).is_err() {
        env.problem(SESSION, "is not set, and the system gives no randomness to make one");
    }
    secret
}

fn keys(env: &mut Env, secret: Option<&str>) -> KeySet {
    let mut keys = KeySet::default();
    if let Some(secret) = secret {
        add(env, HS256, Key::hs256(secret.as_bytes()).map(one), &mut keys);
    }
    if let Some(pem) = env.opt_string(ED25519) {
        // A variable can hardly hold line ends: `\n` will do.
        let pem = pem.replace("\\n", "\n");
        add(env, ED25519, Key::ed25519_pem(&pem).map(one), &mut keys);
    }
    if let Some(pem) = file(env, ED25519_FILE) {
        let key = std::str::from_utf8(&pem).map_err(|_| KeyError::Pem).and_then(Key::ed25519_pem);
        add(env, ED25519_FILE, key.map(one), &mut keys);
    }
    if let Some(json) = file(env, JWKS_FILE) {
        add(env, JWKS_FILE, KeySet::from_jwks(&json), &mut keys);
    }
    keys
}

fn one(key: Key) -> KeySet {
    [key].into_iter().collect()
}

fn add(env: &mut Env, name: &str, found: Result<KeySet, KeyError>, keys: &mut KeySet) {
    match found {
        Ok(found) => keys.append(found),
        Err(error) => env.problem(name, error.to_string()),
    }
}

fn file(env: &mut Env, name: &str) -> Option<Vec<u8>> {
    let path = env.opt_path(name)?;
    match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            env.problem(name, format!("cannot be read: {error}"));
            None
        }
    }
}

fn jwks(env: &mut Env) -> Option<JwksConfig> {
    let text = env.opt_url(JWKS_URL, &["http", "https"]);
    let refresh = env.duration_seconds("PARLEY_JWT_JWKS_REFRESH_SECONDS", 300, 1..=86_400);
    let pause = env.duration_seconds("PARLEY_JWT_JWKS_PAUSE_SECONDS", 10, 1..=3_600);
    let timeout = env.duration_millis("PARLEY_JWT_JWKS_TIMEOUT_MILLIS", 5_000, 100..=60_000);
    let uri: Uri = match text?.parse() {
        Ok(uri) => uri,
        Err(_) => {
            env.problem(JWKS_URL, "is not a URL");
            return None;
        }
    };
    Some(JwksConfig { uri, refresh, pause, timeout })
}
