//! What Prometheus sees of files.

use std::sync::LazyLock;

use parley_runtime::metrics;
use prometheus::IntCounterVec;

/// Uploads by their outcome.
pub static UPLOADS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_gateway_attachment_uploads_total",
        "Files that came: kept, refused, or failed for want of the disk or the database",
        &["outcome"],
    )
});
/// Bytes by their direction.
pub static BYTES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_gateway_attachment_bytes_total",
        "Bytes of files that were kept, or sent",
        &["direction"],
    )
});
/// Files that nobody needed.
pub static REMOVED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counters(
        "parley_gateway_attachments_removed_total",
        "Files removed: of messages that were erased, or of none",
        &["why"],
    )
});
