use std::sync::Arc;

use parley_domain::UserId;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::realtime::feed::{Fed, Feed};

const SHARDS: u16 = 2;

fn hub(ring_bytes: usize) -> Arc<Hub> {
    let codec = Codec::new(Uuid::nil(), SHARDS);
    Arc::new(Hub::new(codec, &[0, 0], HubConfig { ring_bytes, member_bytes: 1 << 20 }))
}

fn push(hub: &Hub, shard: u16, position: u64, pair: &str) {
    let subject = format!("dm.evt.{shard}.d.{pair}");
    let payload = format!(r#"{{"version":{position},"shard":{shard}}}"#);
    route(hub, shard, [Logged { position, subject: &subject, payload: payload.as_bytes() }]);
}

fn route<'a>(hub: &Hub, shard: u16, messages: impl IntoIterator<Item = Logged<'a>>) {
    hub.push(hub.read(shard, messages), Vec::new());
}

fn frame(shard: u16, position: u64) -> String {
    format!(r#"{{"type":"event","event":{{"version":{position},"shard":{shard}}}}}"#)
}

fn feed(hub: &Arc<Hub>) -> Feed {
    Feed::new(Arc::clone(hub), UserId::parse("me").unwrap(), 1 << 20)
}

#[derive(Debug, Clone)]
enum Step {
    Push { shard: u16, mine: bool, skip: u64 },
    Take { max_bytes: usize },
    Resume,
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..SHARDS, any::<bool>(), 1..3_u64)
            .prop_map(|(shard, mine, skip)| Step::Push { shard, mine, skip }),
        3 => (1..300_usize).prop_map(|max_bytes| Step::Take { max_bytes }),
        1 => Just(Step::Resume),
        1 => Just(Step::Reconnect),
    ]
}

/// Takes, and compares with what the log holds between the positions before and after.
fn check(feed: &mut Feed, mine: &[(u16, u64)], max_bytes: usize) -> (Fed, Vec<u64>) {
    let before = feed.positions().to_vec();
    let mut given: Vec<String> = Vec::new();
    let fed = feed.take(max_bytes, |frame| given.push(frame.to_string()));
    let after = feed.positions().to_vec();
    for shard in 0..SHARDS {
        let index = usize::from(shard);
        let expected: Vec<String> = mine
            .iter()
            .filter(|(s, p)| *s == shard && *p > before[index] && *p <= after[index])
            .map(|(s, p)| frame(*s, *p))
            .collect();
        let suffix = format!(r#""shard":{shard}}}}}"#);
        let got: Vec<String> =
            given.iter().filter(|frame| frame.ends_with(&suffix)).cloned().collect();
        assert_eq!(got, expected);
    }
    (fed, after)
}

proptest! {
    /// Attach, take, rewind and reconnect, in any order with what comes in: what a device has been
    /// given up to its positions is its events, all of them, in order.
    #[test]
    fn no_interleaving_makes_a_gap(steps in proptest::collection::vec(step(), 1..120)) {
        let hub = hub(1 << 20);
        let mut ends = [0_u64; SHARDS as usize];
        let mut mine: Vec<(u16, u64)> = Vec::new();
        let mut feed = feed(&hub);
        feed.resume(vec![0; 2].into());
        for step in steps {
            match step {
                Step::Push { shard, mine: to_me, skip } => {
                    ends[usize::from(shard)] += skip;
                    let position = ends[usize::from(shard)];
                    push(&hub, shard, position, if to_me { "me.you" } else { "them.you" });
                    if to_me {
                        mine.push((shard, position));
                    }
                }
                Step::Take { max_bytes } => { check(&mut feed, &mine, max_bytes); }
                Step::Resume => {
                    let back = feed.positions().iter().map(|p| p / 2).collect();
                    feed.resume(back);
                }
                Step::Reconnect => {
                    let positions = feed.positions().into();
                    feed = self::feed(&hub);
                    feed.resume(positions);
                }
            }
        }
        loop {
            let (fed, positions) = check(&mut feed, &mine, 1_000);
            if fed == Fed::UpToDate {
                prop_assert_eq!(positions, ends.to_vec());
                break;
            }
        }
    }
}

/// The same with threads: one routes, others attach and reconnect meanwhile.
#[test]
fn attaching_while_events_are_routed_misses_none() {
    const EVENTS: u64 = 20_000;
    let hub = hub(64 << 20);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let hub = Arc::clone(&hub);
            scope.spawn(move || {
                let mut positions: Positions = vec![0; 2].into();
                let mut next = 1;
                while next <= EVENTS {
                    let mut feed = feed(&hub);
                    feed.resume(positions);
                    for _ in 0..50 {
                        feed.take(10_000, |given| {
                            assert_eq!(given.as_str(), frame(0, next));
                            next += 1;
                        });
                    }
                    positions = feed.positions().into();
                }
            });
        }
        let hub = Arc::clone(&hub);
        scope.spawn(move || {
            for position in 1..=EVENTS {
                push(&hub, 0, position, "me.you");
            }
        });
    });
    assert!(!hub.registry().is_connected("me"));
}

