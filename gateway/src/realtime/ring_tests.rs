use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Pushed {
    step: u64,
    audience: Vec<String>,
    size: usize,
}

/// For one of some groups or nobody, and perhaps for `z` as well.
fn pushed() -> impl Strategy<Value = Pushed> {
    let group = proptest::option::of("[a-f]");
    (1..4_u64, group, any::<bool>(), 0..400_usize).prop_map(|(step, group, is_z, size)| {
        let audience = group.into_iter().chain(is_z.then(|| "z".to_owned())).collect();
        Pushed { step, audience, size }
    })
}

type Wanted = Vec<(String, u64, u64)>;

/// All of `z`, or of some groups one stretch or two.
fn wanted() -> impl Strategy<Value = Wanted> {
    let ends = proptest::collection::btree_set(0..600_u64, 2..=4);
    let groups = proptest::collection::btree_map("[a-g]", ends, 1..4).prop_map(|groups| {
        let stretch = |key: &str, ends: &[u64]| (key.to_owned(), ends[0], ends[1]);
        let of_group = |(key, ends): (String, std::collections::BTreeSet<u64>)| -> Wanted {
            let ends: Vec<u64> = ends.into_iter().collect();
            ends.chunks_exact(2).map(|ends| stretch(&key, ends)).collect()
        };
        groups.into_iter().flat_map(of_group).collect()
    });
    prop_oneof![1 => Just(vec![("z".to_owned(), 0, u64::MAX)]), 4 => groups]
}

fn push(ring: &mut Ring, position: u64, audience: &[&str], frame: impl Into<Frame>) {
    ring.push(position, [(audience.iter().copied(), frame.into())]);
}

/// What a key holds behind a position.
fn pull(ring: &Ring, key: &str, after: u64) -> (Vec<String>, Pulled) {
    let mut given = Vec::new();
    let pulled = ring.pull([Stretch::all(key)], after, 100, |next| {
        given.push(next.frame.to_string());
        ControlFlow::Continue(())
    });
    (given, pulled)
}

proptest! {
    /// Against a plain list: what is held is given, whole and in order; what may be missing is
    /// said to be lost.
    #[test]
    fn a_reader_misses_nothing_or_is_told(
        pushes in proptest::collection::vec(pushed(), 0..200),
        start in 0..5_u64,
        readers in proptest::collection::vec((0..600_u64, wanted(), 1..2_000_usize), 1..20),
    ) {
        let mut ring = Ring::new(start, 20_000);
        let mut all: Vec<(u64, Vec<String>, String)> = Vec::new();
        let mut position = start;
        for Pushed { step, audience, size } in pushes {
            position += step;
            let frame = format!("{position}:{}", "x".repeat(size));
            // A copy for each comes to the same as one for both.
            if size % 2 == 0 {
                let copies = audience.iter().map(|key| ([key.as_str()], frame.clone().into()));
                ring.push(position, copies);
            } else {
                ring.push(position, [(audience.iter().map(String::as_str), frame.clone().into())]);
            }
            push(&mut ring, position, &["a"], "a double");
            all.push((position, audience, frame));
            prop_assert!(ring.bytes() <= 20_000);
        }
        prop_assert_eq!(ring.head(), position);
        for (mut after, wanted, max_bytes) in readers {
            let is_wanted = |position: u64, audience: &[String]| {
                wanted.iter().any(|(key, from, until)| {
                    (*from..=*until).contains(&position) && audience.contains(key)
                })
            };
            let is_begin = |position: u64| wanted.iter().any(|(_, from, _)| *from == position);
            let expected: Vec<&String> = all
                .iter()
                .filter(|(position, audience, _)| *position > after && is_wanted(*position, audience))
                .map(|(.., frame)| frame)
                .collect();
            let lossy = all.iter().any(|(position, ..)| *position > after && *position <= ring.floor());
            let mut given: Vec<String> = Vec::new();
            let end = loop {
                let before = given.len();
                let stretches = wanted.iter().map(|(key, from, until)| Stretch {
                    since: 0,
                    key,
                    from: *from,
                    until: *until,
                });
                let pulled = ring.pull(stretches, after, max_bytes, |next| {
                    assert!(!next.is_joining || is_begin(next.position));
                    given.push(next.frame.to_string());
                    ControlFlow::Continue(())
                });
                match pulled {
                    Pulled::Part { reached } => {
                        prop_assert!(reached > after);
                        prop_assert!(given.len() > before);
                        after = reached;
                    }
                    end @ (Pulled::All { .. } | Pulled::Stopped { .. } | Pulled::Lost) => break end,
                }
            };
            match end {
                Pulled::Lost => prop_assert!(lossy || after < start),
                Pulled::All { head } => {
                    prop_assert!(!lossy);
                    prop_assert_eq!(head, ring.head().max(after));
                    prop_assert_eq!(given.iter().collect::<Vec<_>>(), expected);
                }
                Pulled::Part { .. } | Pulled::Stopped { .. } => unreachable!(),
            }
        }
    }
}

