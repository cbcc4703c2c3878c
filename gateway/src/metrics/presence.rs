//! What presence and typing count, as Prometheus reads it.

use std::sync::atomic::Ordering;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, Opts, Result,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::realtime::{gauge, set};
use crate::realtime::Realtime;

/// Reads the counters whenever it is asked.
pub struct PresenceCollector {
    realtime: Realtime,
    here: IntGauge,
    everywhere: IntGauge,
    gateways: IntGauge,
    refused: IntCounter,
    watchers: IntGauge,
    waiting: IntGauge,
    told: IntCounter,
    changes: IntCounter,
    lookups: IntCounterVec,
    last_seen: IntCounterVec,
    last_seen_waiting: IntGauge,
    typing: IntCounterVec,
}

impl PresenceCollector {
    pub fn new(realtime: Realtime) -> Result<Self> {
        let by_outcome = |name, help| IntCounterVec::new(Opts::new(name, help), &["outcome"]);
        Ok(Self {
            realtime,
            here: IntGauge::new(
                "parley_gateway_presence_here",
                "People connected to this gateway, or a moment ago",
            )?,
            everywhere: IntGauge::new(
                "parley_gateway_presence_users",
                "People connected anywhere, as this gateway knows it",
            )?,
            gateways: IntGauge::new(
                "parley_gateway_presence_gateways",
                "Gateways that give signs of life",
            )?,
            refused: IntCounter::new(
                "parley_gateway_presence_refused_total",
                "People who were not taken into a full table",
            )?,
            watchers: IntGauge::new(
                "parley_gateway_presence_watchers",
                "Sessions that watch somebody",
            )?,
            waiting: IntGauge::new(
                "parley_gateway_presence_waiting",
                "Sessions that wait for the database to say whom they may watch",
            )?,
            told: IntCounter::new(
                "parley_gateway_presence_told_total",
                "Entries written for other gateways",
            )?,
            changes: IntCounter::new(
                "parley_gateway_presence_changes_total",
                "People who came online or went offline, as this gateway saw it",
            )?,
            lookups: by_outcome(
                "parley_gateway_presence_lookups_total",
                "Questions to the database about who may watch whom",
            )?,
            last_seen: by_outcome(
                "parley_gateway_last_seen_total",
                "Times at which somebody was last seen, written or given up",
            )?,
            last_seen_waiting: IntGauge::new(
                "parley_gateway_last_seen_waiting",
                "Times at which somebody was last seen that wait to be written",
            )?,
            typing: by_outcome(
                "parley_gateway_typing_total",
                "Typing frames for sessions, given or dropped under load",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 12] {
        [
            &self.here,
            &self.everywhere,
            &self.gateways,
            &self.refused,
            &self.watchers,
            &self.waiting,
            &self.told,
            &self.changes,
            &self.lookups,
            &self.last_seen,
            &self.last_seen_waiting,
            &self.typing,
        ]
    }

    fn read(&self) {
        let presence = self.realtime.presence();
        let now = presence.gauges();
        self.here.set(gauge(now.here as u64));
        self.everywhere.set(gauge(now.table.users as u64));
        self.gateways.set(gauge(now.table.gateways as u64));
        self.refused.inc_by(now.table.refused.saturating_sub(self.refused.get()));
        self.watchers.set(gauge(now.watchers as u64));
        self.waiting.set(gauge(now.waiting as u64));
        self.last_seen_waiting.set(gauge(now.notes as u64));
        let counted = presence.counters();
        set(&self.told, counted.told.load(Ordering::Relaxed));
        set(&self.changes, counted.changes.load(Ordering::Relaxed));
        let failed = counted.failed_lookups.load(Ordering::Relaxed);
        let asked = counted.lookups.load(Ordering::Relaxed);
        let outcome = |vec: &IntCounterVec, name: &str| vec.with_label_values(&[name]);
        set(&outcome(&self.lookups, "failed"), failed);
        set(&outcome(&self.lookups, "answered"), asked.saturating_sub(failed));
        set(&outcome(&self.last_seen, "written"), counted.noted.load(Ordering::Relaxed));
        set(&outcome(&self.last_seen, "dropped"), counted.notes_dropped.load(Ordering::Relaxed));
        let counted = self.realtime.hub().counters();
        set(&outcome(&self.typing, "given"), counted.whispers.load(Ordering::Relaxed));
        set(&outcome(&self.typing, "dropped"), counted.whispers_dropped.load(Ordering::Relaxed));
    }
}

impl Collector for PresenceCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
