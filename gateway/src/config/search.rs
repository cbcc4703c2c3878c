//! What searching may cost.

use std::time::Duration;

use parley_runtime::config::Env;

/// The bounds of searches at this gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchConfig {
    /// Messages that are looked at for one page.
    pub scan_messages: u32,
    /// After which a page is given with what was found.
    pub time: Duration,
    /// At the same time; each needs a connection to the database now and then.
    pub concurrency: usize,
    /// How long one more waits for its turn.
    pub patience: Duration,
}

impl SearchConfig {
    pub(super) fn from_env(env: &mut Env) -> Self {
        Self {
            scan_messages: env.u32("PARLEY_SEARCH_SCAN_MESSAGES", 20_000, 100..=1_000_000),
            time: env.duration_millis("PARLEY_SEARCH_TIME_MILLIS", 2_000, 10..=10_000),
            concurrency: env.usize("PARLEY_SEARCH_CONCURRENCY", 2, 1..=1_000),
            patience: env.duration_millis("PARLEY_SEARCH_PATIENCE_MILLIS", 1_000, 1..=10_000),
        }
    }
}
