//! What the notifier reads from the environment.

pub mod channels;

use std::time::Duration;

use parley_commands::config::ClientConfig;
use parley_nats::subjects::MAX_SHARDS;
use parley_runtime::config::Env;

use self::channels::ChannelsConfig;
use crate::{
    backoff::Backoff,
    channels::ChannelKind,
    links::{self, Links},
    policy::Policy,
};

const LINK_SECRET: &str = "PARLEY_NOTIFY_LINK_SECRET";

/// How to notify the people of a deployment.
pub struct Config {
    pub notify: NotifyConfig,
    pub channels: ChannelsConfig,
    pub links: Links,
}

/// Everything but the channels.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// `PARLEY_DATABASE_URL`
    pub database_url: String,
    /// `PARLEY_NATS_URL`
    pub nats_url: String,
    /// `PARLEY_SHARDS`: as the deployment was created with.
    pub shards: u16,
    /// `PARLEY_STREAM_REPLICAS`: copies of the bucket of presence, should it have to be made.
    pub replicas: usize,
    /// `PARLEY_PRESENCE_LEASE_MILLIS`: as the gateways have it.
    pub presence_lease: Duration,
    /// `PARLEY_NOTIFY_DATABASE_CONNECTIONS`, beside one a shard.
    pub database_connections: u32,
    pub policy: Policy,
    pub follow: FollowConfig,
    pub decide: DecideConfig,
    pub deliver: DeliverConfig,
    pub remove: RemoveConfig,
}

/// Of the followers of the log.
#[derive(Debug, Clone)]
pub struct FollowConfig {
    /// `PARLEY_NOTIFY_BATCH_EVENTS`: read from the log at once.
    pub batch_events: usize,
    /// `PARLEY_NOTIFY_WINDOWS`: open ones of a shard in memory; over it the log waits.
    pub windows: usize,
    /// `PARLEY_NOTIFY_MEMBERS`: members of groups that are remembered, a shard.
    pub members: usize,
    /// `PARLEY_NOTIFY_OLDEST_SECONDS`: older messages open no window.
    pub oldest: Duration,
}

/// Of the deciders.
#[derive(Debug, Clone)]
pub struct DecideConfig {
    /// `PARLEY_NOTIFY_DECISIONS_AT_ONCE`: threads of one transaction.
    pub at_once: u32,
    /// `PARLEY_NOTIFY_KEPT_DAYS`: how long decisions and finished deliveries are kept.
    pub kept: Duration,
}

/// Of the delivery workers.
#[derive(Debug, Clone)]
pub struct DeliverConfig {
    /// `PARLEY_NOTIFY_<CHANNEL>_CONCURRENCY`: sends under way.
    pub email_concurrency: usize,
    pub sms_concurrency: usize,
    pub webpush_concurrency: usize,
    pub webhook_concurrency: usize,
    /// `PARLEY_NOTIFY_SEND_SECONDS`: a send that has not ended by then is given up; twice this
    /// after its begin, its process counts as dead.
    pub send: Duration,
    /// `PARLEY_NOTIFY_GIVE_UP_SECONDS`: what could not be sent by then, from its decision on, is a
    /// dead letter.
    pub give_up: Duration,
    /// As the channels have it.
    pub backoff: Backoff,
}

/// Of what takes dead endpoints out of their accounts.
#[derive(Debug, Clone)]
pub struct RemoveConfig {
    /// `PARLEY_NOTIFY_REMOVALS_AT_ONCE`: commands under way.
    pub at_once: usize,
    /// As the channels have it, but never the last attempt, and not so far apart.
    pub backoff: Backoff,
    /// `PARLEY_COMMAND_…`: as every caller of the shards' owners has it.
    pub client: ClientConfig,
}

impl RemoveConfig {
    /// The most between two attempts: nobody else is asked, and the account shows the endpoint still.
    const MOST: Duration = Duration::from_secs(60);

    fn from_env(env: &mut Env, backoff: Backoff) -> Self {
        let most = backoff.most.min(Self::MOST);
        Self {
            at_once: env.usize("PARLEY_NOTIFY_REMOVALS_AT_ONCE", 16, 1..=1_000),
            backoff: Backoff { most, attempts: u32::MAX, ..backoff },
            client: parley_commands::config::client(env),
        }
    }

    /// How long a row belongs to the process that asks for it.
    pub fn lease(&self) -> Duration {
        self.client.patience * 2
    }
}

