//! The gateway's part of the environment.

mod attachments;
mod auth;
mod public_url;
mod rates;
mod search;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parley_commands::config::ClientConfig;
use parley_nats::topology::TopologyConfig;
use parley_notifier::{config::channels::OutboxConfig, links::Links};
use parley_runtime::config::Env;

pub use self::{
    attachments::{AttachmentsConfig, TransferBounds},
    auth::AuthConfig,
    public_url::PublicUrl,
    rates::RateConfig,
    search::SearchConfig,
};
use crate::{auth::Origins, realtime::RealtimeConfig};

/// Everything that the gateway can be told.
#[derive(Debug)]
pub struct Config {
    pub nats_url: String,
    pub database_url: String,
    pub database_connections: u32,
    pub topology: TopologyConfig,
    pub client: ClientConfig,
    pub listen: SocketAddr,
    /// Where `/metrics` is, if not on `listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// How the outside reaches this gateway; the `Host` header tells, if it is not set.
    pub public_url: Option<PublicUrl>,
    /// Origins whose pages may use the cookie; the gateway's own, if it is not set.
    pub allowed_origins: Option<Origins>,
    pub auth: AuthConfig,
    pub notify: NotifyConfig,
    /// Where files of messages are, if there are any.
    pub attachments: Option<AttachmentsConfig>,
    /// Whether anyone may log in as anyone.
    pub dev: bool,
    /// What pages subscribe to web push with, in base64url.
    pub vapid_public_key: Option<String>,
    pub limits: Limits,
    pub rates: RateConfig,
    pub search: SearchConfig,
    pub realtime: RealtimeConfig,
}

/// What the gateway knows of notifications.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Links that act without a login; without a secret there are none.
    pub links: Option<Links>,
    /// Where what would have gone out is kept; shown in development only.
    pub outbox_file: Option<PathBuf>,
}

impl NotifyConfig {
    fn from_env(env: &mut Env) -> Self {
        Self {
            links: parley_notifier::config::channels::links(env),
            outbox_file: OutboxConfig::from_env(env).map(|outbox| outbox.file),
        }
    }
}

/// The bounds of one HTTP connection and request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// At the same time, WebSockets included.
    pub connections: usize,
    /// For a request's head to arrive.
    pub header_timeout: Duration,
    /// From a request's head to its answer's head.
    pub request_timeout: Duration,
    /// A request's body.
    pub body_bytes: usize,
    /// What is read ahead from a connection, the head of a request included.
    pub buffer_bytes: usize,
    /// Proxies in front of the gateway that append to `X-Forwarded-For`.
    pub trusted_proxies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(15),
            body_bytes: 64 * 1_024,
            buffer_bytes: 16 * 1_024,
            trusted_proxies: 0,
        }
    }
}

impl Config {
    /// Reads `PARLEY_*`; what is wrong is collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let dev = env.bool("PARLEY_DEV", false);
        Self {
            nats_url: env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            database_url: env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            database_connections: env.u32("PARLEY_GATEWAY_DATABASE_CONNECTIONS", 8, 1..=1_000),
            topology: parley_commands::config::topology(env),
            client: parley_commands::config::client(env),
            listen: env.socket_addr("PARLEY_LISTEN", "127.0.0.1:8080"),
            metrics_listen: parley_runtime::metrics::listen(env),
            public_url: public_url(env),
            allowed_origins: allowed_origins(env),
            auth: AuthConfig::from_env(env, dev),
            notify: NotifyConfig::from_env(env),
            attachments: AttachmentsConfig::from_env(env),
            dev,
            vapid_public_key: vapid_public_key(env),
            limits: Limits::from_env(env),
            rates: RateConfig::from_env(env),
            search: SearchConfig::from_env(env),
            realtime: RealtimeConfig::from_env(env),
        }
    }
}

impl Limits {
    fn from_env(env: &mut Env) -> Self {
        const KIB: usize = 1_024;
        Self {
            connections: env.usize("PARLEY_MAX_CONNECTIONS", 100_000, 1..=10_000_000),
            header_timeout: env.duration_millis(
                "PARLEY_HEADER_TIMEOUT_MILLIS",
                15_000,
                100..=600_000,
            ),
            request_timeout: env.duration_millis(
                "PARLEY_REQUEST_TIMEOUT_MILLIS",
                15_000,
                100..=600_000,
            ),
            body_bytes: env.bytes("PARLEY_MAX_BODY_BYTES", 64 * KIB, KIB..=16 * KIB * KIB),
            // hyper works with 8 KiB at least.
            buffer_bytes: env.bytes("PARLEY_HTTP_BUFFER_BYTES", 16 * KIB, 8 * KIB..=KIB * KIB),
            trusted_proxies: env.usize("PARLEY_TRUSTED_PROXIES", 0, 0..=16),
        }
    }
}

