//! Presence in the gateway's environment.

use std::time::Duration;

use parley_runtime::config::Env;

/// The bounds of presence.
#[derive(Debug, Clone, Copy)]
pub struct PresenceConfig {
    /// How long after its last sign of life a gateway's users count as online.
    pub lease: Duration,
    /// How long somebody whose last connection closed still counts as online.
    pub linger: Duration,
    /// People online anywhere, in each gateway's memory.
    pub max_users: usize,
}

impl PresenceConfig {
    /// Reads `PARLEY_*`; what is wrong is collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            lease: env.duration_millis("PARLEY_PRESENCE_LEASE_MILLIS", 5_000, 500..=60_000),
            linger: env.duration_millis("PARLEY_PRESENCE_LINGER_MILLIS", 1_500, 0..=60_000),
            max_users: env.usize("PARLEY_PRESENCE_MAX_USERS", 1_000_000, 1..=100_000_000),
        }
    }
}
