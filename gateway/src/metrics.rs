//! What Prometheus sees of a gateway. Labels name routes and statuses, never people or
//! conversations.

mod presence;
mod realtime;

use std::{sync::Arc, time::Duration};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::realtime::Realtime;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
    connections: IntGauge,
    refused_connections: IntCounter,
    searched_messages: IntCounter,
}

impl Metrics {
    /// In a registry of its own; errors only if a name below is not one.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("parley_gateway_http_requests_total", "HTTP requests answered"),
            &["method", "route", "status"],
        )?;
        let duration_seconds = HistogramVec::new(
            HistogramOpts::new(
                "parley_gateway_http_request_duration_seconds",
                "Time from the request's head to the answer's head",
            )
            .buckets(parley_runtime::metrics::SECONDS.to_vec()),
            &["method", "route"],
        )?;
        let connections =
            IntGauge::new("parley_gateway_connections", "TCP connections, WebSockets included")?;
        let refused_connections = IntCounter::new(
            "parley_gateway_refused_connections_total",
            "TCP connections refused because the gateway was full",
        )?;
        let searched_messages = IntCounter::new(
            "parley_gateway_searched_messages_total",
            "Messages that searches have looked at",
        )?;
        registry.register(Box::new(searched_messages.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration_seconds.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(refused_connections.clone()))?;
        Ok(Self(Arc::new(Inner {
            registry,
            requests,
            duration_seconds,
            connections,
            refused_connections,
            searched_messages,
        })))
    }

    /// Shows what the sockets count, too.
    pub fn watch(&self, realtime: Realtime) -> prometheus::Result<()> {
        let presence = presence::PresenceCollector::new(realtime.clone())?;
        self.0.registry.register(Box::new(presence))?;
        self.0.registry.register(Box::new(realtime::RealtimeCollector::new(realtime)?))
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.0.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.0.duration_seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    pub(crate) fn connections(&self) -> &IntGauge {
        &self.0.connections
    }

    pub(crate) fn refused_connections(&self) -> &IntCounter {
        &self.0.refused_connections
    }

    pub(crate) fn searched(&self, messages: u64) {
        self.0.searched_messages.inc_by(messages);
    }

    /// Everything, in the text format; with what other services in this process count.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = parley_runtime::metrics::text()?;
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = Metrics::new().unwrap();
        metrics.request("GET", "/v1/conversations/{id}", 200, Duration::from_millis(3));
        metrics.connections().inc();
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        let line = "parley_gateway_http_requests_total\
                    {method=\"GET\",route=\"/v1/conversations/{id}\",status=\"200\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("parley_gateway_connections 1"));
    }
}
