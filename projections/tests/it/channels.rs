//! Channels: any number of readers, who cost nothing when something is said.

use std::time::Instant;

use parley_domain::{
    Action, Event, EventData, Kind, Member, Role, UserId, account, event::ConversationCreated,
};
use parley_nats::subjects::event_subject;
use parley_projections::{
    load_conversation,
    queries::{receipts, summary},
};
use uuid::Uuid;

use crate::{
    log::{Log, SHARD, named, user},
    support::{catch_up, lone_views, views_of},
};

const READERS: usize = 100_000;

/// Straight into the log, as no client could: with all its readers.
fn big_channel() -> (Log, parley_domain::ConversationId) {
    let id = named(Kind::Channel, 1);
    let member = |user_id, role| Member { user_id, role };
    let readers =
        (0..READERS).map(|n| member(UserId::parse(&format!("reader-{n}")).unwrap(), Role::Member));
    let members = std::iter::once(member(user("olga"), Role::Owner)).chain(readers).collect();
    let event = Event {
        id: Uuid::from_u128(1),
        subject: id.clone().into(),
        time: Log::time_of(1),
        version: 1,
        actor: user("olga"),
        device: None,
        data: EventData::ConversationCreated(ConversationCreated {
            kind: Kind::Channel,
            title: Some("News".to_owned()),
            members,
        }),
    };
    let mut log = Log::default();
    log.append(&event_subject(SHARD, &id), &event.to_json().unwrap());
    log.states.entry(id.clone()).or_default().evolve(&event);
    (log, id)
}

#[tokio::test]
async fn a_hundred_thousand_readers_cost_a_message_nothing() {
    let (mut log, id) = big_channel();
    let pool = lone_views().await;
    catch_up(&pool, &log).await;
    let before = Instant::now();
    let loaded = load_conversation(&pool, SHARD, &id).await.unwrap();
    println!("loading {READERS} readers: {:?}", before.elapsed());
    assert_eq!(loaded.state, log.states[&id]);
    let bytes = loaded.state.size_bytes();
    println!("{READERS} readers in memory: {bytes} bytes");
    assert!(bytes < READERS * 100, "{bytes}");

    // Old versions of rows tell of every row that was written.
    let written = async || {
        let rows: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM members")
            .fetch_one(&pool)
            .await
            .unwrap();
        let changed: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM members WHERE read_seq > 0 OR delivered_seq > 0",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (rows, changed)
    };
    assert_eq!(written().await, (1, 0));
    for n in 1..=3 {
        assert_eq!(log.say(&id, "olga", "news"), Some(n));
    }
    catch_up(&pool, &log).await;
    // Of all rows, only the writer's.
    assert_eq!(written().await, (2, 1));

    let reader = summary(&pool, &id, &user("reader-7"), Log::time_of(0)).await.unwrap().unwrap();
    assert_eq!((reader.unread, reader.can_send), (3, false));
    assert_eq!(reader.member_count, 1 + READERS as u64);
    // Not the readers.
    let members = reader.members.unwrap();
    assert_eq!(members, [Member { user_id: user("olga"), role: Role::Owner }]);
}

#[tokio::test]
async fn a_readers_watermark_is_in_their_own_account() {
    let mut log = Log::default();
    let id = named(Kind::Channel, 1);
    log.create(&id, "olga", &["rea"]);
    for _ in 0..3 {
        log.say(&id, "olga", "news");
    }
    let events = log.states[&id].version;
    assert_eq!(log.ask(&id, "rea", Action::MarkRead { through_seq: 2 }), None);
    assert_eq!(log.ask(&id, "rea", Action::MarkDelivered { through_seq: 3 }), None);
    assert_eq!(log.states[&id].version, events);
    let action = account::Action::ReadChannel { conversation_id: id.clone(), through_seq: 2 };
    log.ask_account("rea", action).unwrap();
    let pool = views_of(&log).await;
    let rea = summary(&pool, &id, &user("rea"), Log::time_of(0)).await.unwrap().unwrap();
    assert_eq!((rea.read_seq, rea.unread), (2, 1));
    // What she has read is hers.
    let of = receipts(&pool, &id, &user("olga"), 1).await.unwrap().unwrap();
    assert!(of.read_by.is_empty() && of.delivered_to.is_empty());
    assert_eq!(of.members, 2);
}
