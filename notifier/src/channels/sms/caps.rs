//! Against SMS pumping: somebody makes us send to numbers of a provider who shares the fee with
//! them. Such numbers lie close together, so each block of a thousand numbers and each country has
//! its cap. Pure: the time comes in.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;

use super::number::Number;

const WINDOW: Duration = Duration::from_secs(3_600);
/// Blocks and countries that are counted, about 100 bytes each.
const COUNTED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// How many SMS there may be in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// To the thousand numbers that differ in their last three digits.
    pub block_per_hour: u32,
    /// To one country.
    pub country_per_hour: u32,
}

/// What was sent where in the last hour.
#[derive(Debug)]
pub struct Caps {
    settings: Settings,
    counts: LruCache<String, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    sent: u32,
}

impl Caps {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, counts: LruCache::new(COUNTED) }
    }

    /// Counts one SMS to this number.
    ///
    /// # Errors
    /// How long to wait, if there were enough; then nothing is counted.
    pub fn take(&mut self, number: &Number, now: Instant) -> Result<(), Duration> {
        let caps = [
            (number.country.as_str(), self.settings.country_per_hour),
            (number.block(), self.settings.block_per_hour),
        ];
        for (place, cap) in caps {
            let count = self.count(place, now);
            if count.sent >= cap {
                return Err(WINDOW.saturating_sub(now.saturating_duration_since(count.since)));
            }
        }
        for (place, _) in caps {
            let count = self.count(place, now);
            self.counts.put(place.to_owned(), Count { sent: count.sent + 1, ..count });
        }
        Ok(())
    }

    fn count(&mut self, place: &str, now: Instant) -> Count {
        self.counts
            .get(place)
            .copied()
            .filter(|count| now.saturating_duration_since(count.since) < WINDOW)
            .unwrap_or(Count { since: now, sent: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number { e164: text.to_owned(), country: text[1..3].to_owned() }
    }

    #[test]
    fn a_block_and_a_country_have_their_caps() {
        let start = Instant::now();
        let mut caps = Caps::new(Settings { block_per_hour: 3, country_per_hour: 5 });
        for last in 0..3 {
            assert_eq!(caps.take(&number(&format!("+49151123{last}00")), start), Ok(()));
        }
        let later = start + Duration::from_secs(600);
        assert_eq!(caps.take(&number("+49151123900"), later), Err(Duration::from_secs(3_000)));
        // Another block of the country, until the country's cap; another country.
        assert_eq!(caps.take(&number("+49151124000"), later), Ok(()));
        assert_eq!(caps.take(&number("+49151125000"), later), Ok(()));
        assert!(caps.take(&number("+49151126000"), later).is_err());
        assert_eq!(caps.take(&number("+43151126000"), later), Ok(()));
        assert_eq!(caps.take(&number("+49151123900"), start + WINDOW), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_a_country_is_not_forgotten() {
        let start = Instant::now();
        let mut caps = Caps::new(Settings { block_per_hour: 3, country_per_hour: 40_000 });
        for block in 0..40_000 {
            assert_eq!(caps.take(&number(&format!("+49{block:08}000")), start), Ok(()));
        }
        assert_eq!(caps.counts.len(), COUNTED.get());
        assert!(caps.take(&number("+4999999999999"), start).is_err());
    }
}
