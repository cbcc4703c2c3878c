//! What a gateway has in hand of one limit. Pure.

use std::time::{Duration, Instant};

use parley_commands::rates::Grant;

/// What was not used by then is given up: it is counted already, and a person who moves to another
/// gateway must not be short of it.
const LEASE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Lease {
    left: u32,
    until: Option<Instant>,
    /// Nothing is asked for before this.
    refused_until: Option<Instant>,
    /// How many were asked for last.
    wanted: u32,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    No {
        retry_after: Duration,
    },
    /// It takes another grant to know.
    Ask,
}

impl Lease {
    pub fn take(&mut self, now: Instant) -> Taken {
        if let Some(retry_after) = self.refused(now) {
            return Taken::No { retry_after };
        }
        if self.left == 0 || self.until.is_none_or(|until| until <= now) {
            return Taken::Ask;
        }
        self.left -= 1;
        Taken::Yes
    }

    /// How long nothing more will be granted.
    pub fn refused(&self, now: Instant) -> Option<Duration> {
        self.refused_until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// How many to ask for: one at first, twice as many each time that they were used up, so that
    /// only those who do much take more than they need.
    pub fn wanted(&mut self, max: u32) -> u32 {
        let used_up = self.left == 0 && self.until.is_some();
        self.wanted = if used_up { self.wanted.saturating_mul(2).clamp(1, max) } else { 1 };
        self.wanted
    }

    pub fn grant(&mut self, grant: Grant, now: Instant) {
        self.left = grant.granted;
        self.until = Some(now + LEASE);
        self.refused_until =
            (grant.granted == 0).then(|| now + Duration::from_millis(grant.retry_after_ms.max(1)));
    }

    /// Whether nothing would be lost if it were forgotten.
    pub fn is_over(&self, now: Instant) -> bool {
        self.refused(now).is_none() && self.until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(granted: u32, retry_after_ms: u64) -> Grant {
        Grant { granted, retry_after_ms }
    }

    #[test]
    fn a_lease_is_used_up_and_asked_for_again_with_more() {
        let now = Instant::now();
        let mut lease = Lease::default();
        let mut sizes = Vec::new();
        for _ in 0..5 {
            assert_eq!(lease.take(now), Taken::Ask);
            let wanted = lease.wanted(10);
            lease.grant(grant(wanted, 0), now);
            for _ in 0..wanted {
                assert_eq!(lease.take(now), Taken::Yes);
            }
            sizes.push(wanted);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 10]);
    }

    #[test]
    fn what_was_not_used_in_time_is_given_up_and_less_is_asked_for() {
        let now = Instant::now();
        let mut lease = Lease::default();
        lease.grant(grant(8, 0), now);
        assert_eq!(lease.take(now), Taken::Yes);
        assert!(!lease.is_over(now));
        let later = now + LEASE;
        assert_eq!(lease.take(later), Taken::Ask);
        assert!(lease.is_over(later));
        assert_eq!(lease.wanted(10), 1);
    }

    #[test]
    fn a_refusal_holds_until_its_time() {
        let now = Instant::now();
        let mut lease = Lease::default();
        lease.grant(grant(0, 1_500), now);
        let retry_after = Duration::from_millis(1_500);
        assert_eq!(lease.take(now), Taken::No { retry_after });
        assert!(!lease.is_over(now + LEASE / 5));
        assert_eq!(lease.take(now + retry_after), Taken::Ask);
    }
}
