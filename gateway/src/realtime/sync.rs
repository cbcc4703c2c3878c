//! Catching up: from a token to a place in the rings, by pages out of the database if need be.
//!
//! Pure. A [`Run`] says which page to ask for, is told what was found, and ends with the positions
//! that live events go on from:
//!
//! - a token within the rings needs no page at all;
//! - otherwise pages are read, each one consistent state, and the *first* page's checkpoints are
//!   where events go on: what changed while paging is in the events again, and known by version;
//! - if the views lag so far behind that the rings no longer hold what follows these checkpoints,
//!   the same is done again from there, until they meet.

use serde_json::value::RawValue;

use super::token::{Codec, Paging, Positions, Token};

/// What a page is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Only what changed after it; everything if there is none.
    pub since: Option<Positions>,
    /// The projections' name of the page; the first one if there is none.
    pub cursor: Option<Box<str>>,
    /// The views are behind: give them a moment first.
    pub lagging: bool,
}

/// What was found: one consistent state.
#[derive(Debug, Clone)]
pub struct Page {
    /// Everything up to here is in it.
    pub checkpoints: Positions,
    /// The `conversations` of the contract's Sync.
    pub conversations: Box<RawValue>,
    /// Its `account`.
    pub account: Box<RawValue>,
    pub is_empty: bool,
    /// The projections' name of the next page.
    pub next: Option<Box<str>>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Ask(PageRequest),
    /// Caught up: events go on from here.
    Resume(Positions),
}

/// What a page becomes for the device.
#[derive(Debug)]
pub struct Turned {
    /// The device's token once it has the page.
    pub token: String,
    pub more: bool,
    /// Nothing that the device would want to hear of.
    pub is_idle: bool,
    pub step: Step,
}

/// One catching up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    since: Option<Positions>,
    /// Of the first page.
    base: Option<Positions>,
    cursor: Option<Box<str>>,
    /// How often it began again because the views lagged.
    rounds: u32,
}

impl Run {
    /// `covers`: whether the rings hold everything after some positions.
    pub fn start(token: Option<Token>, covers: impl FnOnce(&[u64]) -> bool) -> (Self, Step) {
        let run = match token {
            None => Self::default(),
            Some(Token::Settled(positions)) if covers(&positions) => {
                return (Self::default(), Step::Resume(positions));
            }
            Some(Token::Settled(positions)) => Self { since: Some(positions), ..Self::default() },
            Some(Token::Paging(Paging { since, base, cursor })) => {
                Self { since, base: Some(base), cursor: Some(cursor), rounds: 0 }
            }
        };
        let ask = run.ask(false);
        (run, ask)
    }

    fn ask(&self, lagging: bool) -> Step {
        Step::Ask(PageRequest { since: self.since.clone(), cursor: self.cursor.clone(), lagging })
    }

    /// Whether everything after `positions` is within what this run gives.
    pub fn reaches_back_to(&self, positions: &[u64]) -> bool {
        match &self.since {
            None => true,
            Some(since) => since.iter().zip(positions).all(|(since, position)| since <= position),
        }
    }

    /// Takes a page.
    pub fn turn(
        &mut self,
        page: &Page,
        codec: Codec,
        covers: impl FnOnce(&[u64]) -> bool,
    ) -> Turned {
        let base = self.base.get_or_insert_with(|| page.checkpoints.clone()).clone();
        let is_idle = self.rounds > 0 && page.is_empty;
        if let Some(next) = &page.next {
            self.cursor = Some(next.clone());
            let paging = Paging { since: self.since.clone(), base, cursor: next.clone() };
            let token = codec.paging(&paging);
            return Turned { token, more: true, is_idle, step: self.ask(false) };
        }
        let token = codec.settled(&base);
        if covers(&base) {
            return Turned { token, more: false, is_idle, step: Step::Resume(base) };
        }
        *self = Self {
            since: Some(base),
            base: None,
            cursor: None,
            rounds: self.rounds.saturating_add(1),
        };
        Turned { token, more: true, is_idle, step: self.ask(true) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn codec() -> Codec {
        Codec::new(Uuid::nil(), 2)
    }

    fn page(checkpoints: [u64; 2], is_empty: bool, next: Option<&str>) -> Page {
        Page {
            checkpoints: checkpoints.into(),
            conversations: RawValue::from_string("[]".to_owned()).unwrap(),
            account: RawValue::from_string("{}".to_owned()).unwrap(),
            is_empty,
            next: next.map(Into::into),
        }
    }

    fn ask(since: Option<[u64; 2]>, cursor: Option<&str>, lagging: bool) -> Step {
        Step::Ask(PageRequest {
            since: since.map(Into::into),
            cursor: cursor.map(Into::into),
            lagging,
        })
    }

    #[test]
    fn a_token_within_the_rings_needs_no_page() {
        let token = Token::Settled([5, 6].into());
        let (_, step) = Run::start(Some(token), |at| at == [5, 6]);
        assert_eq!(step, Step::Resume([5, 6].into()));
    }

    #[test]
    fn events_go_on_from_the_first_pages_checkpoints() {
        let token = Token::Settled([5, 6].into());
        let (mut run, step) = Run::start(Some(token), |_| false);
        assert_eq!(step, ask(Some([5, 6]), None, false));
        let turned = run.turn(&page([10, 10], false, Some("p2")), codec(), |_| true);
        assert!(turned.more);
        assert_eq!(turned.step, ask(Some([5, 6]), Some("p2"), false));
        // A device that is cut here goes on here.
        let (mut resumed, step) = Run::start(codec().read(&turned.token), |_| true);
        assert_eq!(step, turned.step);
        for run in [&mut run, &mut resumed] {
            let turned = run.turn(&page([20, 20], false, None), codec(), |at| at == [10, 10]);
            assert!(!turned.more);
            assert_eq!(turned.step, Step::Resume([10, 10].into()));
            assert_eq!(codec().read(&turned.token), Some(Token::Settled([10, 10].into())));
        }
    }

    #[test]
    fn views_that_lag_are_asked_again_until_they_meet_the_rings() {
        let (mut run, step) = Run::start(None, |_| true);
        assert_eq!(step, ask(None, None, false));
        assert!(run.reaches_back_to(&[0, 0]));
        let turned = run.turn(&page([10, 10], true, None), codec(), |_| false);
        assert!(turned.more && !turned.is_idle);
        assert_eq!(turned.step, ask(Some([10, 10]), None, true));
        assert!(!run.reaches_back_to(&[11, 9]));
        let turned = run.turn(&page([10, 12], true, None), codec(), |_| false);
        assert!(turned.is_idle);
        assert_eq!(turned.step, ask(Some([10, 12]), None, true));
        let turned = run.turn(&page([30, 30], false, None), codec(), |_| true);
        assert!(!turned.more && !turned.is_idle);
        assert_eq!(turned.step, Step::Resume([30, 30].into()));
    }
}