impl DeliverConfig {
    /// Sends of a channel under way at once.
    pub fn concurrency(&self, channel: ChannelKind) -> usize {
        match channel {
            ChannelKind::Email => self.email_concurrency,
            ChannelKind::Sms => self.sms_concurrency,
            ChannelKind::WebPush => self.webpush_concurrency,
            ChannelKind::Webhook => self.webhook_concurrency,
        }
    }

    /// How long a delivery belongs to the process that has begun it.
    pub fn lease(&self) -> Duration {
        self.send * 2
    }
}

impl Config {
    /// Problems are collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let channels = ChannelsConfig::from_env(env);
        let links = channels::links(env).unwrap_or_else(|| {
            env.problem(LINK_SECRET, "is not set");
            // Nothing is ever signed with it: this configuration is refused.
            Links::new(&[], "", links::Settings::default())
        });
        Self { notify: NotifyConfig::from_env(env, channels.backoff), channels, links }
    }
}

impl NotifyConfig {
    fn from_env(env: &mut Env, backoff: Backoff) -> Self {
        Self {
            database_url: env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            nats_url: env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            shards: env.u16("PARLEY_SHARDS", 4, 1..=MAX_SHARDS),
            replicas: env.usize("PARLEY_STREAM_REPLICAS", 1, 1..=5),
            presence_lease: env.duration_millis(
                "PARLEY_PRESENCE_LEASE_MILLIS",
                5_000,
                500..=60_000,
            ),
            database_connections: env.u32("PARLEY_NOTIFY_DATABASE_CONNECTIONS", 16, 4..=200),
            policy: policy(env),
            follow: FollowConfig {
                batch_events: env.usize("PARLEY_NOTIFY_BATCH_EVENTS", 2_000, 1..=10_000),
                windows: env.usize("PARLEY_NOTIFY_WINDOWS", 250_000, 1..=100_000_000),
                members: env.usize("PARLEY_NOTIFY_MEMBERS", 500_000, 500..=100_000_000),
                oldest: env.duration_seconds(
                    "PARLEY_NOTIFY_OLDEST_SECONDS",
                    86_400,
                    60..=31_536_000,
                ),
            },
            decide: DecideConfig {
                at_once: env.u32("PARLEY_NOTIFY_DECISIONS_AT_ONCE", 64, 1..=1_000),
                kept: Duration::from_secs(86_400)
                    * env.u32("PARLEY_NOTIFY_KEPT_DAYS", 90, 7..=3_650),
            },
            deliver: DeliverConfig {
                email_concurrency: env.usize("PARLEY_NOTIFY_EMAIL_CONCURRENCY", 8, 1..=1_000),
                sms_concurrency: env.usize("PARLEY_NOTIFY_SMS_CONCURRENCY", 8, 1..=1_000),
                webpush_concurrency: env.usize("PARLEY_NOTIFY_WEBPUSH_CONCURRENCY", 32, 1..=1_000),
                webhook_concurrency: env.usize("PARLEY_NOTIFY_WEBHOOK_CONCURRENCY", 16, 1..=1_000),
                send: env.duration_seconds("PARLEY_NOTIFY_SEND_SECONDS", 45, 1..=600),
                give_up: env.duration_seconds(
                    "PARLEY_NOTIFY_GIVE_UP_SECONDS",
                    86_400,
                    60..=2_592_000,
                ),
                backoff,
            },
            remove: RemoveConfig::from_env(env, backoff),
        }
    }
}

fn policy(env: &mut Env) -> Policy {
    let policy = Policy {
        grace: env.duration_seconds("PARLEY_NOTIFY_GRACE_SECONDS", 30, 0..=3_600),
        cooldown: env.duration_seconds("PARLEY_NOTIFY_COOLDOWN_SECONDS", 900, 1..=604_800),
        cooldown_max: env.duration_seconds(
            "PARLEY_NOTIFY_COOLDOWN_MAX_SECONDS",
            86_400,
            1..=2_592_000,
        ),
        emails_per_hour: env.u32("PARLEY_NOTIFY_EMAILS_PER_HOUR", 20, 1..=100_000),
        sms_per_hour: env.u32("PARLEY_NOTIFY_SMS_PER_HOUR", 5, 1..=100_000),
    };
    if policy.cooldown_max < policy.cooldown {
        env.problem(
            "PARLEY_NOTIFY_COOLDOWN_MAX_SECONDS",
            "is less than PARLEY_NOTIFY_COOLDOWN_SECONDS",
        );
    }
    policy
}
