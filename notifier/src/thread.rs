//! `NotificationThread`: what was decided about telling one person of one conversation, or of all
//! of theirs, as a fold of its events.
//!
//! The events are stored by postgres-es ([`store`]) and are the audit: each has its reason. They
//! are storage: a name or shape once written is not changed. Each carries absolute numbers, so a
//! thread folds to the same state when its oldest events are no longer kept.

pub mod store;

use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use parley_domain::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::policy::{
    Capped, Policy, Reason, Target,
    decide::{Decision, Facts},
    later,
};

/// Everything that a decision needs to know of earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NotificationThread {
    /// Messages up to here have been decided on.
    pub settled_through: u64,
    /// The last digest.
    pub told: Option<Told>,
    /// The last event.
    pub last: Option<ThreadEvent>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ThreadEvent {
    Told(Told),
    Skipped {
        reason: Reason,
        at: Timestamp,
        /// Messages up to here were decided on.
        through_seq: u64,
        /// How many waited.
        messages: u64,
        /// For [`Reason::Capped`]: the channels that get a digest over all conversations instead.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        capped: Vec<Capped>,
    },
    /// It is decided again later; nothing goes out before.
    Deferred {
        reason: Reason,
        at: Timestamp,
        messages: u64,
        until: Timestamp,
    },
}

/// One digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub notification_id: Uuid,
    pub at: Timestamp,
    /// The first message that no earlier decision was about.
    pub first_seq: u64,
    pub through_seq: u64,
    /// How far they had read.
    pub read_seq: u64,
    /// How many waited.
    pub messages: u64,
    pub targets: Vec<Target>,
    /// Channels that were left out, and get a digest over all conversations instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<Capped>,
    pub cooldown_seconds: u64,
}

impl Told {
    pub fn cooldown(&self) -> Duration {
        Duration::from_secs(self.cooldown_seconds)
    }

    /// When they may be told again, if they read nothing.
    pub fn cools_until(&self) -> Timestamp {
        later(self.at, self.cooldown())
    }
}

impl ThreadEvent {
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Told(told) => told.at,
            Self::Skipped { at, .. } | Self::Deferred { at, .. } => *at,
        }
    }
}

/// Decide, with everything that is not the thread's own to know.
#[derive(Debug, Clone)]
pub struct Decide {
    pub facts: Facts,
    pub policy: Policy,
    pub at: Timestamp,
}

/// A thread refuses nothing; the frame wants a type.
#[derive(Debug, thiserror::Error)]
pub enum Never {}

impl NotificationThread {
    /// Folds one event. Total.
    pub fn evolve(&mut self, event: ThreadEvent) {
        match &event {
            ThreadEvent::Told(told) => {
                self.settled_through = self.settled_through.max(told.through_seq);
                self.told = Some(told.clone());
            }
            ThreadEvent::Skipped { through_seq, .. } => {
                self.settled_through = self.settled_through.max(*through_seq);
            }
            ThreadEvent::Deferred { .. } => {}
        }
        self.last = Some(event);
    }
}

impl cqrs_es::DomainEvent for ThreadEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Told(_) => "notification.told",
            Self::Skipped { .. } => "notification.skipped",
            Self::Deferred { .. } => "notification.deferred",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// The thin adapter to the frame that the event store is written for.
impl cqrs_es::Aggregate for NotificationThread {
    const TYPE: &'static str = "notificationThread";
    type Command = Decide;
    type Event = ThreadEvent;
    type Error = Never;
    type Services = ();

    async fn handle(
        &mut self,
        Decide { facts, policy, at }: Decide,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Never> {
        if let Decision::Event(event) = self.decide(&facts, &policy, at) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ThreadEvent) {
        self.evolve(event);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_stored_as_they_always_were() {
        let told = json!({
            "decision": "told", "notificationId": "00000000-0000-0000-0000-000000000007",
            "at": "2026-11-21T09:45:00.123Z", "firstSeq": 3, "throughSeq": 9, "readSeq": 2,
            "messages": 7, "targets": [{"channel": "email", "endpointId": "e1"}],
            "capped": [{"channel": "sms", "until": "2026-11-21T10:45:00.123Z"}],
            "cooldownSeconds": 900,
        });
        let skipped = json!({
            "decision": "skipped", "reason": "noEndpoint", "at": "2026-11-21T09:45:00.123Z",
            "throughSeq": 9, "messages": 7,
        });
        let deferred = json!({
            "decision": "deferred", "reason": "quietHours", "at": "2026-11-21T23:45:00.123Z",
            "messages": 7, "until": "2026-11-22T07:00:00.000Z",
        });
        for stored in [told, skipped, deferred] {
            let event: ThreadEvent = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(serde_json::to_value(event).unwrap(), stored);
        }
    }
}
