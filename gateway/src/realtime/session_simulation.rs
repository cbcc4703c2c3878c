//! Whole lives of devices, simulated: what is written, routed, projected, read, cut and delayed
//! comes in an order drawn from a seed.
//!
//! Kept true in every run: each device sees each conversation's versions without a skip; each ref
//! is answered exactly once; nothing is said after the end; in the end every device has it all.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::realtime::{sync::PageRequest, token::Positions};

const SHARDS: usize = 2;
const PAIRS: [&str; 4] = ["a.b", "a.c", "b.c", "b.d"];
const USERS: [&str; 3] = ["a", "b", "c"];

fn shard_of(pair: usize) -> usize {
    pair % SHARDS
}

/// One event: its position, its pair and its version.
type Written = (u64, usize, u64);

struct World {
    rng: StdRng,
    config: Arc<SessionConfig>,
    hub: Arc<Hub>,
    now: Instant,
    log: [Vec<Written>; SHARDS],
    ends: [u64; SHARDS],
    versions: [u64; PAIRS.len()],
    routed: [usize; SHARDS],
    /// How many events of each shard are in the views.
    projected: [usize; SHARDS],
    devices: Vec<Device>,
}

struct Device {
    user: &'static str,
    token: Option<String>,
    known: BTreeMap<usize, u64>,
    connection: Option<Connected>,
}

