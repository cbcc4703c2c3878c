//! Who is connected to this gateway, and what the other gateways have yet to be told of it. Pure.
//!
//! Somebody whose last connection closes is still there for a moment, the *linger*: a page that is
//! loaded again is back by then, and nobody is told anything.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use parley_domain::UserId;

/// An entry that was told so long ago, and has not come back yet, is told again.
const ARRIVES_WITHIN: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub struct Local {
    linger: Duration,
    /// An entry is written again after this, before the server forgets it.
    refresh: Duration,
    users: HashMap<UserId, Here>,
    /// Whom to tell of.
    untold: VecDeque<UserId>,
    /// In the order in which they will have left.
    lingering: VecDeque<(Instant, UserId)>,
}

#[derive(Debug)]
struct Here {
    connections: u32,
    told_at: Option<Instant>,
    /// In `untold`.
    is_queued: bool,
    /// When the last connection was closed, by both clocks.
    closed: Option<(Instant, i64)>,
}

/// What to tell the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    Joined(UserId),
    Left(UserId, i64),
}

impl Local {
    pub fn new(linger: Duration, refresh: Duration) -> Self {
        Self {
            linger,
            refresh,
            users: HashMap::new(),
            untold: VecDeque::new(),
            lingering: VecDeque::new(),
        }
    }

