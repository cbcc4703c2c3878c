//! What the sockets count, as Prometheus reads it.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Result,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::realtime::{Realtime, protocol::Close};

/// Reads the counters whenever it is asked; sockets only count.
pub struct RealtimeCollector {
    realtime: Realtime,
    sockets: IntGauge,
    closes: IntCounterVec,
    events: IntCounter,
    deliveries: IntCounter,
    poison: IntCounter,
    syncs: IntCounterVec,
    position: IntGaugeVec,
    ring_events_from: IntGaugeVec,
    ring_bytes: IntGaugeVec,
    member_bytes: IntGaugeVec,
}

impl RealtimeCollector {
    pub fn new(realtime: Realtime) -> Result<Self> {
        let shard = &["shard"];
        let gauges = |name, help| IntGaugeVec::new(Opts::new(name, help), shard);
        Ok(Self {
            realtime,
            sockets: IntGauge::new("parley_gateway_sockets", "WebSockets that are open")?,
            closes: IntCounterVec::new(
                Opts::new("parley_gateway_socket_closes_total", "WebSockets ended by the server"),
                &["reason"],
            )?,
            events: IntCounter::new(
                "parley_gateway_events_total",
                "Events of the log that passed",
            )?,
            deliveries: IntCounter::new(
                "parley_gateway_deliveries_total",
                "Events given to a WebSocket",
            )?,
            poison: IntCounter::new(
                "parley_gateway_poison_total",
                "Messages of the log that are no events",
            )?,
            syncs: IntCounterVec::new(
                Opts::new("parley_gateway_syncs_total", "Syncs, by what served them"),
                &["from"],
            )?,
            position: gauges("parley_gateway_log_position", "How far a shard's log was followed")?,
            ring_events_from: gauges(
                "parley_gateway_ring_floor",
                "The position behind which a shard's events are in memory",
            )?,
            ring_bytes: gauges("parley_gateway_ring_bytes", "Memory of a shard's recent events")?,
            member_bytes: gauges(
                "parley_gateway_group_members_bytes",
                "Memory of who is in a shard's recent groups and channels",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 10] {
        [
            &self.sockets,
            &self.closes,
            &self.events,
            &self.deliveries,
            &self.poison,
            &self.syncs,
            &self.position,
            &self.ring_events_from,
            &self.ring_bytes,
            &self.member_bytes,
        ]
    }

    fn read(&self) {
        let counted = self.realtime.counters();
        self.sockets.set(gauge(counted.open.load(Ordering::Relaxed)));
        for (close, number) in Close::ALL.iter().zip(&counted.closed) {
            set(&self.closes.with_label_values(&[close.name()]), count(number));
        }
        let hub = self.realtime.hub();
        let counted = hub.counters();
        set(&self.events, count(&counted.events));
        set(&self.deliveries, count(&counted.deliveries));
        set(&self.poison, count(&counted.poison));
        set(&self.syncs.with_label_values(&["memory"]), count(&counted.ring_hits));
        set(&self.syncs.with_label_values(&["database"]), count(&counted.ring_misses));
        for (shard, span) in hub.spans().enumerate() {
            let shard = shard.to_string();
            let label = &[shard.as_str()];
            self.position.with_label_values(label).set(gauge(span.routed));
            self.ring_events_from.with_label_values(label).set(gauge(span.floor));
            self.ring_bytes.with_label_values(label).set(gauge(span.bytes));
            self.member_bytes.with_label_values(label).set(gauge(span.member_bytes));
        }
    }
}

/// Brings a counter up to a number that only grows.
pub(super) fn set(counter: &IntCounter, number: u64) {
    counter.inc_by(number.saturating_sub(counter.get()));
}

fn count(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

pub(super) fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Collector for RealtimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