#[test]
fn an_event_larger_than_the_ring_passes_through() {
    let mut ring = Ring::new(0, 1_000);
    push(&mut ring, 7, &["a"], "x".repeat(2_000));
    assert!(ring.is_empty());
    assert_eq!((ring.floor(), ring.head(), ring.bytes()), (7, 7, 0));
    assert_eq!(pull(&ring, "a", 6).1, Pulled::Lost);
    assert_eq!(pull(&ring, "a", 7).1, Pulled::All { head: 7 });
    // A reader that is ahead of this gateway's tail has missed nothing.
    assert_eq!(pull(&ring, "a", 9).1, Pulled::All { head: 9 });
}

#[test]
fn each_reads_their_own_copy_of_an_event() {
    let mut ring = Ring::new(0, 10_000);
    ring.push(3, [(["a"], "seen".into()), (["b"], "hidden".into())]);
    assert_eq!(pull(&ring, "a", 0).0, ["seen"]);
    assert_eq!(pull(&ring, "b", 2).0, ["hidden"]);
    assert_eq!(pull(&ring, "b", 3).0, [""; 0]);
}

#[test]
fn a_reader_stops_before_what_it_does_not_take() {
    let mut ring = Ring::new(0, 10_000);
    for position in [2, 4, 6] {
        push(&mut ring, position, &["g"], position.to_string());
    }
    let mut given = Vec::new();
    let stretch = Stretch { key: "g", since: 0, from: 4, until: u64::MAX };
    let stopped = ring.pull([stretch], 0, 100, |next| match next.is_joining {
        true => ControlFlow::Break(()),
        false => {
            given.push(next.position);
            ControlFlow::Continue(())
        }
    });
    assert_eq!((stopped, given.len()), (Pulled::Stopped { reached: 3 }, 0));
}

#[test]
fn what_is_forgotten_is_lost_to_those_who_were_before_it() {
    let mut ring = Ring::new(0, 10_000);
    for position in [2, 4, 6] {
        push(&mut ring, position, &["a"], position.to_string());
    }
    ring.forget(5);
    assert_eq!(ring.floor(), 5);
    assert_eq!(pull(&ring, "a", 4).1, Pulled::Lost);
    assert_eq!(pull(&ring, "a", 5).0, ["6"]);
    // Also what is still to come.
    ring.forget(9);
    assert_eq!((ring.floor(), ring.len(), ring.bytes()), (9, 0, 0));
    push(&mut ring, 8, &["a"], "8");
    push(&mut ring, 10, &["a"], "10");
    assert_eq!(pull(&ring, "a", 8).1, Pulled::Lost);
    assert_eq!(pull(&ring, "a", 9).0, ["10"]);
    // What came late goes first, and brings nothing back.
    ring.forget(8);
    assert_eq!((ring.floor(), ring.len()), (9, 1));
}

#[test]
fn a_frame_that_is_rewritten_is_another_for_all_its_readers() {
    let mut ring = Ring::new(0, 10_000);
    push(&mut ring, 1, &["a", "b"], "secret");
    push(&mut ring, 2, &["a", "b"], "public");
    let before = ring.bytes();
    ring.rewrite("b", |frame| (frame.as_str() == "secret").then(|| "-".into()));
    ring.rewrite("c", |_| Some("x".into()));
    assert_eq!(ring.bytes(), before - 5);
    for key in ["a", "b"] {
        assert_eq!(pull(&ring, key, 0).0, ["-", "public"]);
    }
}
