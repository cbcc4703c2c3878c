//! How much of something somebody may do in a while; 0 is no limit.

use std::time::Duration;

use parley_runtime::config::Env;

/// The limits that hold over all gateways; services are exempt.
#[derive(Debug, Clone)]
pub struct RateConfig {
    /// Messages that a person sends in a minute.
    pub messages_per_minute: u32,
    /// Messages that a person sends into one group or channel in a minute.
    pub group_messages_per_minute: u32,
    /// Conversations that a person whose account is new begins in a day.
    pub new_account_conversations_per_day: u32,
    /// How long an account is new.
    pub new_account: Duration,
    /// Calls of one address in a minute that are refused because nobody is signed in.
    pub stranger_calls_per_minute: u32,
    /// Searches of a person in a minute.
    pub searches_per_minute: u32,
    /// Files that a person reserves in an hour.
    pub attachments_per_hour: u32,
    /// Counts that a gateway keeps in memory.
    pub leases: usize,
    /// How long a count may be waited for; then the call is let through.
    pub patience: Duration,
}

impl RateConfig {
    /// No limits.
    pub fn none() -> Self {
        Self {
            messages_per_minute: 0,
            group_messages_per_minute: 0,
            new_account_conversations_per_day: 0,
            new_account: Duration::ZERO,
            stranger_calls_per_minute: 0,
            searches_per_minute: 0,
            attachments_per_hour: 0,
            leases: 1,
            patience: Duration::from_millis(500),
        }
    }

    pub(super) fn from_env(env: &mut Env) -> Self {
        const MOST: u32 = 1_000_000;
        let seconds = env.u32("PARLEY_RATE_NEW_ACCOUNT_SECONDS", 24 * 60 * 60, 1..=31_536_000);
        Self {
            messages_per_minute: env.u32("PARLEY_RATE_MESSAGES_PER_MINUTE", 200, 0..=MOST),
            group_messages_per_minute: env.u32(
                "PARLEY_RATE_GROUP_MESSAGES_PER_MINUTE",
                30,
                0..=MOST,
            ),
            new_account_conversations_per_day: env.u32(
                "PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY",
                10,
                0..=MOST,
            ),
            new_account: Duration::from_secs(seconds.into()),
            stranger_calls_per_minute: env.u32(
                "PARLEY_RATE_STRANGER_CALLS_PER_MINUTE",
                300,
                0..=MOST,
            ),
            searches_per_minute: env.u32("PARLEY_RATE_SEARCHES_PER_MINUTE", 60, 0..=MOST),
            attachments_per_hour: env.u32("PARLEY_RATE_ATTACHMENTS_PER_HOUR", 200, 0..=MOST),
            leases: env.usize("PARLEY_RATE_LEASES", 200_000, 1..=100_000_000),
            patience: env.duration_millis("PARLEY_RATE_PATIENCE_MILLIS", 500, 10..=10_000),
        }
    }
}
