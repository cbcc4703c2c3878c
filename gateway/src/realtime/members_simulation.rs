//! Groups with people who come and go, simulated: what is written, routed, loaded, read, cut and
//! let go of comes in an order drawn from a seed.
//!
//! Kept true in every run: nobody is given an event from outside of their memberships; whoever was
//! in is given all of it, live or out of the ring, or was given a page instead; a group's versions
//! never jump, as pages show what was there before somebody came.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::realtime::{
    feed::{Fed, Feed},
    members::Change,
};

const SHARDS: u16 = 2;
const GROUPS: usize = 5;
const USERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Debug)]
struct Written {
    position: u64,
    group: usize,
    version: u64,
    change: Option<Change>,
    payload: String,
    /// Who may read it.
    readers: BTreeSet<&'static str>,
}

struct Device {
    user: &'static str,
    feed: Option<Feed>,
    positions: Vec<u64>,
    /// Up to here, pages have shown it what there was.
    paged: Vec<u64>,
    given: BTreeSet<(usize, u64)>,
    known: BTreeMap<usize, u64>,
}

struct World {
    rng: StdRng,
    hub: Arc<Hub>,
    log: [Vec<Written>; SHARDS as usize],
    routed: [usize; SHARDS as usize],
    ends: [u64; SHARDS as usize],
    present: Vec<BTreeSet<&'static str>>,
    versions: [u64; GROUPS],
    devices: Vec<Device>,
}

fn shard_of(group: usize) -> usize {
    group % usize::from(SHARDS)
}

