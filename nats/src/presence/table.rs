//! Who is connected anywhere, as far as the bucket of presence tells. Pure; bounded.
//!
//! A user is online while a gateway that lives has them. A gateway lives for its lease after its
//! last sign of life. When the bucket has to be followed anew, its entries come again one by one;
//! what does not come again within a lease is dropped then, and nothing before, so that a short cut
//! shows nobody as gone.

mod recent;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parley_domain::UserId;

use self::recent::Recent;
use super::MAX_AGE;

/// The bounds of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableConfig {
    pub lease: Duration,
    /// How long the users of a gateway that ended have to come back elsewhere.
    pub linger: Duration,
    pub max_users: usize,
    /// People who are not online, but of whom is remembered when they were.
    pub remembered: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    config: TableConfig,
    /// The gateway that this is: it needs no sign of life of its own.
    me: String,
    numbers: HashMap<String, u32>,
    gateways: HashMap<u32, Gateway>,
    next_number: u32,
    users: HashMap<UserId, Vec<Place>>,
    recent: Recent,
    generation: u32,
    /// When what belongs to an older generation is dropped.
    settles_at: Option<Instant>,
    refused: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    gateway: u32,
    generation: u32,
}

#[derive(Debug)]
struct Gateway {
    alive: bool,
    heard_at: Instant,
    /// By the server's clock.
    heard_millis: i64,
    ends_at: Option<Instant>,
}

/// What may be said of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Online,
    /// `None`: never, or it is not known here.
    Offline(Option<i64>),
}

/// For metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    pub users: usize,
    pub gateways: usize,
    /// People who were not taken, because the table was full.
    pub refused: u64,
}

impl Table {
    pub fn new(me: &str, config: TableConfig) -> Self {
        Self {
            config,
            me: me.to_owned(),
            numbers: HashMap::new(),
            gateways: HashMap::new(),
            next_number: 0,
            users: HashMap::new(),
            recent: Recent::new(config.remembered),
            generation: 0,
            settles_at: None,
            refused: 0,
        }
    }

    pub fn size(&self) -> Size {
        Size {
            users: self.users.len(),
            gateways: self.gateways.values().filter(|gateway| gateway.alive).count(),
            refused: self.refused,
        }
    }

    pub fn presence(&self, user: &str) -> Shown {
        if self.is_online(user) {
            Shown::Online
        } else {
            Shown::Offline(self.recent.get(user).flatten())
        }
    }

    /// Whether [`Self::presence`] knows as much as the database.
    pub fn knows(&self, user: &str) -> bool {
        self.is_online(user) || self.recent.get(user).is_some()
    }

    /// Notes what the database has of somebody.
    pub fn remember(&mut self, user: &UserId, last_seen_millis: Option<i64>) {
        self.recent.note(user, last_seen_millis);
    }

    /// Whether the bucket has this user at this gateway.
    pub fn has_here(&self, user: &str) -> bool {
        let Some(me) = self.numbers.get(&self.me) else { return false };
        self.users.get(user).is_some_and(|places| {
            places.iter().any(|place| place.gateway == *me && place.generation == self.generation)
        })
    }

    /// Those whom the bucket has at this gateway.
    pub fn all_here(&self) -> impl Iterator<Item = &UserId> {
        let me = self.numbers.get(&self.me).copied();
        self.users
            .iter()
            .filter(move |(_, places)| places.iter().any(|place| Some(place.gateway) == me))
            .map(|(user, _)| user)
    }

    /// The bucket is followed from its beginning again.
    pub fn begin(&mut self, now: Instant) {
        self.generation = self.generation.wrapping_add(1);
        self.settles_at = Some(now + self.config.lease);
        self.be_patient(now);
    }

    /// Everything in the bucket was seen, and it is up to date. What does not come again by the end
    /// of a lease from now on is gone.
    pub fn caught_up(&mut self, now: Instant) {
        self.settles_at = Some(now + self.config.lease);
        self.be_patient(now);
    }

    /// Nobody was listened to meanwhile.
    fn be_patient(&mut self, now: Instant) {
        for gateway in self.gateways.values_mut().filter(|gateway| gateway.alive) {
            gateway.heard_at = gateway.heard_at.max(now);
        }
    }

    /// A gateway lives. `ago`: how old its sign is; `at_millis`: the server's time of it.
    pub fn alive(
        &mut self,
        gateway: &str,
        ago: Duration,
        at_millis: i64,
        now: Instant,
        changed: &mut Vec<UserId>,
    ) {
        let number = self.number(gateway, now);
        let Some(known) = self.gateways.get_mut(&number) else { return };
        if at_millis <= known.heard_millis || ago >= self.config.lease {
            return;
        }
        known.heard_millis = at_millis;
        let heard_at = now.checked_sub(ago).unwrap_or(now);
        known.heard_at = if known.alive { known.heard_at.max(heard_at) } else { heard_at };
        known.ends_at = None;
        if !known.alive {
            self.switch(number, true, changed);
        }
    }

