//! What Prometheus sees of the owners of shards.

use std::sync::LazyLock;

use parley_runtime::metrics;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

/// Commands by how they were answered.
pub static ANSWERED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_commands_answered_total",
        "Commands answered: accepted, refused by name, or failed",
        &["outcome"],
    )
});
/// From a command's arrival at its owner to the answer, the log's flush included.
pub static SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    metrics::seconds(
        "parley_commands_seconds",
        "From a command's arrival at the owner of its shard to its answer",
        &["outcome"],
    )
});
/// How often a shard's end was read into memory: at each start and take-over.
pub static RECOVERED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_commands_recovered_total",
        "How often the end of the shard's log was read into memory",
        &["shard"],
    )
});

static OWNED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    metrics::gauges("parley_commands_owned", "Whether this process owns the shard", &["shard"])
});

/// A shard counts as owned while this is there.
pub struct Owned(IntGauge);

impl Owned {
    pub fn new(shard: u16) -> Self {
        let gauge = OWNED.with_label_values(&[&shard.to_string()]);
        gauge.set(1);
        Self(gauge)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.set(0);
    }
}