fn id(group: usize) -> String {
    format!("g.{}", Uuid::from_u128(group as u128))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let config = HubConfig {
            ring_bytes: rng.random_range(3_000..60_000),
            member_bytes: *[0, 3_000, 1 << 20].choose(&mut rng).unwrap(),
        };
        let devices = (0..8).map(|n| Device {
            user: USERS[n % USERS.len()],
            feed: None,
            positions: vec![0; SHARDS.into()],
            paged: vec![0; SHARDS.into()],
            given: BTreeSet::new(),
            known: BTreeMap::new(),
        });
        Self {
            hub: Arc::new(Hub::new(Codec::new(Uuid::nil(), SHARDS), &[0; SHARDS as usize], config)),
            devices: devices.collect(),
            rng,
            log: Default::default(),
            routed: [0; SHARDS as usize],
            ends: [0; SHARDS as usize],
            present: vec![BTreeSet::new(); GROUPS],
            versions: [0; GROUPS],
        }
    }

    fn write(&mut self) {
        let group = self.rng.random_range(0..GROUPS);
        let user = *USERS.choose(&mut self.rng).unwrap();
        let is_in = self.present[group].contains(user);
        let member = json!({"userId": user, "role": "member", "lastSeq": 0, "memberCount": 1});
        let (kind, data, change) = match self.rng.random_range(0..10) {
            _ if self.versions[group] == 0 => {
                let count = self.rng.random_range(1..4);
                let users: Vec<_> = USERS.choose_multiple(&mut self.rng, count).copied().collect();
                let members: Vec<_> =
                    users.iter().map(|user| json!({"userId": user, "role": "member"})).collect();
                let data = json!({"kind": "group", "members": members});
                let users = users.into_iter().map(SmolStr::new).collect();
                ("conversation.created", data, Some(Change::Created(users)))
            }
            0..2 if !is_in => ("member.added", member, Some(Change::Joined(user.into()))),
            2 if is_in => ("member.removed", member, Some(Change::Left(user.into()))),
            3 if is_in => ("member.left", member, Some(Change::Left(user.into()))),
            _ => ("message.sent", json!({}), None),
        };
        let shard = shard_of(group);
        self.ends[shard] += self.rng.random_range(1..3);
        self.versions[group] += 1;
        let position = self.ends[shard];
        let version = self.versions[group];
        let payload = json!({"version": version, "type": kind, "data": data,
            "group": group, "position": position});
        let present = &mut self.present[group];
        let mut readers = present.clone();
        match &change {
            Some(Change::Created(users)) => {
                present.extend(USERS.iter().filter(|user| users.contains(&SmolStr::new(user))));
                readers.clone_from(present);
            }
            Some(Change::Joined(_)) => {
                present.insert(user);
                readers.insert(user);
            }
            Some(Change::Left(_)) => {
                present.remove(user);
            }
            None => {}
        }
        let payload = payload.to_string();
        self.log[shard].push(Written { position, group, version, change, payload, readers });
    }

    fn route(&mut self, shard: usize, count: usize) {
        let from = self.routed[shard];
        let to = (from + count).min(self.log[shard].len());
        let batch = &self.log[shard][from..to];
        let subjects: Vec<String> =
            batch.iter().map(|event| format!("dm.evt.{shard}.{}", id(event.group))).collect();
        let logged = batch.iter().zip(&subjects).map(|(event, subject)| Logged {
            position: event.position,
            subject,
            payload: event.payload.as_bytes(),
        });
        let read = self.hub.read(shard as u16, logged);
        let loaded = self.hub.unknown(&read).into_iter().map(|unknown| {
            let mut members = BTreeSet::new();
            let before =
                self.log[shard].iter().take_while(|event| event.position < unknown.position);
            for event in before.filter(|event| id(event.group) == unknown.group) {
                match &event.change {
                    Some(Change::Created(users)) => members.extend(users.iter().cloned()),
                    Some(Change::Joined(user)) => {
                        members.insert(user.clone());
                    }
                    Some(Change::Left(user)) => {
                        members.remove(user);
                    }
                    None => {}
                }
            }
            let members = members.into_iter().map(|user| (user, 0)).collect();
            Loaded { group: unknown.group, members }
        });
        let loaded = loaded.collect();
        self.hub.push(read, loaded);
        self.routed[shard] = to;
    }

    /// What a page shows: everything that was routed, which this user may see.
    fn page(&mut self, n: usize) -> Positions {
        let reached: Positions = self.hub.routed().collect();
        let device = &mut self.devices[n];
        for (shard, log) in self.log.iter().enumerate() {
            for event in log.iter().filter(|event| event.position <= reached[shard]) {
                if event.readers.contains(device.user) {
                    let known = device.known.entry(event.group).or_default();
                    *known = event.version.max(*known);
                }
            }
        }
        reached
    }

    /// Says whether it has all there is.
    fn take(&mut self, n: usize, max_bytes: usize) -> bool {
        let hub = Arc::clone(&self.hub);
        let device = &mut self.devices[n];
        let Device { user, positions, given, known, .. } = device;
        let feed = device.feed.get_or_insert_with(|| {
            let mut feed = Feed::new(hub, UserId::parse(user).unwrap(), 1 << 20);
            feed.resume(positions.as_slice().into());
            feed
        });
        let log = &self.log;
        let fed = feed.take(max_bytes, |frame| {
            let frame: Value = serde_json::from_str(&frame).unwrap();
            let number = |name: &str| frame["event"][name].as_u64().unwrap();
            let (group, position, version) =
                (number("group") as usize, number("position"), number("version"));
            let shard = shard_of(group);
            let event = log[shard].iter().find(|event| event.position == position).unwrap();
            assert!(event.readers.contains(user), "{user} was given {event:?}");
            let known = known.entry(group).or_default();
            let is_first = event.change == Some(Change::Joined((*user).into()));
            assert!(
                version <= *known + 1,
                "{user} jumps from {known} to {version} in {group}, joining: {is_first}"
            );
            *known = version.max(*known);
            given.insert((shard, position));
        });
        *positions = feed.positions().to_vec();
        match fed {
            Fed::UpToDate => return true,
            Fed::Part => {}
            Fed::Joined { shard, position } => {
                assert!(positions[usize::from(shard)] < position);
                let stopped = positions.as_slice().into();
                let reached = self.page(n);
                assert!(reached[usize::from(shard)] >= position);
                let feed = self.devices[n].feed.as_mut().unwrap();
                feed.resume_within(stopped, reached);
            }
            Fed::Lost => {
                let reached = self.page(n);
                let device = &mut self.devices[n];
                device.paged = reached.to_vec();
                device.positions = reached.to_vec();
                device.feed.as_mut().unwrap().resume(reached);
            }
            Fed::Overflowed | Fed::Paused => device.feed = None,
        }
        false
    }

    fn step(&mut self) {
        let shard = self.rng.random_range(0..usize::from(SHARDS));
        let n = self.rng.random_range(0..self.devices.len());
        match self.rng.random_range(0..100) {
            0..35 => self.write(),
            35..60 => {
                let count = self.rng.random_range(1..8);
                self.route(shard, count);
            }
            60..64 => self.devices[n].feed = None,
            64..66 => {
                // An older token, of what the device has anyway.
                let device = &mut self.devices[n];
                device.feed = None;
                for (position, paged) in device.positions.iter_mut().zip(&device.paged) {
                    *position = (*position / 2).max(*paged);
                }
            }
            _ => {
                let max_bytes = self.rng.random_range(1..2_000);
                self.take(n, max_bytes);
            }
        }
    }

    fn settle(&mut self) {
        for shard in 0..usize::from(SHARDS) {
            self.route(shard, usize::MAX / 2);
        }
        for n in 0..self.devices.len() {
            let done = (0..10_000).any(|_| self.take(n, 1_000));
            assert!(done, "device {n} never has it all");
            let Device { user, paged, given, .. } = &self.devices[n];
            for (shard, log) in self.log.iter().enumerate() {
                for event in log.iter().filter(|event| event.position > paged[shard]) {
                    let is_given = given.contains(&(shard, event.position));
                    assert_eq!(is_given, event.readers.contains(user), "{user} and {event:?}");
                }
            }
        }
    }
}

#[test]
fn nobody_reads_outside_of_their_memberships_and_nobody_misses_what_is_inside() {
    for seed in 0..500 {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..world.rng.random_range(50..500) {
                world.step();
            }
            world.settle();
        });
        assert!(run.is_ok(), "failed with seed {seed}");
    }
}