struct Connected {
    session: Session,
    out: Outbox,
    running: Vec<Ticket>,
    page: Option<PageRequest>,
    ends: bool,
    next_ref: u32,
    asked: BTreeSet<String>,
    caught_up: bool,
    more: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ring_bytes = rng.random_range(1_500..12_000);
        let codec = Codec::new(Uuid::nil(), SHARDS as u16);
        let devices = (0..4)
            .map(|n| Device {
                user: USERS[n % USERS.len()],
                token: None,
                known: BTreeMap::new(),
                connection: None,
            })
            .collect();
        Self {
            hub: Arc::new(Hub::new(codec, &[0; SHARDS], HubConfig { ring_bytes, member_bytes: 0 })),
            config: Arc::new(SessionConfig {
                max_outbound_bytes: rng.random_range(2_000..20_000),
                ..config()
            }),
            rng,
            now: Instant::now(),
            log: Default::default(),
            ends: [0; SHARDS],
            versions: [0; PAIRS.len()],
            routed: [0; SHARDS],
            projected: [0; SHARDS],
            devices,
        }
    }

    fn write(&mut self) {
        let pair = self.rng.random_range(0..PAIRS.len());
        let shard = shard_of(pair);
        self.ends[shard] += self.rng.random_range(1..3);
        self.versions[pair] += 1;
        self.log[shard].push((self.ends[shard], pair, self.versions[pair]));
    }

    fn route(&mut self, shard: usize, count: usize) {
        let from = self.routed[shard];
        let to = (from + count).min(self.log[shard].len());
        let texts: Vec<(u64, String, String)> = self.log[shard][from..to]
            .iter()
            .map(|(position, pair, version)| {
                let subject = format!("dm.evt.{shard}.d.{}", PAIRS[*pair]);
                (*position, subject, format!(r#"{{"pair":{pair},"version":{version}}}"#))
            })
            .collect();
        let messages = texts.iter().map(|(position, subject, payload)| Logged {
            position: *position,
            subject,
            payload: payload.as_bytes(),
        });
        self.hub.push(self.hub.read(shard as u16, messages), Vec::new());
        self.routed[shard] = to;
    }

    fn project(&mut self, shard: usize, count: usize) {
        self.projected[shard] = (self.projected[shard] + count).min(self.log[shard].len());
    }

    /// What the views say: a page holds one conversation.
    fn page(&self, user: &str, request: &PageRequest) -> Page {
        let checkpoint = |shard: usize| match self.projected[shard] {
            0 => 0,
            projected => self.log[shard][projected - 1].0,
        };
        let since = request.since.as_deref().unwrap_or(&[0; SHARDS]);
        let checkpoints: Positions =
            (0..SHARDS).map(|shard| checkpoint(shard).max(since[shard])).collect();
        let after = request.cursor.as_deref().map(|cursor| cursor.parse::<usize>().unwrap());
        let changed = |pair: usize| {
            let shard = shard_of(pair);
            let last =
                self.log[shard][..self.projected[shard]].iter().rfind(|(_, p, _)| *p == pair)?;
            let mine = PAIRS[pair].split('.').any(|name| name == user);
            (mine && last.0 > since[shard]).then_some(last.2)
        };
        let mut found = (0..PAIRS.len())
            .filter(|pair| after.is_none_or(|after| *pair > after))
            .filter_map(|pair| Some((pair, changed(pair)?)));
        let first = found.next();
        let next =
            first.filter(|_| found.next().is_some()).map(|(pair, _)| pair.to_string().into());
        let conversations: Vec<Value> =
            first.iter().map(|(pair, version)| json!({"pair": pair, "version": version})).collect();
        Page {
            checkpoints,
            is_empty: conversations.is_empty(),
            conversations: serde_json::value::to_raw_value(&conversations).unwrap(),
            account: serde_json::value::RawValue::from_string("{}".to_owned()).unwrap(),
            next,
        }
    }

    fn connect(&mut self, n: usize) {
        let device = &mut self.devices[n];
        let who = Who {
            user_id: UserId::parse(device.user).unwrap(),
            device_id: None,
            registration: None,
            scope: Scope::User,
            expires_at: self.now + Duration::from_secs(self.rng.random_range(30..10_000)),
        };
        let mut session =
            Session::new(Arc::clone(&self.config), Arc::clone(&self.hub), Some(who), self.now);
        let mut out = Outbox::default();
        let hello = json!({"type":"hello","deviceId":"d","since":device.token});
        session.receive(Input::Text(&hello.to_string()), self.now, &mut out);
        device.connection = Some(Connected {
            session,
            out,
            running: Vec::new(),
            page: None,
            ends: false,
            next_ref: 0,
            asked: BTreeSet::new(),
            caught_up: false,
            more: false,
        });
    }

    fn say(&mut self, n: usize) {
        let token = self.devices[n].token.clone();
        let Some(connected) = self.devices[n].connection.as_mut() else { return };
        if !connected.session.is_listening() {
            return;
        }
        connected.next_ref += 1;
        let r#ref = connected.next_ref.to_string();
        let frame = match self.rng.random_range(0..60) {
            0..20 => {
                json!({"type":"cursor.read","ref":r#ref,"conversationId":"d.a.b","throughSeq":1})
            }
            20..40 => {
                json!({"type":"message.send","ref":r#ref,"conversationId":"d.a.b","clientMessageId":"c","body":{"kind":"text","text":"t"}})
            }
            40..45 => json!({"type":"message.send","ref":r#ref,"conversationId":"d.a.b","body":7}),
            45..50 => json!({"type":"message.edit","ref":r#ref}),
            50..57 => json!({"type":"sync","ref":r#ref,"since":token}),
            57 => json!({"type":"sync","ref":r#ref,"since":"damaged"}),
            58 => json!({"type":"teleport","ref":r#ref}),
            _ => json!({"type":"ping"}),
        };
        connected.session.receive(Input::Text(&frame.to_string()), self.now, &mut connected.out);
        if let (Some(r#ref), false) = (frame["ref"].as_str(), connected.session.is_closed()) {
            connected.asked.insert(r#ref.to_owned());
        }
    }

    /// One move of the I/O around a session.
    fn serve(&mut self, n: usize) {
        let choice = self.rng.random_range(0..6);
        let budget = self.rng.random_range(1..400);
        let which = self.rng.random::<u32>() as usize;
        let Some(connected) = self.devices[n].connection.as_mut() else { return };
        let Connected { session, out, running, page, ends, more, .. } = connected;
        while let Some(effect) = out.next_effect() {
            match effect {
                Effect::Run(run) => running.push(run.0),
                Effect::NoteEnds(_) => *ends = true,
                Effect::Typing { .. } | Effect::Watch(_) => {}
                Effect::Authenticate(_) => unreachable!(),
            }
        }
        match choice {
            0 | 1 => *more = session.feed(budget, self.now, out),
            2 if !running.is_empty() => {
                let ticket = running.swap_remove(which % running.len());
                let answer = Answer::Cursor { version: 1, read_seq: 1, delivered_seq: 1 };
                session.receive(Input::Answered(&ticket, Ok(answer)), self.now, out);
            }
            3 if *ends => {
                *ends = false;
                for shard in 0..SHARDS {
                    self.hub.note_end(shard as u16, self.ends[shard]);
                }
                session.receive(Input::EndsNoted, self.now, out);
            }
            4 => {
                if page.is_none() {
                    *page = session.next_page();
                } else if let Some(request) = page.take() {
                    let user = self.devices[n].user;
                    let found = self.page(user, &request);
                    let Some(connected) = self.devices[n].connection.as_mut() else { return };
                    connected.session.receive(Input::Page(&found), self.now, &mut connected.out);
                }
            }
            _ => self.read(n, which % 8),
        }
    }

    /// The device reads some frames; once all are read, it learns of an end.
    fn read(&mut self, n: usize, count: usize) {
        let Device { user, token, known, connection } = &mut self.devices[n];
        let Some(connected) = connection else { return };
        for _ in 0..count {
            let Some(frame) = connected.out.next_frame() else {
                if connected.session.is_closed() {
                    *connection = None;
                }
                return;
            };
            let frame: Value = serde_json::from_str(&frame).unwrap();
            match frame["type"].as_str().unwrap() {
                "event" => {
                    assert!(connected.caught_up, "an event before the device has caught up");
                    let pair = frame["event"]["pair"].as_u64().unwrap() as usize;
                    let version = frame["event"]["version"].as_u64().unwrap();
                    let known = known.entry(pair).or_default();
                    assert!(version <= *known + 1, "{user} jumps from {known} to {version}");
                    *known = version.max(*known);
                }
                "sync" => {
                    for shown in frame["conversations"].as_array().unwrap() {
                        let known =
                            known.entry(shown["pair"].as_u64().unwrap() as usize).or_default();
                        *known = shown["version"].as_u64().unwrap().max(*known);
                    }
                    // A client keeps the last token, whatever frame it was in.
                    *token = frame["token"].as_str().map(str::to_owned);
                }
                kind @ ("caughtUp" | "token") => {
                    connected.caught_up |= kind == "caughtUp";
                    *token = frame["token"].as_str().map(str::to_owned);
                }
                "ready" | "pong" | "ack" | "message.ack" | "error" => {}
                other => panic!("{other}"),
            }
            let ends_a_request = !matches!(frame["type"].as_str().unwrap(), "sync");
            if let (Some(r#ref), true) = (frame["ref"].as_str(), ends_a_request) {
                assert!(
                    connected.asked.remove(r#ref),
                    "ref {ref} was answered twice or never asked",
                    r#ref = r#ref
                );
            }
        }
    }

    fn step(&mut self) {
        let n = self.rng.random_range(0..self.devices.len());
        let shard = self.rng.random_range(0..SHARDS);
        let some = self.rng.random_range(1..12);
        match self.rng.random_range(0..100) {
            0..22 => self.write(),
            22..32 => self.route(shard, some),
            32..40 => self.project(shard, some),
            40..45 if self.devices[n].connection.is_none() => self.connect(n),
            45..47 => self.devices[n].connection = None,
            47..55 => self.say(n),
            55..58 => {
                self.now += Duration::from_millis(self.rng.random_range(0..9_000));
                for device in &mut self.devices {
                    let Some(connected) = &mut device.connection else { continue };
                    let was_closed = connected.session.is_closed();
                    let waiting = connected.out.bytes();
                    connected.session.receive(Input::Tick, self.now, &mut connected.out);
                    assert!(!was_closed || connected.out.bytes() == waiting, "said after the end");
                }
            }
            _ => self.serve(n),
        }
    }

    /// Everything is routed and projected, every device connects and reads on: it has it all.
    fn settle(&mut self) {
        for shard in 0..SHARDS {
            self.route(shard, usize::MAX / 2);
            self.project(shard, usize::MAX / 2);
        }
        for n in 0..self.devices.len() {
            let mut rounds = 0;
            while !self.has_it_all(n) {
                rounds += 1;
                assert!(rounds < 5_000, "device {n} never gets it all");
                if self.devices[n].connection.is_none() {
                    self.connect(n);
                }
                self.serve(n);
            }
            let Some(connected) = &self.devices[n].connection else { continue };
            assert!(connected.asked.is_empty(), "unanswered: {:?}", connected.asked);
        }
    }

    fn has_it_all(&self, n: usize) -> bool {
        let Device { user, known, connection, .. } = &self.devices[n];
        let idle = connection.as_ref().is_none_or(|c| {
            c.caught_up
                && c.running.is_empty()
                && c.out.is_empty()
                && !c.more
                && (c.asked.is_empty() || c.session.is_closed())
        });
        idle && (0..PAIRS.len())
            .filter(|pair| PAIRS[*pair].split('.').any(|name| name == *user))
            .all(|pair| known.get(&pair).copied().unwrap_or_default() == self.versions[pair])
    }
}

#[test]
fn ten_thousand_lives() {
    for seed in 0..10_000 {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..world.rng.random_range(50..400) {
                world.step();
            }
            world.settle();
        });
        assert!(run.is_ok(), "failed with seed {seed}");
    }
}
