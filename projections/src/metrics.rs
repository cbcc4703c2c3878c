//! What Prometheus sees of the projectors.

use std::sync::LazyLock;

use parley_runtime::metrics;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// How far into the log the views are, by the projector at work.
pub static POSITION: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges(
        "parley_projections_position",
        "Stream sequence up to which the views hold the shard",
        &["shard"],
    )
});
pub static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters("parley_projections_events_total", "Events written to the views", &["shard"])
});
pub static BATCH_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    metrics::seconds(
        "parley_projections_batch_seconds",
        "Time to write a batch with its checkpoint",
        &["shard"],
    )
});
pub static DEAD_LETTERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_projections_dead_letters_total",
        "Events that could not be applied",
        &["shard"],
    )
});
