//! The settings of the channels, read from the environment.

mod email;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use parley_runtime::config::Env;

use crate::{
    backoff::Backoff,
    breaker,
    channels::{
        Allowed, Settings,
        email::Sender,
        sms::{self, CapSettings},
        web_push::{self, Vapid},
        webhook,
    },
    links::{self, Links},
};

/// The shortest secret that anything is signed with.
const MIN_SECRET_BYTES: usize = links::MIN_SECRET_BYTES;
const OUTBOX_FILE: &str = "PARLEY_NOTIFY_OUTBOX_FILE";

/// What the channels of a deployment are.
pub struct ChannelsConfig {
    pub sender: Sender,
    pub providers: Settings,
    /// If there is one, nothing goes out.
    pub outbox: Option<OutboxConfig>,
    pub breaker: breaker::Settings,
    /// How often and when something is tried.
    pub backoff: Backoff,
    /// For one request to a provider.
    pub request_timeout: Duration,
    pub push_ttl: Duration,
}

/// Where what would have gone out is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxConfig {
    pub file: PathBuf,
    /// The newest that are kept.
    pub items: usize,
}

impl ChannelsConfig {
    /// Reads `PARLEY_NOTIFY_*`, `PARLEY_SMTP_*`, `PARLEY_SMS_*`, `PARLEY_PUSH_*` and
    /// `PARLEY_WEBHOOK_*`; what is wrong is collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let brand = env.string("PARLEY_NOTIFY_BRAND", "Parley");
        let private = env.bool("PARLEY_NOTIFY_PRIVATE_TARGETS", false);
        let push_ttl = env.duration_seconds("PARLEY_PUSH_TTL_SECONDS", 86_400, 0..=2_419_200);
        let email = email::settings(env, &brand);
        let domain = email.as_ref().map_or("localhost", |email| email.from.email.domain());
        Self {
            sender: Sender { brand: brand.clone(), domain: domain.to_owned() },
            outbox: outbox(env),
            breaker: breaker::Settings {
                failures: env.u32("PARLEY_NOTIFY_BREAKER_FAILURES", 5, 1..=1_000),
                open: env.duration_millis(
                    "PARLEY_NOTIFY_BREAKER_OPEN_MILLIS",
                    10_000,
                    1..=3_600_000,
                ),
                open_max: env.duration_millis(
                    "PARLEY_NOTIFY_BREAKER_OPEN_MAX_MILLIS",
                    300_000,
                    1..=86_400_000,
                ),
            },
            backoff: Backoff {
                first: env.duration_millis(
                    "PARLEY_NOTIFY_RETRY_FIRST_MILLIS",
                    5_000,
                    1..=3_600_000,
                ),
                most: env.duration_millis(
                    "PARLEY_NOTIFY_RETRY_MOST_MILLIS",
                    3_600_000,
                    1..=86_400_000,
                ),
                attempts: env.u32("PARLEY_NOTIFY_RETRY_ATTEMPTS", 12, 1..=100),
            },
            request_timeout: env.duration_millis(
                "PARLEY_NOTIFY_REQUEST_TIMEOUT_MILLIS",
                10_000,
                100..=120_000,
            ),
            providers: Settings {
                email,
                sms: sms(env),
                web_push: web_push(env, push_ttl, private),
                webhook: webhook(env, private),
            },
            push_ttl,
        }
    }
}

impl OutboxConfig {
    /// For whoever shows the outbox, too.
    pub fn from_env(env: &mut Env) -> Option<Self> {
        outbox(env)
    }
}

fn outbox(env: &mut Env) -> Option<OutboxConfig> {
    let items = env.usize("PARLEY_NOTIFY_OUTBOX_ITEMS", 10_000, 1..=1_000_000);
    env.opt_path(OUTBOX_FILE).map(|file| OutboxConfig { file, items })
}

/// What makes links and knows them again: the same for the notifier and every gateway.
///
/// `None` without a secret; whether that is a problem is for the service to say.
pub fn links(env: &mut Env) -> Option<Links> {
    const DAY: u64 = 86_400;
    let unsubscribe_ttl = env.duration_seconds(
        "PARLEY_NOTIFY_UNSUBSCRIBE_TTL_SECONDS",
        365 * DAY,
        // What laws ask for.
        30 * DAY..=3_650 * DAY,
    );
    let verify_ttl = env.duration_seconds("PARLEY_NOTIFY_VERIFY_TTL_SECONDS", DAY, 60..=30 * DAY);
    let base = env.opt_url("PARLEY_PUBLIC_URL", &["http", "https"]);
    let listen = env.opt_socket_addr("PARLEY_LISTEN");
    let secret = secret(
        env,
        ("PARLEY_NOTIFY_LINK_SECRET", "PARLEY_NOTIFY_LINK_SECRET_FILE"),
        MIN_SECRET_BYTES,
    )?;
    let base = base.unwrap_or_else(|| here(listen));
    Some(Links::new(secret.as_bytes(), &base, links::Settings { unsubscribe_ttl, verify_ttl }))
}

