//! The log on a real server, in peace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use async_nats::jetstream::stream;
use parley_domain::ConversationId;
use parley_nats::{
    Failure, connect, last_position,
    lease::Leases,
    read::{read_subject, read_to_end},
    subjects::shard_of,
    tail::{Tail, TailOptions},
    topology::{self, ensure},
};
use parley_runtime::engines::testing::TestNats;
use support::{append, committer, deployment, log, start};

#[tokio::test]
async fn a_deployment_keeps_its_epoch_and_its_number_of_shards() {
    let nats = TestNats::start().await;
    let connection = connect(&nats.url(), "test").await.unwrap();
    assert_eq!(topology::find(&connection).await.unwrap(), None);
    let first = ensure(&connection, &support::topology(3, 1)).await.unwrap();
    let again = ensure(&connection, &support::topology(3, 1)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(topology::find(&connection).await.unwrap(), Some(first));
    let refused = ensure(&connection, &support::topology(4, 1)).await;
    assert!(matches!(refused, Err(Failure::ShardsDiffer { deployed: 3, configured: 4 })));
}

#[tokio::test]
async fn several_services_may_create_a_deployment_at_once() {
    let nats = TestNats::start().await;
    let connection = connect(&nats.url(), "test").await.unwrap();
    let config = support::topology(2, 1);
    let (one, two, three) = tokio::join!(
        ensure(&connection, &config),
        ensure(&connection, &config),
        ensure(&connection, &config)
    );
    assert_eq!(one.as_ref().unwrap(), two.as_ref().unwrap());
    assert_eq!(two.unwrap(), three.unwrap());
    one.unwrap();
}

/// The server's own partition function, as a stream's subject transform applies it.
#[tokio::test]
async fn the_shard_function_is_the_servers_own() {
    const SHARDS: [u16; 4] = [1, 4, 7, 64];
    let nats = TestNats::start().await;
    let connection = connect(&nats.url(), "test").await.unwrap();
    for shards in SHARDS {
        let transform = format!(
            "out{shards}.{{{{partition({shards},1,2,3)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{wildcard(3)}}}}"
        );
        let stream = connection
            .jetstream()
            .create_stream(stream::Config {
                name: format!("PARTITION_{shards}"),
                subjects: vec![format!("in{shards}.*.*.*")],
                subject_transform: Some(stream::SubjectTransform {
                    source: format!("in{shards}.*.*.*"),
                    destination: transform,
                }),
                ..stream::Config::default()
            })
            .await
            .unwrap();
        for n in 0..200_u32 {
            let id = ConversationId::parse(&format!("d.a{n}.b-{}_X", n * 7919)).unwrap();
            let ack = connection
                .jetstream()
                .publish(format!("in{shards}.{id}"), "".into())
                .await
                .unwrap()
                .await
                .unwrap();
            let stored = stream.get_raw_message(ack.sequence).await.unwrap();
            let expected = format!("out{shards}.{}.{id}", shard_of(&id, shards));
            assert_eq!(stored.subject.as_str(), expected);
        }
    }
}

#[tokio::test]
async fn appends_are_durable_in_the_order_of_their_calls() {
    let nats = TestNats::start().await;
    let connection = deployment(&nats.url(), 1).await;
    let committer = committer(0);
    let writer = start(&connection, &committer);
    let mut positions = Vec::new();
    for n in 0..2_500 {
        positions.push(committer.reserve().unwrap().append(append(&format!("e{n}"))));
    }
    assert_eq!(positions, (1..=2_500).collect::<Vec<u64>>());
    committer.durable(2_500).await.unwrap();
    assert!(committer.is_idle());
    let expected: Vec<String> = (0..2_500).map(|n| format!("e{n}")).collect();
    assert_eq!(log(&connection).await, expected);
    assert_eq!(last_position(&connection, 0).await.unwrap(), 2_500);
    let id = ConversationId::parse("d.alice.bob").unwrap();
    assert_eq!(read_subject(&connection, 0, &id).await.unwrap().len(), 2_500);
    let nobody = ConversationId::parse("d.a.b").unwrap();
    assert!(read_subject(&connection, 0, &nobody).await.unwrap().is_empty());
    writer.abort();
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let nats = TestNats::start().await;
    let connection = deployment(&nats.url(), 1).await;
    let config = parley_nats::committer::CommitterConfig {
        queue_events: 3,
        ..parley_nats::committer::CommitterConfig::default()
    };
    let committer = parley_nats::committer::Committer::new(0, 0, config);
    let places: Vec<_> = (0..3).map(|_| committer.reserve().unwrap()).collect();
    assert!(matches!(committer.reserve(), Err(Failure::Overloaded(_))));
    drop(places);
    let place = committer.reserve().unwrap();
    let writer = start(&connection, &committer);
    let position = place.append(append("e"));
    committer.durable(position).await.unwrap();
    writer.abort();
}

#[tokio::test]
async fn a_tail_starts_anywhere_and_skips_what_was_erased() {
    let nats = TestNats::start().await;
    let connection = deployment(&nats.url(), 1).await;
    let committer = committer(0);
    let writer = start(&connection, &committer);
    for n in 1..=10 {
        committer.reserve().unwrap().append(append(&format!("e{n}")));
    }
    committer.durable(10).await.unwrap();
    let stream = connection.jetstream().get_stream("DM_0").await.unwrap();
    for erased in [3, 7, 10] {
        stream.delete_message(erased).await.unwrap();
    }
    let options = TailOptions { name: Some("reader".to_owned()), ..TailOptions::default() };
    let mut tail = Tail::open(&connection, 0, 4, options);
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let batch = tail.next_batch(2, Duration::ZERO).await;
        assert!((1..=2).contains(&batch.len()));
        seen.extend(batch.into_iter().map(|message| message.position));
    }
    assert_eq!(seen, [5, 6, 8, 9]);
    // Reading to the end does not wait for the message that was erased there.
    let mut positions = Vec::new();
    let end = read_to_end(&connection, 0, 0, |message| positions.push(message.position));
    assert_eq!(end.await.unwrap(), 10);
    assert_eq!(positions, [1, 2, 4, 5, 6, 8, 9]);
    writer.abort();
}

#[tokio::test]
async fn a_lease_is_one_holders_until_it_ages_or_is_given_back() {
    let nats = TestNats::start().await;
    let connection = deployment(&nats.url(), 1).await;
    let ttl = Duration::from_millis(2_000);
    let one = Leases::open(&connection, "one", 1, ttl).await.unwrap();
    let two = Leases::open(&connection, "two", 1, ttl).await.unwrap();
    let mut lease = one.acquire("shard.0").await.unwrap().unwrap();
    assert!(two.acquire("shard.0").await.unwrap().is_none());
    assert_eq!(two.holder("shard.0").await.unwrap().as_deref(), Some("one"));
    assert!(one.renew(&mut lease).await.unwrap());
    one.release(lease).await;
    let held = two.acquire("shard.0").await.unwrap().unwrap();
    // Not renewed: it ages away, and its holder learns that when it asks.
    let deadline = tokio::time::Instant::now() + ttl * 3;
    let mut taken = None;
    while taken.is_none() && tokio::time::Instant::now() < deadline {
        taken = one.acquire("shard.0").await.unwrap();
    }
    assert!(taken.is_some());
    let mut held = held;
    assert!(!two.renew(&mut held).await.unwrap());
}
