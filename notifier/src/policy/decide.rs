//! What is decided about telling somebody, when a window, a cool-down or a deferral has ended.

use std::time::Duration;

use parley_domain::{
    ConversationId, Timestamp,
    account::{self, Settings},
};
use uuid::Uuid;

use super::{Capped, Policy, Reason, Standing, Target, later, quiet, timers::Trigger};
use crate::{
    channels::ChannelKind,
    thread::{NotificationThread, ThreadEvent, Told},
};

/// What is true now.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub trigger: Trigger,
    /// `<userId> <conversationId>`, or `<userId> *<channel>`: the notification's name is made from
    /// it.
    pub thread_id: String,
    /// `None`: a digest over all conversations.
    pub conversation: Option<ConversationId>,
    pub standing: Standing,
    pub online: bool,
    pub settings: Settings,
    /// Verified, and not known to be dead.
    pub endpoints: Vec<Target>,
    /// Channels that they were told by as often as is allowed.
    pub full: Vec<Capped>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Decided, and why; to be kept.
    Event(ThreadEvent),
    /// Already decided, or the same as a moment ago.
    Known,
    /// Too early.
    Wait(Wait),
}

/// Until when it is too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The grace of what came at the end of a cool-down.
    Grace(Timestamp),
    /// A cool-down that goes on.
    Cooling(Timestamp),
}

/// Of the names that notifications get.
const NAMES: Uuid = Uuid::from_u128(0x8f3c_0f0e_5d0b_4c55_9c3f_7a1e_2b64_d9a1);

/// The name of the notification about a thread's messages from this number on: the same, however
/// often it is decided.
pub fn notification_id(thread_id: &str, first_seq: u64) -> Uuid {
    Uuid::new_v5(&NAMES, format!("{thread_id} {first_seq}").as_bytes())
}

impl NotificationThread {
    /// Decides. Deciding the same again, or later with nothing new, is [`Decision::Known`].
    pub fn decide(&self, facts: &Facts, policy: &Policy, at: Timestamp) -> Decision {
        if facts.trigger == Trigger::Read {
            return self.skip(Reason::Read, facts, policy, at);
        }
        if facts.standing.last_seq <= self.settled_through {
            return Decision::Known;
        }
        if let Some(wait) = self.too_early(facts, policy, at) {
            return Decision::Wait(wait);
        }
        match against(facts, at) {
            Some(Against::Skip(reason)) => self.skip(reason, facts, policy, at),
            Some(Against::Defer(until)) => self.defer(until, facts, at),
            None => self.tell(facts, policy, at),
        }
    }

    fn too_early(&self, facts: &Facts, policy: &Policy, at: Timestamp) -> Option<Wait> {
        // Whoever has read since is not in the cool-down any more.
        let cooling = self.told.as_ref().filter(|told| facts.standing.read_seq <= told.read_seq);
        if let Some(told) = cooling.filter(|told| told.cools_until() > at) {
            return Some(Wait::Cooling(told.cools_until()));
        }
        if facts.trigger == Trigger::Cooling {
            let grace_ends = facts.standing.last_at.map(|last_at| later(last_at, policy.grace));
            return grace_ends.filter(|ends| *ends > at).map(Wait::Grace);
        }
        None
    }

    fn skip(&self, reason: Reason, facts: &Facts, policy: &Policy, at: Timestamp) -> Decision {
        // A reading settles what it read; the rest waits for the next message.
        let through_seq = match reason {
            Reason::Read => facts.standing.read_seq,
            Reason::Online
            | Reason::NotMember
            | Reason::Deleted
            | Reason::Muted
            | Reason::Blocked
            | Reason::QuietHours
            | Reason::Preferences
            | Reason::NoEndpoint
            | Reason::Capped => facts.standing.last_seq,
        };
        // A lively conversation that somebody has muted would be decided on all day long.
        if let Some(ThreadEvent::Skipped { reason: last, at: last_at, through_seq: known, .. }) =
            &self.last
            && *last == reason
            && (*known >= through_seq || later(*last_at, policy.cooldown) > at)
        {
            return Decision::Known;
        }
        let capped = if reason == Reason::Capped { facts.capped() } else { Vec::new() };
        let messages = facts.standing.unread;
        Decision::Event(ThreadEvent::Skipped { reason, at, through_seq, messages, capped })
    }

