//! The commands service's part of the environment.

use std::time::Duration;

use parley_nats::{committer::CommitterConfig, subjects::MAX_SHARDS, topology::TopologyConfig};
use parley_runtime::config::Env;

/// Everything that the service can be told.
#[derive(Debug, Clone)]
pub struct Config {
    pub nats_url: String,
    pub database_url: String,
    pub database_connections: u32,
    pub topology: TopologyConfig,
    pub committer: CommitterConfig,
    pub client: ClientConfig,
    pub owner: OwnerConfig,
    pub tidy: TidyConfig,
}

/// What happens to messages by themselves.
#[derive(Debug, Clone, Copy)]
pub struct TidyConfig {
    /// How often it is looked for messages that are due to expire, or to be erased.
    pub interval: Duration,
    /// How long a deleted message stays in the log.
    pub erase_grace: Duration,
}

/// Bounds of a shard's owner.
#[derive(Debug, Clone)]
pub struct OwnerConfig {
    /// Conversations and accounts kept in memory, a shard.
    pub cache: CacheConfig,
    /// Commands of a shard that are under way at once.
    pub commands: usize,
    /// Counts of limits kept in memory, a shard; beyond them nobody new is counted.
    pub rate_windows: usize,
}

/// Bounds of what is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct CacheConfig {
    pub cache_bytes: usize,
    /// The same, with what the views do not have yet; over it commands are refused.
    pub pinned_bytes: usize,
}

impl CacheConfig {
    /// An account is small beside a conversation with its last messages, and asked less often.
    const ACCOUNTS: usize = 8;

    /// The part of it that conversations may fill.
    pub(crate) fn conversations(self) -> Self {
        let accounts = self.accounts();
        Self {
            cache_bytes: self.cache_bytes - accounts.cache_bytes,
            pinned_bytes: self.pinned_bytes - accounts.pinned_bytes,
        }
    }

    /// The part of it that accounts may fill.
    pub(crate) fn accounts(self) -> Self {
        Self {
            cache_bytes: self.cache_bytes / Self::ACCOUNTS,
            pinned_bytes: self.pinned_bytes / Self::ACCOUNTS,
        }
    }
}

/// Bounds of waiting.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How long a caller waits in all, over owners that come and go.
    pub patience: Duration,
    /// How long one attempt may go unanswered before the command is sent again.
    pub attempt_timeout: Duration,
    /// Commands of one shard that may wait or be under way.
    pub queue_commands: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(6),
            attempt_timeout: Duration::from_secs(2),
            queue_commands: 20_000,
        }
    }
}

impl Config {
    /// Reads `PARLEY_*`; what is wrong is collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        const MIB: usize = 1024 * 1024;
        const WEEK_SECONDS: u64 = 7 * 24 * 60 * 60;
        Self {
            nats_url: env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            database_url: env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            database_connections: env.u32("PARLEY_COMMANDS_DATABASE_CONNECTIONS", 8, 1..=1_000),
            topology: topology(env),
            committer: CommitterConfig {
                flight_events: env.usize("PARLEY_COMMIT_BATCH_EVENTS", 500, 1..=1_000),
                flight_bytes: env.bytes("PARLEY_COMMIT_BATCH_BYTES", 4 * MIB, 64 * 1024..=32 * MIB),
                queue_events: env.usize("PARLEY_COMMIT_QUEUE_EVENTS", 20_000, 1..=1_000_000),
                answer_timeout: env.duration_millis(
                    "PARLEY_COMMIT_TIMEOUT_MILLIS",
                    2_000,
                    100..=60_000,
                ),
                attempts: env.u32("PARLEY_COMMIT_ATTEMPTS", 20, 1..=1_000),
            },
            client: client(env),
            owner: OwnerConfig {
                cache: CacheConfig {
                    cache_bytes: env.bytes(
                        "PARLEY_CACHE_BYTES",
                        256 * MIB,
                        MIB..=1024 * 1024 * MIB,
                    ),
                    pinned_bytes: env.bytes(
                        "PARLEY_CACHE_PINNED_BYTES",
                        1024 * MIB,
                        MIB..=1024 * 1024 * MIB,
                    ),
                },
                commands: env.usize("PARLEY_COMMANDS_IN_FLIGHT", 10_000, 1..=1_000_000),
                rate_windows: env.usize("PARLEY_RATE_WINDOWS", 200_000, 1..=100_000_000),
            },
            tidy: TidyConfig {
                interval: env.duration_millis("PARLEY_TIDY_INTERVAL_MILLIS", 2_000, 50..=30_000),
                erase_grace: env.duration_seconds(
                    "PARLEY_ERASE_GRACE_SECONDS",
                    WEEK_SECONDS,
                    0..=366 * 24 * 60 * 60,
                ),
            },
        }
    }
}

/// How the log is laid out; every service that may be the first to start reads the same.
pub fn topology(env: &mut Env) -> TopologyConfig {
    TopologyConfig {
        shards: env.u16("PARLEY_SHARDS", 4, 1..=MAX_SHARDS),
        replicas: env.usize("PARLEY_STREAM_REPLICAS", 1, 1..=5),
        lease_ttl: env.duration_millis("PARLEY_LEASE_TTL_MILLIS", 2_500, 1_000..=60_000),
    }
}

/// How long callers of the shards' owners wait.
pub fn client(env: &mut Env) -> ClientConfig {
    let default = ClientConfig::default();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    ClientConfig {
        patience: env.duration_millis(
            "PARLEY_COMMAND_PATIENCE_MILLIS",
            millis(default.patience),
            100..=60_000,
        ),
        attempt_timeout: env.duration_millis(
            "PARLEY_COMMAND_ATTEMPT_MILLIS",
            millis(default.attempt_timeout),
            100..=60_000,
        ),
        queue_commands: env.usize(
            "PARLEY_COMMAND_QUEUE_COMMANDS",
            default.queue_commands,
            1..=1_000_000,
        ),
    }
}
