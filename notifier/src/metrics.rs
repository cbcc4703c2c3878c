//! What Prometheus sees of the notifier.

use std::sync::LazyLock;

use parley_runtime::metrics;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

pub static POSITION: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "parley_notifier_position",
        "Stream sequence up to which the shard was read for notifications",
        &["shard"],
    )
});
pub static WINDOWS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "parley_notifier_windows",
        "People and conversations whose grace is running",
        &["shard"],
    )
});
/// A decision's reason is empty for those who were told.
pub static DECISIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_notifier_decisions_total",
        "Decisions stored: told, skipped or deferred, and why",
        &["decision", "reason"],
    )
});
pub static DELIVERIES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_notifier_deliveries_total",
        "Attempts at a delivery by how they ended: sent, again, waits, cancelled, unknown, endpointDead, dead",
        &["channel", "outcome"],
    )
});
pub static DELIVERY_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    metrics::seconds(
        "parley_notifier_delivery_seconds",
        "Time of an attempt at a delivery",
        &["channel"],
    )
});
/// How often a provider was found to be failing; a push service or webhook counts by its channel.
pub static BREAKERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_notifier_breaker_opened_total",
        "How often a provider failed so often that it is left alone for a while",
        &["channel"],
    )
});
pub static ENDPOINTS_REMOVED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_notifier_endpoints_removed_total",
        "Endpoints taken out of their accounts because their provider says that nobody is there",
        &["channel"],
    )
});