    /// How many people are connected here, or were a moment ago.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    pub fn contains(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.users.keys()
    }

    /// A connection of this user was opened. Says whether [`Self::take_due`] should be called.
    pub fn opened(&mut self, user: &UserId) -> bool {
        let here = self.users.entry(user.clone()).or_insert(Here {
            connections: 0,
            told_at: None,
            is_queued: false,
            closed: None,
        });
        here.connections += 1;
        here.closed = None;
        if here.told_at.is_some() || here.is_queued {
            return false;
        }
        here.is_queued = true;
        self.untold.push_back(user.clone());
        true
    }

    /// One of them was closed. Says whether [`Self::next_due`] may have changed.
    pub fn closed(&mut self, user: &UserId, now: Instant, now_millis: i64) -> bool {
        let Some(here) = self.users.get_mut(user) else { return false };
        here.connections = here.connections.saturating_sub(1);
        if here.connections > 0 {
            return false;
        }
        here.closed = Some((now, now_millis));
        self.lingering.push_back((now + self.linger, user.clone()));
        self.lingering.len() == 1
    }

    /// When to call [`Self::take_due`] next.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        if self.untold.is_empty() { self.lingering.front().map(|(due, _)| *due) } else { Some(now) }
    }

    /// What to tell now, at most `max` of it; it counts as told.
    pub fn take_due(&mut self, now: Instant, max: usize) -> Vec<Tell> {
        let mut due = Vec::new();
        while due.len() < max {
            let Some((at, _)) = self.lingering.front() else { break };
            if *at > now {
                break;
            }
            let Some((at, user)) = self.lingering.pop_front() else { break };
            let closed = self.users.get(&user).and_then(|here| here.closed);
            // They may have come back since, and even have left again.
            if let Some((closed_at, closed_millis)) = closed
                && closed_at + self.linger == at
            {
                self.users.remove(&user);
                due.push(Tell::Left(user, closed_millis));
            }
        }
        while due.len() < max {
            let Some(user) = self.untold.pop_front() else { break };
            if let Some(here) = self.users.get_mut(&user)
                && here.is_queued
            {
                here.is_queued = false;
                here.told_at = Some(now);
                due.push(Tell::Joined(user));
            }
        }
        due
    }

    /// The others have forgotten everything: they are told of everybody again.
    pub fn tell_again(&mut self) {
        for (user, here) in &mut self.users {
            here.told_at = None;
            if !here.is_queued {
                here.is_queued = true;
                self.untold.push_back(user.clone());
            }
        }
    }

    /// Finds entries that have not arrived, or that the server would forget soon, to be told again;
    /// says how many. `arrived`: whether the bucket was seen to have this user here.
    pub fn sweep(&mut self, now: Instant, arrived: impl Fn(&UserId) -> bool) -> usize {
        let before = self.untold.len();
        for (user, here) in &mut self.users {
            let Some(told_at) = here.told_at else { continue };
            let age = now.saturating_duration_since(told_at);
            if !here.is_queued && (age > self.refresh || (age > ARRIVES_WITHIN && !arrived(user))) {
                here.is_queued = true;
                self.untold.push_back(user.clone());
            }
        }
        self.untold.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(1_500);
    const REFRESH: Duration = Duration::from_secs(240);

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn joined(name: &str) -> Tell {
        Tell::Joined(user(name))
    }

    struct World {
        local: Local,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { local: Local::new(LINGER, REFRESH), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn close(&mut self, name: &str, millis: u64) {
            let now = self.at(millis);
            self.local.closed(&user(name), now, i64::try_from(millis).unwrap());
        }

        fn due(&mut self, millis: u64) -> Vec<Tell> {
            let now = self.at(millis);
            self.local.take_due(now, 100)
        }
    }

    #[test]
    fn the_first_connection_is_told_and_the_last_one_after_the_linger() {
        let mut world = World::new();
        assert!(world.local.opened(&user("ann")));
        assert!(!world.local.opened(&user("ann")));
        assert_eq!(world.due(0), [joined("ann")]);
        world.close("ann", 100);
        assert_eq!(world.local.next_due(world.at(100)), None);
        world.close("ann", 200);
        assert_eq!(world.local.next_due(world.at(200)), Some(world.at(1_700)));
        assert_eq!(world.due(1_699), []);
        assert_eq!(world.due(1_700), [Tell::Left(user("ann"), 200)]);
        assert!(world.local.is_empty());
    }

    #[test]
    fn a_page_that_is_loaded_again_is_not_told() {
        let mut world = World::new();
        world.local.opened(&user("ann"));
        world.due(0);
        for round in 0..5 {
            world.close("ann", round * 1_000);
            assert!(!world.local.opened(&user("ann")));
            assert_eq!(world.due(round * 1_000 + 900), []);
        }
        world.close("ann", 5_000);
        assert_eq!(world.due(6_499), []);
        assert_eq!(world.due(6_500), [Tell::Left(user("ann"), 5_000)]);
    }

    #[test]
    fn what_was_lost_is_told_again_and_a_storm_in_parts() {
        let mut world = World::new();
        let names: Vec<String> = (0..250).map(|n| format!("u{n}")).collect();
        for name in &names {
            world.local.opened(&user(name));
        }
        assert_eq!((world.due(0).len(), world.due(0).len(), world.due(0).len()), (100, 100, 50));
        assert_eq!(world.due(0), []);
        world.local.tell_again();
        let mut told = 0;
        while !world.local.untold.is_empty() {
            told += world.due(10).len();
        }
        assert_eq!(told, 250);
        let now = world.at(2_000);
        assert_eq!(world.local.sweep(now, |_| false), 0, "they may still be on their way");
        let now = world.at(4_000);
        assert_eq!(world.local.sweep(now, |user| user.as_str() != "u7"), 1);
        assert_eq!(world.due(4_000), [joined("u7")]);
        let now = world.at(300_000);
        assert_eq!(world.local.sweep(now, |_| true), 250);
    }

    #[test]
    fn one_who_left_before_being_told_is_not_told_as_there() {
        let mut world = World::new();
        world.local.opened(&user("ann"));
        world.close("ann", 0);
        assert_eq!(world.due(1_500), [Tell::Left(user("ann"), 0)]);
        world.local.opened(&user("ann"));
        assert_eq!(world.due(1_600), [joined("ann")], "once, although queued twice");
        assert_eq!(world.due(1_700), []);
    }
}