    fn defer(&self, until: Timestamp, facts: &Facts, at: Timestamp) -> Decision {
        if let Some(ThreadEvent::Deferred { until: known, .. }) = &self.last
            && *known == until
        {
            return Decision::Known;
        }
        let (reason, messages) = (Reason::QuietHours, facts.standing.unread);
        Decision::Event(ThreadEvent::Deferred { reason, at, messages, until })
    }

    fn tell(&self, facts: &Facts, policy: &Policy, at: Timestamp) -> Decision {
        let first_seq = facts.standing.read_seq.max(self.settled_through).saturating_add(1);
        let unread_since =
            self.told.as_ref().filter(|told| facts.standing.read_seq <= told.read_seq);
        let cooldown = unread_since.map_or(policy.cooldown, |told| {
            told.cooldown().saturating_mul(2).min(policy.cooldown_max).max(policy.cooldown)
        });
        // A digest over all conversations comes as soon as its cap allows.
        let is_over_all = facts.conversation.is_none();
        let cooldown = if is_over_all { Duration::ZERO } else { cooldown };
        let targets =
            facts.wanted().filter(|target| facts.cap(target).is_none()).cloned().collect();
        Decision::Event(ThreadEvent::Told(Told {
            notification_id: notification_id(&facts.thread_id, first_seq),
            at,
            first_seq,
            through_seq: facts.standing.last_seq,
            read_seq: facts.standing.read_seq,
            messages: facts.standing.unread,
            targets,
            capped: facts.capped(),
            cooldown_seconds: cooldown.as_secs(),
        }))
    }
}

/// What is against telling somebody now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    Skip(Reason),
    /// Until then.
    Defer(Timestamp),
}

/// What is against telling somebody now, if anything is.
pub fn against(facts: &Facts, at: Timestamp) -> Option<Against> {
    let skip = |reason| Some(Against::Skip(reason));
    if facts.online {
        return skip(Reason::Online);
    }
    if facts.standing.has_left {
        return skip(Reason::NotMember);
    }
    if facts.standing.unread == 0 || facts.standing.read_seq >= facts.standing.last_seq {
        let all_read =
            facts.standing.read_seq >= facts.standing.last_seq || facts.conversation.is_none();
        return skip(if all_read { Reason::Read } else { Reason::Deleted });
    }
    if facts.standing.muted {
        return skip(Reason::Muted);
    }
    if facts.standing.blocked {
        return skip(Reason::Blocked);
    }
    let settings = &facts.settings;
    let hours = settings.quiet_hours.as_ref();
    if let Some(until) = hours.and_then(|hours| quiet::end(hours, at, &settings.time_zone)) {
        return Some(Against::Defer(until));
    }
    if facts.endpoints.is_empty() {
        return skip(Reason::NoEndpoint);
    }
    let mut wanted = facts.wanted().peekable();
    if wanted.peek().is_none() {
        return skip(Reason::Preferences);
    }
    wanted.all(|target| facts.cap(target).is_some()).then_some(Against::Skip(Reason::Capped))
}

impl Facts {
    /// The endpoints by which they want to be told of this.
    fn wanted(&self) -> impl Iterator<Item = &Target> {
        self.endpoints
            .iter()
            .filter(|target| target.channel.is_wanted(&self.settings, self.conversation.as_ref()))
    }
}

impl Facts {
    fn cap(&self, target: &Target) -> Option<Capped> {
        self.full.iter().find(|capped| capped.channel == target.channel).copied()
    }

    /// The channels that they would be told by if it had not been so often.
    fn capped(&self) -> Vec<Capped> {
        let is_wanted =
            |capped: &&Capped| self.wanted().any(|target| target.channel == capped.channel);
        self.full.iter().filter(is_wanted).copied().collect()
    }
}

impl ChannelKind {
    /// Whether somebody wants to be told by it, of this conversation or in general.
    fn is_wanted(self, settings: &Settings, conversation: Option<&ConversationId>) -> bool {
        let wishes = &settings.notifications;
        let (kind, in_general) = match self {
            Self::Email => (account::ChannelKind::Email, wishes.email),
            Self::Sms => (account::ChannelKind::Sms, wishes.sms),
            Self::WebPush => (account::ChannelKind::WebPush, wishes.webpush),
            Self::Webhook => (account::ChannelKind::Webhook, wishes.webhook),
        };
        conversation.map_or(in_general, |conversation| wishes.allows(kind, conversation))
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
