//! What Prometheus sees of a process: all its services count into one registry.
//!
//! Labels name shards, channels and outcomes, never people or conversations.

use std::net::SocketAddr;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, TextEncoder,
    core::Collector,
};

use crate::config::Env;

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";
/// Upper bounds for what takes a millisecond at best, in seconds.
pub const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A counter for each value of its labels.
#[must_use]
pub fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A number that goes up and down for each value of its labels.
#[must_use]
pub fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// Times in seconds for each value of its labels.
#[must_use]
pub fn seconds(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    registered(HistogramVec::new(options, labels))
}

#[expect(clippy::expect_used, reason = "names are constants of the program, and used once")]
fn registered<C: Collector + Clone + 'static>(metric: prometheus::Result<C>) -> C {
    let metric = metric.expect("a metric's name and labels are well-formed");
    prometheus::register(Box::new(metric.clone())).expect("a metric's name is used once");
    metric
}

/// Everything that was counted in this process, in the text format.
///
/// # Errors
/// If a metric cannot be written.
pub fn text() -> prometheus::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(8 * 1_024);
    TextEncoder::new().encode(&prometheus::gather(), &mut text)?;
    Ok(text)
}

/// `PARLEY_METRICS_LISTEN`: where `/metrics` is served on a port of its own.
pub fn listen(env: &mut Env) -> Option<SocketAddr> {
    env.opt_socket_addr("PARLEY_METRICS_LISTEN")
}
