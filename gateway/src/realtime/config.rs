//! The realtime part of the gateway's environment.

use std::time::Duration;

use parley_projections::queries::SyncLimits;
use parley_runtime::config::Env;

use super::{
    hub::HubConfig,
    session::{FloodConfig, SessionConfig},
};
use crate::presence::PresenceConfig;

/// Every bound of sockets, rings and syncs.
#[derive(Debug, Clone, Copy)]
pub struct RealtimeConfig {
    pub session: SessionConfig,
    pub hub: HubConfig,
    pub presence: PresenceConfig,
    /// How much of each shard's log is read into its ring at start.
    pub preload_events: u64,
    pub page: SyncLimits,
    /// Syncs that ask the database at the same time.
    pub pages_at_once: usize,
    /// Devices of which it is remembered whether their sessions are over.
    pub device_entries: usize,
    /// Accounts of which it is remembered what their owners show of themselves.
    pub account_entries: usize,
    /// A socket that takes no byte for so long is dropped.
    pub write_timeout: Duration,
    /// From the announcement of a drain to its end; clients come back spread over it.
    pub drain: Duration,
}

impl RealtimeConfig {
    /// Reads `PARLEY_*`; what is wrong is collected in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        const KIB: usize = 1_024;
        const MIB: usize = 1_024 * KIB;
        Self {
            session: SessionConfig {
                hello_timeout: env.duration_millis(
                    "PARLEY_HELLO_TIMEOUT_MILLIS",
                    5_000,
                    10..=60_000,
                ),
                heartbeat: env.duration_seconds("PARLEY_HEARTBEAT_SECONDS", 25, 1..=300),
                flood: FloodConfig {
                    frames_per_second: env.u32(
                        "PARLEY_SOCKET_FRAMES_PER_SECOND",
                        1_000,
                        1..=1_000_000,
                    ),
                    burst_frames: env.u32("PARLEY_SOCKET_BURST_FRAMES", 5_000, 1..=10_000_000),
                },
                max_in_flight: env.u32("PARLEY_SOCKET_COMMANDS_IN_FLIGHT", 512, 1..=10_000),
                max_outbound_bytes: env.bytes(
                    "PARLEY_SOCKET_OUTBOUND_BYTES",
                    MIB,
                    16 * KIB..=256 * MIB,
                ),
                token_interval: env.duration_millis(
                    "PARLEY_TOKEN_INTERVAL_MILLIS",
                    5_000,
                    100..=60_000,
                ),
            },
            hub: HubConfig {
                ring_bytes: env.bytes("PARLEY_RING_BYTES", 64 * MIB, 64 * KIB..=64 * 1_024 * MIB),
                member_bytes: env.bytes(
                    "PARLEY_GROUP_MEMBERS_BYTES",
                    128 * MIB,
                    64 * KIB..=64 * 1_024 * MIB,
                ),
            },
            presence: PresenceConfig::from_env(env),
            preload_events: env.u64("PARLEY_RING_PRELOAD_EVENTS", 20_000, 0..=10_000_000),
            page: SyncLimits {
                max_conversations: env.u32("PARLEY_SYNC_PAGE_CONVERSATIONS", 50, 1..=200),
                max_messages: env.u32("PARLEY_SYNC_PAGE_MESSAGES", 200, 1..=1_000),
            },
            pages_at_once: env.usize("PARLEY_SYNC_PAGES_AT_ONCE", 6, 1..=1_000),
            device_entries: env.usize("PARLEY_DEVICES_REMEMBERED", 100_000, 1..=100_000_000),
            account_entries: env.usize("PARLEY_ACCOUNTS_REMEMBERED", 100_000, 1..=100_000_000),
            write_timeout: env.duration_millis(
                "PARLEY_SOCKET_WRITE_TIMEOUT_MILLIS",
                15_000,
                100..=600_000,
            ),
            drain: env.duration_millis("PARLEY_SOCKET_DRAIN_MILLIS", 5_000, 0..=600_000),
        }
    }
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self::from_env(&mut Env::default())
    }
}