    /// A gateway has ended in order; its users are coming back elsewhere.
    pub fn ended(&mut self, gateway: &str, now: Instant) {
        let number = self.number(gateway, now);
        let linger = self.config.linger;
        if let Some(known) = self.gateways.get_mut(&number) {
            known.ends_at = Some(now + linger);
        }
    }

    pub fn joined(
        &mut self,
        gateway: &str,
        user: &UserId,
        now: Instant,
        changed: &mut Vec<UserId>,
    ) {
        let number = self.number(gateway, now);
        let place = Place { gateway: number, generation: self.generation };
        let was_online = self.is_online(user.as_str());
        if let Some(places) = self.users.get_mut(user) {
            match places.iter_mut().find(|known| known.gateway == number) {
                Some(known) => *known = place,
                None => places.push(place),
            }
        } else if self.users.len() < self.config.max_users {
            self.users.insert(user.clone(), vec![place]);
        } else {
            self.refused += 1;
            return;
        }
        if !was_online && self.is_online(user.as_str()) {
            changed.push(user.clone());
        }
    }

    pub fn left(
        &mut self,
        gateway: &str,
        user: &UserId,
        at_millis: Option<i64>,
        changed: &mut Vec<UserId>,
    ) {
        let was_online = self.is_online(user.as_str());
        if let Some(number) = self.numbers.get(gateway)
            && let Some(places) = self.users.get_mut(user)
        {
            places.retain(|place| place.gateway != *number);
            if places.is_empty() {
                self.users.remove(user);
            }
        }
        if at_millis.is_some() {
            self.recent.note(user, at_millis);
        }
        if was_online && !self.is_online(user.as_str()) {
            changed.push(user.clone());
        }
    }

    /// When to call [`Self::expire`] next.
    pub fn next_expiry(&self) -> Option<Instant> {
        let me = self.numbers.get(&self.me);
        let gateways = self.gateways.iter().filter(|(number, _)| Some(*number) != me);
        gateways.map(|(_, gateway)| self.end_of(gateway)).chain(self.settles_at).min()
    }

    /// When a living gateway counts as dead, or a dead one is forgotten.
    fn end_of(&self, gateway: &Gateway) -> Instant {
        if gateway.alive {
            let lease_ends = gateway.heard_at + self.config.lease;
            gateway.ends_at.map_or(lease_ends, |ends_at| ends_at.min(lease_ends))
        } else {
            gateway.heard_at + MAX_AGE * 2
        }
    }

    /// Ends the leases that are over by now.
    pub fn expire(&mut self, now: Instant, changed: &mut Vec<UserId>) {
        let me = self.numbers.get(&self.me).copied();
        let over: Vec<(u32, bool)> = self
            .gateways
            .iter()
            .filter(|(number, gateway)| Some(**number) != me && self.end_of(gateway) <= now)
            .map(|(number, gateway)| (*number, gateway.alive))
            .collect();
        for (number, was_alive) in over {
            if was_alive {
                self.switch(number, false, changed);
            } else {
                self.gateways.remove(&number);
                self.numbers.retain(|_, known| *known != number);
                self.drop_places(|place| place.gateway == number, changed);
            }
        }
        if self.settles_at.is_some_and(|at| at <= now) {
            self.settles_at = None;
            let generation = self.generation;
            self.drop_places(|place| place.generation != generation, changed);
        }
    }

    fn is_online(&self, user: &str) -> bool {
        self.users.get(user).is_some_and(|places| is_online(&self.gateways, places))
    }

    fn number(&mut self, gateway: &str, now: Instant) -> u32 {
        if let Some(number) = self.numbers.get(gateway) {
            return *number;
        }
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.numbers.insert(gateway.to_owned(), number);
        let unheard =
            Gateway { alive: false, heard_at: now, heard_millis: i64::MIN, ends_at: None };
        self.gateways.insert(number, unheard);
        number
    }

    /// A gateway comes to life or dies, and its users with it.
    fn switch(&mut self, number: u32, alive: bool, changed: &mut Vec<UserId>) {
        let Some(gateway) = self.gateways.get_mut(&number) else { return };
        gateway.alive = alive;
        let last_seen = gateway.heard_millis;
        for (user, places) in &self.users {
            let is_there = places.iter().any(|place| place.gateway == number);
            let is_elsewhere = places.iter().any(|place| {
                place.gateway != number
                    && self.gateways.get(&place.gateway).is_some_and(|other| other.alive)
            });
            if is_there && !is_elsewhere {
                changed.push(user.clone());
                if !alive {
                    self.recent.note(user, Some(last_seen));
                }
            }
        }
    }

    fn drop_places(&mut self, over: impl Fn(&Place) -> bool, changed: &mut Vec<UserId>) {
        let gateways = &self.gateways;
        self.users.retain(|user, places| {
            let was_online = is_online(gateways, places);
            places.retain(|place| !over(place));
            if was_online && !is_online(gateways, places) {
                changed.push(user.clone());
            }
            !places.is_empty()
        });
    }
}

fn is_online(gateways: &HashMap<u32, Gateway>, places: &[Place]) -> bool {
    places.iter().any(|place| gateways.get(&place.gateway).is_some_and(|gateway| gateway.alive))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
