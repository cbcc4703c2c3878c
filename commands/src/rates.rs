//! How many calls somebody may make in a while, over all gateways.
//!
//! The owner of a shard counts what it is asked for in a window that slides, and gateways take
//! small grants of it in advance. So a limit holds whichever gateways a person is connected to, and
//! costs a message a round trip now and then only. The counts are in memory and end with their
//! owner: a take-over forgives what was spent, and nothing is ever lost for it.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use parley_domain::{AccountId, ConversationId, UserId};
use parley_nats::subjects::shard_of;
use serde::{Deserialize, Serialize};

/// A window is counted in so many parts: how exactly it slides.
const PARTS: u64 = 60;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Counted {
    /// Everything that a person sends.
    Messages { user_id: UserId },
    /// What a person sends into one group or channel.
    GroupMessages { user_id: UserId, conversation_id: ConversationId },
    /// Conversations that a person begins.
    NewConversations { user_id: UserId },
    /// Codes that a person types in to prove a phone.
    Codes { user_id: UserId },
    /// Pages of searches that a person asks for.
    Searches { user_id: UserId },
    /// Files that a person reserves.
    Attachments { user_id: UserId },
    /// Calls of an address that is nobody's.
    Strangers { address: IpAddr },
}

impl Counted {
    /// Whose owner counts it.
    pub(crate) fn shard(&self, shards: u16) -> u16 {
        match self {
            Self::Messages { user_id }
            | Self::NewConversations { user_id }
            | Self::Codes { user_id }
            | Self::Searches { user_id }
            | Self::Attachments { user_id } => shard_of(&AccountId::of(user_id), shards),
            Self::GroupMessages { conversation_id, .. } => shard_of(conversation_id, shards),
            // Any owner will do, if only it is always the same.
            Self::Strangers { address } => {
                let name = address.to_string().replace([':', '.'], "-");
                AccountId::parse(&format!("a.{name}")).map_or(0, |id| shard_of(&id, shards))
            }
        }
    }
}

/// Asks for some of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateRequest {
    pub counted: Counted,
    /// So many...
    pub limit: u32,
    /// ...in any time as long as this, in seconds.
    pub window_seconds: u32,
    /// So many are asked for: as many of them as there are left will be granted.
    pub wanted: u32,
    /// So many are known to have been in the window, counted by somebody who forgets nothing.
    #[serde(default)]
    pub at_least: u32,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub granted: u32,
    /// If none was: when there will be one again.
    pub retry_after_ms: u64,
}

/// The counts of one owner, bounded.
#[derive(Debug)]
pub struct Limiter {
    max_windows: usize,
    windows: HashMap<Counted, Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// Grants by the part of time that they were given in, ascending.
    grants: VecDeque<(u64, u32)>,
    sum: u32,
    /// When it is empty, in milliseconds.
    over_ms: u64,
}

impl Limiter {
    pub fn new(max_windows: usize) -> Self {
        Self { max_windows, windows: HashMap::new() }
    }

    /// `now_ms`: since any moment, if only it does not go back.
    pub fn take(&mut self, request: &RateRequest, now_ms: u64) -> Grant {
        let window_ms = u64::from(request.window_seconds.max(1)) * 1_000;
        if self.windows.len() >= self.max_windows && !self.windows.contains_key(&request.counted) {
            self.windows.retain(|_, window| window.over_ms > now_ms);
            if self.windows.len() >= self.max_windows {
                // Better not to count somebody than to keep everybody's counts without bound.
                return Grant { granted: request.wanted, retry_after_ms: 0 };
            }
        }
        let window = self.windows.entry(request.counted.clone()).or_default();
        window.take(request, window_ms, now_ms)
    }
}

