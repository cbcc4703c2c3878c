//! How long to wait before the next attempt: exponential, with full jitter, bounded.

use std::time::Duration;

use rand::Rng;

/// The attempts at one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most before the second attempt; twice as much before each further one.
    pub first: Duration,
    /// The most before any attempt.
    pub most: Duration,
    /// In all.
    pub attempts: u32,
}

impl Backoff {
    /// The wait after `failed` attempts, or `None` if that were all.
    ///
    /// It is spread evenly up to its bound, so that what failed together does not come back
    /// together; `not_before` is what the provider asked for, within the bound.
    pub fn wait(
        &self,
        failed: u32,
        not_before: Option<Duration>,
        random: &mut impl Rng,
    ) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doublings = failed.saturating_sub(1).min(31);
        let bound = self.first.saturating_mul(1 << doublings).min(self.most);
        Some(not_before.unwrap_or_default().min(self.most) + upto(bound, random))
    }

    /// What is added to a wait that many share, so that they do not all come back at once.
    pub fn spread(&self, random: &mut impl Rng) -> Duration {
        upto(self.first, random)
    }
}

fn upto(bound: Duration, random: &mut impl Rng) -> Duration {
    let bound_millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.random_range(0..=bound_millis))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(2), most: Duration::from_secs(60), attempts: 9 };

    #[test]
    fn waits_are_spread_up_to_a_bound_that_doubles() {
        let mut random = StdRng::seed_from_u64(1);
        for (failed, bound) in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (8, 60)] {
            let bound = Duration::from_secs(bound);
            let waits: Vec<Duration> =
                (0..500).map(|_| BACKOFF.wait(failed, None, &mut random).unwrap()).collect();
            assert!(waits.iter().all(|wait| *wait <= bound), "{failed}");
            // Evenly: a tenth at either end has some.
            assert!(waits.iter().any(|wait| *wait < bound / 10), "{failed}");
            assert!(waits.iter().any(|wait| *wait > bound * 9 / 10), "{failed}");
        }
    }

    #[test]
    fn attempts_end() {
        let mut random = StdRng::seed_from_u64(2);
        assert!(BACKOFF.wait(8, None, &mut random).is_some());
        assert_eq!(BACKOFF.wait(9, None, &mut random), None);
        assert_eq!(BACKOFF.wait(u32::MAX, None, &mut random), None);
    }

    #[test]
    fn a_provider_is_given_the_time_that_it_asks_for_within_the_bound() {
        let mut random = StdRng::seed_from_u64(3);
        let asked = Duration::from_secs(30);
        let wait = BACKOFF.wait(1, Some(asked), &mut random).unwrap();
        assert!(wait >= asked && wait <= asked + Duration::from_secs(2));
        let wait = BACKOFF.wait(1, Some(Duration::MAX), &mut random).unwrap();
        assert!(wait <= Duration::from_secs(62));
    }
}
