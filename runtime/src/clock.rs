//! The time, as something that can be given to a program.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in UTC milliseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync + 'static {
    fn now_millis(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis());
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since).unwrap_or(i64::MAX),
            Err(before) => millis(before.duration()).map_or(i64::MIN, |ago| -ago),
        }
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    #[must_use]
    pub const fn at(millis: i64) -> Self {
        Self { millis: AtomicI64::new(millis) }
    }

    pub fn set(&self, millis: i64) {
        self.millis.store(millis, Ordering::SeqCst);
    }

    /// Moves it by so many milliseconds, backwards if negative.
    pub fn advance(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now_millis(&self) -> i64 {
        C::now_millis(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(1_000);
        assert_eq!(clock.now_millis(), 1_000);
        clock.advance(-1);
        assert_eq!(clock.now_millis(), 999);
        clock.set(5);
        assert_eq!(clock.now_millis(), 5);
    }

    #[test]
    fn the_system_clock_is_past_2026() {
        assert!(SystemClock.now_millis() > 1_767_225_600_000);
    }
}
