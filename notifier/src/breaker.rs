//! A circuit breaker: a provider that fails again and again is left alone for a while, then one
//! call tries whether it is back. Pure: the time comes in.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it is open the first time; twice as long each further time in a row.
    pub open: Duration,
    /// And at most so long.
    pub open_max: Duration,
}

/// The breaker of one provider.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    state: State,
    /// How often in a row it has opened without a success in between.
    opened: u32,
}

/// How many calls a provider may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Any,
    /// To try whether it is back.
    One,
    /// It is left alone.
    None,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One call is out. If nobody hears of it until then, another one may try.
    Trying {
        until: Instant,
    },
}

impl Breaker {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: State::Closed { failures: 0 }, opened: 0 }
    }

    /// Asks to make a call. Whoever may has to report how it went.
    ///
    /// # Errors
    /// How long to wait, if the provider is being left alone.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } | State::Trying { until } if now < until => Err(until - now),
            State::Open { .. } | State::Trying { .. } => {
                self.state = State::Trying { until: now + self.settings.open };
                Ok(())
            }
        }
    }

    /// How many calls [`Self::admit`] would let through now.
    pub fn room(&self, now: Instant) -> Room {
        match self.state {
            State::Closed { .. } => Room::Any,
            State::Open { until } | State::Trying { until } if now < until => Room::None,
            State::Open { .. } | State::Trying { .. } => Room::One,
        }
    }

    /// The provider works.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
        self.opened = 0;
    }

    /// The provider failed. If it said how long to wait, it is believed at once.
    ///
    /// True if that was one failure too many.
    pub fn failed(&mut self, now: Instant, wait: Option<Duration>) -> bool {
        let was_closed = matches!(self.state, State::Closed { .. });
        if let Some(wait) = wait {
            self.open(now + wait.min(self.settings.open_max));
            return was_closed;
        }
        match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } | State::Trying { .. } => {
                let longer = self.settings.open.saturating_mul(1 << self.opened.min(16));
                self.open(now + longer.min(self.settings.open_max));
            }
            // A call that had been let through before it opened.
            State::Open { .. } => {}
        }
        was_closed && !matches!(self.state, State::Closed { .. })
    }

    /// The call was not made after all: another one may try.
    pub fn withdrawn(&mut self, now: Instant) {
        if let State::Trying { .. } = self.state {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, until: Instant) {
        self.state = State::Open { until };
        self.opened = self.opened.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { failures: 3, open: Duration::from_secs(10), open_max: Duration::from_secs(60) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open(start: Instant) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        for failures in 1..=3 {
            assert_eq!(breaker.admit(start), Ok(()));
            assert_eq!(breaker.failed(start, None), failures == 3);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let start = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..9 {
            breaker.failed(start, None);
            breaker.failed(start, None);
            breaker.succeeded();
        }
        assert_eq!((breaker.room(start), breaker.admit(start)), (Room::Any, Ok(())));
        let mut breaker = open(start);
        assert_eq!((breaker.room(start), breaker.admit(start)), (Room::None, Err(seconds(10))));
    }

    #[test]
    fn one_call_tries_and_its_success_closes_it() {
        let start = Instant::now();
        let mut breaker = open(start);
        let later = start + seconds(10);
        assert_eq!((breaker.room(later), breaker.admit(later)), (Room::One, Ok(())));
        assert_eq!((breaker.room(later), breaker.admit(later)), (Room::None, Err(seconds(10))));
        breaker.succeeded();
        assert_eq!(breaker.room(later), Room::Any);
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[test]
    fn it_stays_open_longer_each_time_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = open(now);
        for wait in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(now), Err(seconds(wait)));
            now += seconds(wait);
            assert_eq!(breaker.admit(now), Ok(()));
            // It was not closed in between.
            assert!(!breaker.failed(now, None));
        }
    }

    #[test]
    fn a_trial_that_is_never_reported_does_not_close_the_way_for_ever() {
        let start = Instant::now();
        let mut breaker = open(start);
        assert_eq!(breaker.admit(start + seconds(10)), Ok(()));
        assert!(breaker.admit(start + seconds(19)).is_err());
        assert_eq!(breaker.admit(start + seconds(20)), Ok(()));
    }

    #[test]
    fn a_trial_that_is_not_made_leaves_its_place() {
        let start = Instant::now();
        let mut breaker = open(start);
        let later = start + seconds(10);
        assert_eq!(breaker.admit(later), Ok(()));
        breaker.withdrawn(later);
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.admit(later).is_err());
    }

    #[test]
    fn a_provider_that_says_how_long_is_believed_within_the_bound() {
        let start = Instant::now();
        let mut breaker = Breaker::new(SETTINGS);
        breaker.failed(start, Some(seconds(7)));
        assert_eq!(breaker.admit(start), Err(seconds(7)));
        breaker.failed(start, Some(seconds(100_000)));
        assert_eq!(breaker.admit(start), Err(seconds(60)));
    }
}