#[test]
fn what_is_no_event_is_skipped_and_counted() {
    let hub = hub(1 << 20);
    let mut feed = feed(&hub);
    feed.resume(vec![0; 2].into());
    let subject = "dm.evt.0.d.me.you";
    for (position, payload) in [(1, &b"\xff"[..]), (2, b"[]"), (3, b"{\"version\":1}}"), (4, b"{}")]
    {
        route(&hub, 0, [Logged { position, subject, payload }]);
    }
    let group = "dm.evt.0.g.0193e5a0-7b1c-7def-8123-456789abcdef";
    route(&hub, 0, [Logged { position: 5, subject: group, payload: b"{\"version\":1}" }]);
    assert_eq!(feed.take(1_000, |frame| panic!("{frame}")), Fed::UpToDate);
    assert_eq!(feed.positions(), [5, 0]);
    assert_eq!(hub.counters().poison.load(Ordering::Relaxed), 4);
}

#[test]
fn an_accounts_events_are_its_owners_alone() {
    let hub = hub(1 << 20);
    let mut mine = feed(&hub);
    let mut theirs = Feed::new(Arc::clone(&hub), UserId::parse("you").unwrap(), 1 << 20);
    for feed in [&mut mine, &mut theirs] {
        feed.resume(vec![0; 2].into());
    }
    let subject = "dm.evt.0.a.me";
    route(&hub, 0, [Logged { position: 1, subject, payload: b"{\"version\":1}" }]);
    let mut given = 0;
    assert_eq!(mine.take(1_000, |_| given += 1), Fed::UpToDate);
    assert_eq!(given, 1);
    assert_eq!(theirs.take(1_000, |frame| panic!("{frame}")), Fed::UpToDate);
    assert_eq!(hub.counters().poison.load(Ordering::Relaxed), 0);
}

#[test]
fn a_feed_older_than_the_ring_is_lost_and_one_that_is_too_slow_overflows() {
    let hub = hub(4_000);
    let mut old = feed(&hub);
    let mut slow = Feed::new(Arc::clone(&hub), UserId::parse("me").unwrap(), 300);
    slow.resume(vec![0; 2].into());
    assert_eq!(slow.take(1_000, |_| {}), Fed::UpToDate);
    for position in 1..=100 {
        push(&hub, 1, position, "me.you");
    }
    assert!(!hub.covers(&[0, 0]));
    old.resume(vec![0; 2].into());
    assert_eq!(old.take(1_000, |_| {}), Fed::Lost);
    assert!(old.is_paused());
    assert_eq!(slow.take(1_000, |_| {}), Fed::Overflowed);
}

#[test]
fn ready_once_the_end_of_the_start_was_reached() {
    let hub = hub(1 << 20);
    assert!(!hub.is_ready());
    hub.set_target(0, 2);
    hub.set_target(1, 0);
    push(&hub, 0, 1, "a.b");
    assert!(!hub.is_ready());
    push(&hub, 0, 2, "a.b");
    assert!(hub.is_ready());
    assert_eq!(hub.beyond_end(&[3, 0]), [0]);
    hub.note_end(0, 3);
    assert!(hub.beyond_end(&[3, 0]).is_empty());
}

/// The same event, live and out of the ring, is one thing to its user and another to the other.
#[test]
fn a_hidden_cursor_is_its_users_alone() {
    let hub = hub(1 << 20);
    let read = |throughs: &mut Vec<(u64, bool)>, feed: &mut Feed| {
        let fed = feed.take(10_000, |frame| {
            let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
            let data = &frame["event"]["data"];
            assert_eq!(frame["event"]["version"], 1);
            throughs.push((data["throughSeq"].as_u64().unwrap(), data["hidden"] == true));
        });
        assert_eq!(fed, Fed::UpToDate);
    };
    let open = |user: &str| {
        let mut feed = Feed::new(Arc::clone(&hub), UserId::parse(user).unwrap(), 1 << 20);
        feed.resume(vec![0; 2].into());
        feed
    };
    let (mut live_me, mut live_you) = (open("me"), open("you"));
    for feed in [&mut live_me, &mut live_you] {
        assert_eq!(feed.take(1, |_| {}), Fed::UpToDate);
    }
    let subject = "dm.evt.1.d.me.you";
    let payload = br#"{"version":1,"type":"cursor.read","data":{"userId":"me","throughSeq":7,"hidden":true}}"#;
    route(&hub, 1, [Logged { position: 1, subject, payload }]);
    let (mut mine, mut yours) = (Vec::new(), Vec::new());
    read(&mut mine, &mut live_me);
    read(&mut mine, &mut open("me"));
    read(&mut yours, &mut live_you);
    read(&mut yours, &mut open("you"));
    assert_eq!(mine, [(7, true), (7, true)]);
    assert_eq!(yours, [(0, false), (0, false)]);
}

#[path = "members_simulation.rs"]
mod members_simulation;