fn public_url(env: &mut Env) -> Option<PublicUrl> {
    const NAME: &str = "PARLEY_PUBLIC_URL";
    let text = env.opt_url(NAME, &["http", "https"])?;
    let url = PublicUrl::parse(&text);
    if url.is_none() {
        env.problem(NAME, "is not a URL like https://chat.example");
    }
    url
}

fn vapid_public_key(env: &mut Env) -> Option<String> {
    const NAME: &str = "PARLEY_PUSH_VAPID_PUBLIC_KEY";
    let text = env.opt_string(NAME)?;
    // A point of P-256, uncompressed.
    let is_point = BASE64_URL_SAFE_NO_PAD
        .decode(&text)
        .is_ok_and(|point| point.len() == 65 && point.first() == Some(&4));
    if is_point {
        return Some(text);
    }
    env.problem(NAME, "is not a public key of P-256 in base64url");
    None
}

fn allowed_origins(env: &mut Env) -> Option<Origins> {
    const NAME: &str = "PARLEY_ALLOWED_ORIGINS";
    let list = env.list(NAME, &[]);
    if list.is_empty() {
        return None;
    }
    match Origins::parse(list.iter().map(String::as_str)) {
        Ok(origins) => Some(origins),
        Err(error) => {
            env.problem(NAME, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [(&str, &str); 3] = [
        ("PARLEY_DATABASE_URL", "postgres://u@h/db"),
        ("PARLEY_SESSION_SECRET", "session-secret-of-32-bytes-or-more"),
        ("PARLEY_JWT_HS256_SECRET", "marketplace-secret-of-32-bytes-or-more"),
    ];

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        let mut env = Env::from_map(NEEDED);
        for (name, value) in variables {
            env.set(*name, *value);
        }
        Config::from_env(&mut env);
        match env.finish() {
            Ok(()) => Vec::new(),
            Err(error) => error.variables().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn the_least_that_is_needed_is_enough() {
        assert!(problems(&[]).is_empty());
        assert!(
            problems(&[("PARLEY_ALLOWED_ORIGINS", "https://a.example, https://b.example")])
                .is_empty()
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value) in [
            ("PARLEY_SESSION_SECRET", "short"),
            ("PARLEY_SESSION_SECRET", ""),
            ("PARLEY_JWT_HS256_SECRET", "short"),
            ("PARLEY_JWT_ED25519_PUBLIC_KEY", "not a key"),
            ("PARLEY_JWT_ED25519_PUBLIC_KEY_FILE", "/nonexistent"),
            ("PARLEY_JWT_JWKS_FILE", "/nonexistent"),
            ("PARLEY_JWT_JWKS_URL", "ftp://keys.example"),
            ("PARLEY_ALLOWED_ORIGINS", "*"),
            ("PARLEY_PUBLIC_URL", "chat.example"),
            ("PARLEY_PUBLIC_URL", "https://chat.example/?a=b"),
            ("PARLEY_MAX_BODY_BYTES", "0"),
            ("PARLEY_PUSH_VAPID_PUBLIC_KEY", "BAAA"),
        ] {
            assert!(problems(&[(name, value)]).contains(&name.to_owned()), "{name}={value}");
        }
        // Without any key nobody could ever come in.
        let none = problems(&[("PARLEY_JWT_HS256_SECRET", "")]);
        assert_eq!(none, ["PARLEY_JWT_HS256_SECRET"]);
    }

    #[test]
    fn files_need_a_secret_and_a_directory() {
        let secret = "an-attachments-secret-of-32-bytes";
        let dir = ("PARLEY_ATTACHMENTS_DIR", "files");
        assert!(problems(&[dir, ("PARLEY_ATTACHMENTS_SECRET", secret)]).is_empty());
        assert_eq!(problems(&[dir]), ["PARLEY_ATTACHMENTS_SECRET"]);
        for (name, value) in [
            ("PARLEY_ATTACHMENTS_SECRET", "short"),
            ("PARLEY_ATTACHMENTS_MAX_BYTES", "104857601"),
            ("PARLEY_ATTACHMENTS_UNUSED_SECONDS", "10"),
        ] {
            assert!(problems(&[dir, (name, value)]).contains(&name.to_owned()), "{name}={value}");
        }
    }

    #[test]
    fn development_needs_no_secrets() {
        let mut env =
            Env::from_map([("PARLEY_DATABASE_URL", "postgres://u@h/db"), ("PARLEY_DEV", "true")]);
        let config = Config::from_env(&mut env);
        env.finish().unwrap();
        assert!(config.dev && config.auth.session_secret.len() >= 32);
    }

    #[test]
    fn the_defaults_are_one_thing() {
        let limits = Limits::from_env(&mut Env::default());
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
    }
}