/// A gateway on this machine.
fn here(listen: Option<SocketAddr>) -> String {
    match listen {
        Some(address) if address.ip().is_unspecified() => {
            format!("http://localhost:{}", address.port())
        }
        Some(address) => format!("http://{address}"),
        None => "http://127.0.0.1:8080".to_owned(),
    }
}

/// A secret from a variable, or from the file that another one names.
fn secret(env: &mut Env, (name, file_name): (&str, &str), min_bytes: usize) -> Option<String> {
    let given = env.opt_secret(name, min_bytes);
    let Some(path) = env.opt_path(file_name) else { return given };
    if given.is_some() {
        env.problem(file_name, format!("is set, and so is {name}"));
    }
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= min_bytes => return Some(text.trim().to_owned()),
        Ok(_) => env.problem(file_name, format!("is shorter than {min_bytes} bytes")),
        Err(error) => env.problem(file_name, format!("cannot be read: {error}")),
    }
    given
}

/// A variable without which the channel, which is wanted, cannot be.
fn needed(env: &mut Env, name: &str, channel: &str) -> String {
    env.opt_string(name).unwrap_or_else(|| {
        env.problem(name, format!("is not set, but {channel} is"));
        String::new()
    })
}

fn sms(env: &mut Env) -> Option<sms::Settings> {
    const ACCOUNT: &str = "PARLEY_SMS_ACCOUNT";
    let base_url = env.url("PARLEY_SMS_URL", "https://api.twilio.com", &["http", "https"]);
    let token = secret(env, ("PARLEY_SMS_TOKEN", "PARLEY_SMS_TOKEN_FILE"), 1);
    let caps = CapSettings {
        block_per_hour: env.u32("PARLEY_SMS_BLOCK_PER_HOUR", 30, 1..=1_000_000),
        country_per_hour: env.u32("PARLEY_SMS_COUNTRY_PER_HOUR", 5_000, 1..=10_000_000),
    };
    let countries = env.list("PARLEY_SMS_COUNTRIES", &[]);
    let account = env.opt_string(ACCOUNT)?;
    let from = needed(env, "PARLEY_SMS_FROM", ACCOUNT);
    if token.is_none() {
        env.problem("PARLEY_SMS_TOKEN", format!("is not set, but {ACCOUNT} is"));
    }
    let is_country = |text: &String| {
        text == "*" || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()))
    };
    if countries.is_empty() || !countries.iter().all(is_country) {
        env.problem("PARLEY_SMS_COUNTRIES", "is not a list like DE,AT,CH, or *");
    }
    Some(sms::Settings {
        base_url: base_url.trim_end_matches('/').to_owned(),
        account,
        token: token.unwrap_or_default(),
        from,
        countries,
        caps,
    })
}

fn web_push(env: &mut Env, ttl: Duration, private: bool) -> Option<web_push::Settings> {
    const PUBLIC: &str = "PARLEY_PUSH_VAPID_PUBLIC_KEY";
    const PRIVATE: &str = "PARLEY_PUSH_VAPID_PRIVATE_KEY";
    let key = secret(env, (PRIVATE, "PARLEY_PUSH_VAPID_PRIVATE_KEY_FILE"), 1);
    let contact = env.opt_string("PARLEY_PUSH_CONTACT");
    let public = env.opt_string(PUBLIC)?;
    let Some(key) = key else {
        env.problem(PRIVATE, format!("is not set, but {PUBLIC} is"));
        return None;
    };
    let contact = contact
        .filter(|contact| contact.starts_with("mailto:") || contact.starts_with("https://"))
        .or_else(|| {
            env.problem("PARLEY_PUSH_CONTACT", "is not mailto:… or https://…");
            None
        })?;
    match Vapid::new(&key, &public, contact) {
        Ok(vapid) => {
            let allowed = Allowed { private, hosts: Vec::new() };
            Some(web_push::Settings { vapid, ttl, allowed })
        }
        Err(error) => {
            env.problem(PUBLIC, error.to_string());
            None
        }
    }
}

fn webhook(env: &mut Env, private: bool) -> Option<webhook::Settings> {
    let hosts = env.list("PARLEY_WEBHOOK_HOSTS", &[]);
    let secret =
        secret(env, ("PARLEY_WEBHOOK_SECRET", "PARLEY_WEBHOOK_SECRET_FILE"), MIN_SECRET_BYTES)?;
    Some(webhook::Settings { secret: secret.into_bytes(), allowed: Allowed { private, hosts } })
}

#[cfg(test)]
mod tests;