impl Window {
    fn take(&mut self, request: &RateRequest, window_ms: u64, now_ms: u64) -> Grant {
        let part_ms = (window_ms / PARTS).max(1);
        let part = now_ms / part_ms;
        while let Some((oldest, granted)) = self.grants.front()
            && oldest.saturating_add(PARTS) < part
        {
            self.sum = self.sum.saturating_sub(*granted);
            self.grants.pop_front();
        }
        let used = self.sum.max(request.at_least);
        let granted = request.limit.saturating_sub(used).min(request.wanted);
        if granted == 0 {
            let end = self.grants.front().map_or(part_ms, |(oldest, _)| {
                (oldest.saturating_add(PARTS + 1)).saturating_mul(part_ms).saturating_sub(now_ms)
            });
            return Grant { granted, retry_after_ms: end.clamp(1, window_ms) };
        }
        match self.grants.back_mut() {
            Some((newest, sum)) if *newest == part => *sum = sum.saturating_add(granted),
            Some(_) | None => self.grants.push_back((part, granted)),
        }
        self.sum = self.sum.saturating_add(granted);
        self.over_ms = now_ms.saturating_add(window_ms + part_ms);
        Grant { granted, retry_after_ms: 0 }
    }
}

impl RateRequest {
    /// `limit` in any `window`.
    pub fn new(counted: Counted, limit: u32, window: Duration, wanted: u32) -> Self {
        let window_seconds = u32::try_from(window.as_secs()).unwrap_or(u32::MAX);
        Self { counted, limit, window_seconds, wanted, at_least: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn messages(user: &str) -> Counted {
        Counted::Messages { user_id: UserId::parse(user).unwrap() }
    }

    fn take(limiter: &mut Limiter, user: &str, wanted: u32, now_ms: u64) -> Grant {
        limiter.take(&RateRequest::new(messages(user), 200, MINUTE, wanted), now_ms)
    }

    #[test]
    fn grants_end_with_the_limit_and_come_back_as_the_window_slides() {
        let mut limiter = Limiter::new(10);
        assert_eq!(take(&mut limiter, "alice", 150, 0).granted, 150);
        assert_eq!(take(&mut limiter, "alice", 150, 30_000).granted, 50);
        let none = take(&mut limiter, "alice", 1, 30_000);
        assert_eq!(none, Grant { granted: 0, retry_after_ms: 31_000 });
        assert_eq!(take(&mut limiter, "bob", 1, 30_000).granted, 1);
        assert_eq!(take(&mut limiter, "alice", 200, 30_000 + none.retry_after_ms).granted, 150);
    }

    #[test]
    fn what_somebody_else_counted_counts() {
        let mut limiter = Limiter::new(10);
        let known =
            RateRequest { at_least: 199, ..RateRequest::new(messages("alice"), 200, MINUTE, 5) };
        assert_eq!(limiter.take(&known, 0).granted, 1);
        let more = RateRequest { at_least: 250, ..known };
        assert_eq!(limiter.take(&more, 0).granted, 0);
    }

    #[test]
    fn counts_are_bounded_and_those_that_are_over_make_room() {
        let mut limiter = Limiter::new(2);
        assert_eq!(take(&mut limiter, "a", 200, 0).granted, 200);
        assert_eq!(take(&mut limiter, "b", 200, 0).granted, 200);
        assert_eq!(take(&mut limiter, "c", 300, 0).granted, 300);
        assert_eq!(limiter.windows.len(), 2);
        assert_eq!(take(&mut limiter, "c", 300, 120_000).granted, 200);
        assert_eq!(limiter.windows.len(), 1);
    }

    #[test]
    fn every_sort_has_a_shard() {
        let user_id = UserId::parse("alice").unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for counted in [
            Counted::Messages { user_id: user_id.clone() },
            Counted::NewConversations { user_id },
            Counted::Strangers { address: v6 },
        ] {
            assert!(counted.shard(4) < 4);
        }
    }

    proptest! {
        /// In no minute more than the limit, and never a refusal without need.
        #[test]
        fn no_window_holds_more_than_the_limit(
            asks in proptest::collection::vec((0..5_000_u64, 1..20_u32), 1..300)
        ) {
            let mut limiter = Limiter::new(10);
            let (mut now, mut granted) = (0, Vec::<(u64, u32)>::new());
            for (later, wanted) in asks {
                now += later;
                let grant = take(&mut limiter, "alice", wanted, now);
                let within = |ms: u64| granted.iter().filter(|(at, _)| at + ms > now).map(|(_, n)| n).sum::<u32>();
                prop_assert!(within(60_000) + grant.granted <= 200);
                if grant.granted < wanted {
                    // A part of the window is the exactness.
                    prop_assert!(within(62_000) + grant.granted >= 200);
                }
                granted.push((now, grant.granted));
            }
        }
    }
}
