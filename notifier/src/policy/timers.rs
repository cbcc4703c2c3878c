//! What becomes of a thread's timer once it was looked at.

use parley_domain::Timestamp;

use super::decide::{Decision, Wait};
use crate::thread::{NotificationThread, ThreadEvent};

/// Why a thread is looked at; the state of its timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A window has ended.
    Open,
    /// A window was cancelled by a reading.
    Read,
    /// They were told; what comes meanwhile only counts.
    Cooling,
    /// It was put off.
    Deferred,
}

impl Trigger {
    const ALL: [Self; 4] = [Self::Open, Self::Read, Self::Cooling, Self::Deferred];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Cooling => "cooling",
            Self::Deferred => "deferred",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == text)
    }
}

/// A timer after it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is gone: the next message opens a window.
    Done,
    At(Trigger, Timestamp),
}

/// Follows from the thread as it is after the decision, so that it may be asked again.
pub fn next(thread: &NotificationThread, decision: &Decision, at: Timestamp) -> Next {
    match (decision, &thread.last) {
        (Decision::Wait(Wait::Grace(until)), _) => Next::At(Trigger::Open, *until),
        (Decision::Wait(Wait::Cooling(until)), _) => Next::At(Trigger::Cooling, *until),
        (Decision::Event(_) | Decision::Known, Some(ThreadEvent::Told(told)))
            if told.cools_until() > at =>
        {
            Next::At(Trigger::Cooling, told.cools_until())
        }
        (Decision::Event(_) | Decision::Known, Some(ThreadEvent::Deferred { until, .. }))
            if *until > at =>
        {
            Next::At(Trigger::Deferred, *until)
        }
        (Decision::Event(_) | Decision::Known, _) => Next::Done,
    }
}
