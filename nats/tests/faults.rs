//! The log on a real server that is killed, paused and fought over.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parley_nats::{
    committer::{Committer, Ended},
    connect,
    tail::{Tail, TailOptions},
};
use parley_runtime::engines::testing::{NatsProxy, TestNats, TestNatsCluster};
use support::{append, committer, deployment, log, start};

/// For what takes milliseconds, or a silence and an answer.
const WITHIN: Duration = Duration::from_secs(20);

/// Two writers that both believe they own the shard: one gets its flights in, the other is over,
/// and what it had not confirmed is nowhere or (the winner's view) never mixed in.
async fn two_writers(connection: &parley_nats::Connection) {
    let (one, two) = (committer(0), committer(0));
    let writers = [start(connection, &one), start(connection, &two)];
    let mut confirmed = Vec::new();
    for round in 0..50 {
        let mut waiting = Vec::new();
        for (name, committer) in [("one", &one), ("two", &two)] {
            for n in 0..3 {
                let text = format!("{name}-{round}-{n}");
                if let Ok(place) = committer.reserve() {
                    waiting.push((text.clone(), committer, place.append(append(&text))));
                }
            }
        }
        for (text, committer, position) in waiting {
            if committer.durable(position).await.is_ok() {
                confirmed.push((position, text));
            }
        }
    }
    let [one, two] = writers;
    // Exactly one of them is left.
    assert_ne!(one.is_finished(), two.is_finished());
    let loser = if one.is_finished() { one.await } else { two.await };
    assert!(matches!(loser, Ok(Ended::Fenced)), "{loser:?}");
    let log = log(connection).await;
    assert_eq!(confirmed.len(), log.len());
    for (position, text) in confirmed {
        assert_eq!(log[usize::try_from(position).unwrap() - 1], text);
    }
}

#[tokio::test]
async fn a_second_writer_is_fenced() {
    let nats = TestNats::start().await;
    two_writers(&deployment(&nats.url(), 1).await).await;
}

#[tokio::test]
async fn a_second_writer_is_fenced_in_a_cluster_of_three() {
    let cluster = TestNatsCluster::start().await;
    two_writers(&deployment(&cluster.url(), 3).await).await;
}

/// What is confirmed is in the log once, at its position; what is not is there once or never.
async fn under_fire(nats: &TestNats, mut hit: impl AsyncFnMut(&TestNats)) {
    let connection = deployment(&nats.url(), 1).await;
    let committer = committer(0);
    let writer = start(&connection, &committer);
    let mut tail = Tail::open(&connection, 0, 0, TailOptions::default());
    let mut sent = Vec::new();
    for round in 0..5 {
        for n in 0..200 {
            let text = format!("{round}-{n}");
            let position = committer.reserve().unwrap().append(append(&text));
            sent.push((position, text));
        }
        hit(nats).await;
        committer.durable(sent.last().unwrap().0).await.unwrap();
    }
    assert!(!writer.is_finished());
    let log = log(&connection).await;
    let unique: HashSet<&String> = log.iter().collect();
    assert_eq!(unique.len(), log.len());
    assert_eq!(log.len(), sent.len());
    for (position, text) in &sent {
        assert_eq!(&log[usize::try_from(*position).unwrap() - 1], text);
    }
    let mut seen = Vec::new();
    while seen.len() < sent.len() {
        seen.extend(tail.next_batch(64, Duration::ZERO).await);
    }
    let positions: Vec<u64> = seen.iter().map(|message| message.position).collect();
    assert_eq!(positions, (1..=sent.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_killed_server_loses_and_doubles_nothing() {
    let nats = TestNats::start().await;
    under_fire(&nats, async |nats| {
        nats.kill9().await;
        nats.restart().await;
    })
    .await;
}

#[tokio::test]
async fn a_paused_server_loses_and_doubles_nothing() {
    let nats = TestNats::start().await;
    under_fire(&nats, async |nats| {
        nats.pause();
        // Longer than the committer waits for an answer, so that it is in doubt.
        tokio::time::sleep(Duration::from_millis(900)).await;
        nats.resume();
    })
    .await;
}

#[tokio::test]
async fn a_tail_goes_on_after_its_server_was_killed() {
    let nats = TestNats::start().await;
    let connection = deployment(&nats.url(), 1).await;
    let committer = committer(0);
    let writer = start(&connection, &committer);
    let mut tail = Tail::open(&connection, 0, 0, TailOptions::default());
    let mut expected = 0;
    for _ in 0..3 {
        let mut last = 0;
        for _ in 0..10 {
            last = committer.reserve().unwrap().append(append(&uuid::Uuid::new_v4().to_string()));
        }
        committer.durable(last).await.unwrap();
        while expected < last {
            for message in tail.next_batch(4, Duration::ZERO).await {
                expected += 1;
                assert_eq!(message.position, expected);
            }
        }
        nats.kill9().await;
        nats.restart().await;
    }
    writer.abort();
}

/// Appends `count` events and waits until they are durable; the last one's position.
async fn grow(committer: &Arc<Committer>, count: u64) -> u64 {
    let mut last = 0;
    for _ in 0..count {
        last = committer.reserve().unwrap().append(append(&uuid::Uuid::new_v4().to_string()));
    }
    committer.durable(last).await.unwrap();
    last
}

/// Reads to `last`: every position, in order.
async fn follow(tail: &mut Tail, last: u64) {
    let mut expected = tail.position();
    while expected < last {
        for message in tail.next_batch(100, Duration::ZERO).await {
            expected += 1;
            assert_eq!(message.position, expected);
        }
    }
}

#[tokio::test]
async fn a_tail_gets_what_its_network_lost_although_nothing_follows() {
    let nats = TestNats::start().await;
    let proxy = NatsProxy::start(&nats.url()).await;
    let direct = deployment(&nats.url(), 1).await;
    let behind = connect(&proxy.url(), "behind a bad network").await.unwrap();
    let committer = committer(0);
    let writer = start(&direct, &committer);
    let mut tail = Tail::open(&behind, 0, 0, TailOptions::default());
    let mut losses = 0;
    for count in [1, 40, 3_000, 1] {
        let last = grow(&committer, 1).await;
        follow(&mut tail, last).await;
        proxy.lose_all();
        let last = grow(&committer, count).await;
        // A tail lets the server send so much ahead.
        losses += count.min(1_000);
        eventually("the deliveries are lost", async || proxy.dropped() >= losses).await;
        proxy.lose_none();
        let repaired = tokio::time::timeout(WITHIN, follow(&mut tail, last)).await;
        repaired.expect("the tail repairs itself");
    }
    writer.abort();
}

async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WITHIN, wait).await.expect(what);
}
