//! Deciders and the queue on a real PostgreSQL and a real NATS, by a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parley_domain::{Timestamp, account::Settings};
use parley_notifier::{
    Config,
    channels::ChannelKind,
    config::NotifyConfig,
    dead_letters,
    decider::Decider,
    deliver::queue::{Outcome, begin, claim, finish},
    policy::{Standing, Target, decide::Facts, timers::Trigger},
    presence::Presence,
    thread::store::Threads,
};
use parley_runtime::{
    clock::{Clock, ManualClock},
    config::Env,
    engines::testing::{TestNats, TestPostgres},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// 2026-11-21T12:00:00Z.
const NOON: i64 = 1_795_262_400_000;
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    pool: PgPool,
    clock: Arc<ManualClock>,
    config: Arc<NotifyConfig>,
    presence: Presence,
    end: CancellationToken,
    _nats: TestNats,
}

impl Drop for World {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl World {
    async fn new() -> Self {
        let (nats, url) = tokio::join!(TestNats::start(), TestPostgres::database());
        let pool = parley_projections::connect(&url, "test", 12).unwrap();
        parley_projections::migrate(&pool).await.unwrap();
        let mut env = Env::from_map([
            ("PARLEY_DATABASE_URL", url.as_str()),
            ("PARLEY_NATS_URL", &nats.url()),
            ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for tests only"),
        ]);
        let config = Config::from_env(&mut env).notify;
        env.finish().unwrap();
        let connection = parley_nats::connect(&nats.url(), "test").await.unwrap();
        let presence = Presence::new(connection, 1, config.presence_lease);
        let end = CancellationToken::new();
        tokio::spawn(presence.clone().run(end.clone()));
        let ready = tokio::time::timeout(PATIENCE, async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !presence.is_ready() {
                ticks.tick().await;
            }
        });
        ready.await.expect("presence is known in time");
        let clock = Arc::new(ManualClock::at(NOON));
        Self { pool, clock, config: Arc::new(config), presence, end, _nats: nats }
    }

    fn decider(&self) -> Decider {
        Decider {
            config: Arc::clone(&self.config),
            pool: self.pool.clone(),
            threads: Threads::new(self.pool.clone()),
            presence: self.presence.clone(),
            clock: Arc::<ManualClock>::clone(&self.clock),
            delivers: Arc::default(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now_millis())
    }

    async fn sql(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// A conversation in which so many messages wait for Bob, as the views have it at position 10,
    /// and the timer of a window that has ended.
    async fn waits(&self, conversation: &str, messages: i64) {
        let at = self.now().to_string();
        self.sql(&format!(
            "INSERT INTO checkpoints (shard, position) VALUES (0, 10) ON CONFLICT DO NOTHING; \
             INSERT INTO notification_checkpoints (shard, position, seen) VALUES (0, 0, 10) \
             ON CONFLICT DO NOTHING; \
             INSERT INTO conversations (position, version, last_seq, created_at, updated_at, \
             last_message_at, shard, kind, conversation_id) \
             VALUES (10, {messages}, {messages}, '{at}', '{at}', '{at}', 0, 'direct', '{conversation}'); \
             INSERT INTO members (read_seq, delivered_seq, conversation_id, user_id) \
             VALUES (0, 0, '{conversation}', 'bob'); \
             INSERT INTO notification_timers (user_id, conversation_id, due_at, shard, position, state) \
             VALUES ('bob', '{conversation}', '{at}', 0, 10, 'open')"
        ))
        .await;
    }

    async fn endpoint(&self, channel: &str, address: &str) {
        self.sql(&format!(
            "INSERT INTO notification_endpoints (added_at, user_id, endpoint_id, channel, address, state) \
             VALUES (now(), 'bob', 'e-{channel}', '{channel}', '\"{address}\"', 'verified')"
        ))
        .await;
    }

    async fn count(&self, of: &str) -> i64 {
        sqlx::query_scalar(&format!("SELECT count(*) FROM {of}"))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn timers(&self) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT conversation_id, state FROM notification_timers")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        rows.into_iter().collect()
    }

    /// Until nothing is due.
    async fn decide(&self) {
        while self.decider().batch().await.unwrap() > 0 {}
    }
}

fn facts() -> Facts {
    Facts {
        trigger: Trigger::Open,
        thread_id: "bob d.alice.bob".to_owned(),
        conversation: Some(parley_domain::ConversationId::parse("d.alice.bob").unwrap()),
        standing: Standing { last_seq: 20, unread: 20, ..Standing::default() },
        online: false,
        settings: Settings::default(),
        endpoints: vec![Target { channel: ChannelKind::Email, endpoint_id: "e-email".to_owned() }],
        full: Vec::new(),
    }
}

#[tokio::test]
async fn what_follows_from_a_decision_is_made_up_for_once_if_its_decider_died() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    world.waits("d.alice.bob", 20).await;
    // It has died between the event and what follows.
    let threads = Threads::new(world.pool.clone());
    threads.decide(&facts(), &world.config.policy, world.now()).await.unwrap();
    assert_eq!(world.count("notification_deliveries").await, 0);
    let (one, two) = (world.decider(), world.decider());
    let (first, second) = tokio::join!(one.batch(), two.batch());
    first.unwrap();
    second.unwrap();
    world.decide().await;
    assert_eq!(world.count("notification_events").await, 1);
    assert_eq!(world.count("notification_deliveries WHERE messages = 20").await, 1);
    assert_eq!(world.timers().await["d.alice.bob"], "cooling");
    // The cool-down ends without anything new.
    world.clock.advance(900_000);
    world.decide().await;
    assert!(world.timers().await.is_empty());
    assert_eq!(world.count("notification_deliveries").await, 1);
}

#[tokio::test]
async fn a_decision_whose_decider_died_is_delivered_although_more_has_come() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    world.waits("d.alice.bob", 20).await;
    let threads = Threads::new(world.pool.clone());
    threads.decide(&facts(), &world.config.policy, world.now()).await.unwrap();
    world.sql("UPDATE conversations SET last_seq = 25").await;
    world.decide().await;
    assert_eq!(world.count("notification_deliveries WHERE messages = 20").await, 1);
    assert_eq!(world.timers().await["d.alice.bob"], "cooling");
    world.clock.advance(900_000);
    world.decide().await;
    assert_eq!(world.count("notification_deliveries WHERE messages = 25").await, 1);
}

#[tokio::test]
async fn nothing_is_decided_before_the_views_know_what_it_is_about() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    world.waits("d.alice.bob", 20).await;
    world.sql("UPDATE notification_timers SET position = 11").await;
    assert_eq!(world.decider().batch().await.unwrap(), 0);
    world.sql("UPDATE checkpoints SET position = 11").await;
    assert_eq!(world.decider().batch().await.unwrap(), 1);
    // At the end of the cool-down: what the follower had seen by then.
    world.clock.advance(900_000);
    world.sql("UPDATE notification_checkpoints SET seen = 12").await;
    assert_eq!(world.decider().batch().await.unwrap(), 0);
    assert_eq!(world.timers().await["d.alice.bob"], "open");
    world.sql("UPDATE checkpoints SET position = 12; UPDATE conversations SET last_seq = 21").await;
    world.decide().await;
    assert_eq!(world.count("notification_deliveries WHERE messages = 21").await, 1);
}

#[tokio::test]
async fn over_a_cap_there_is_one_digest_over_all_conversations() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    for n in 0..25 {
        world.waits(&format!("d.a{n:02}.bob"), 2).await;
    }
    world.decide().await;
    assert_eq!(world.count("notification_deliveries").await, 20);
    let left: i64 = world.count("notification_events WHERE payload->>'reason' = 'capped'").await;
    assert_eq!(left, 5);
    assert_eq!(world.timers().await["*email"], "open");
    // Later messages only count; an hour on there is room.
    world.clock.advance(3_599_000);
    world.decide().await;
    assert_eq!(world.count("notification_deliveries WHERE conversation_id = '*email'").await, 0);
    world.clock.advance(2_000);
    world.decide().await;
    let all = "notification_deliveries WHERE conversation_id = '*email' AND messages = 50";
    assert_eq!(world.count(all).await, 1);
    assert!(!world.timers().await.contains_key("*email"));
}

#[tokio::test]
async fn an_sms_that_was_begun_is_never_sent_again_and_an_email_is() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    world.endpoint("sms", "+4915112300001").await;
    world.waits("d.alice.bob", 1).await;
    world.decide().await;
    let lease = world.config.deliver.lease();
    for channel in [ChannelKind::Email, ChannelKind::Sms] {
        let claimed = claim(&world.pool, channel, 10, lease, world.now()).await.unwrap();
        assert_eq!(claimed.len(), 1, "{channel:?}");
        let again = claim(&world.pool, channel, 10, lease, world.now()).await.unwrap();
        assert!(again.is_empty(), "{channel:?}");
    }
    // Their process is dead, before the SMS was begun.
    world.clock.advance(i64::try_from(lease.as_millis()).unwrap());
    let claimed = claim(&world.pool, ChannelKind::Sms, 10, lease, world.now()).await.unwrap();
    assert_eq!(claimed[0].attempts, 2);
    let mut late = claimed[0].clone();
    late.attempts = 1;
    assert!(!begin(&world.pool, &late).await.unwrap(), "by one that was given up");
    assert!(begin(&world.pool, &claimed[0]).await.unwrap());
    // And the next one's afterwards.
    world.clock.advance(i64::try_from(lease.as_millis()).unwrap());
    let sms = claim(&world.pool, ChannelKind::Sms, 10, lease, world.now()).await.unwrap();
    assert!(sms.is_empty());
    let email = claim(&world.pool, ChannelKind::Email, 10, lease, world.now()).await.unwrap();
    assert_eq!(email[0].attempts, 2);
    let letters = dead_letters::list(&world.pool, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].state.as_str()), (1, "unknown"));
    // An end that comes too late changes nothing.
    let mut late = email[0].clone();
    late.attempts = 1;
    let dead = Outcome::Dead("late".to_owned());
    finish(&world.pool, &late, &dead, world.now()).await.unwrap();
    finish(&world.pool, &email[0], &Outcome::Sent, world.now()).await.unwrap();
    assert_eq!(world.count("notification_deliveries WHERE state = 'sent'").await, 1);
}

#[tokio::test]
async fn a_dead_endpoint_is_not_used_again() {
    let world = World::new().await;
    world.endpoint("email", "bob@example.com").await;
    world.waits("d.alice.bob", 1).await;
    world.decide().await;
    let lease = world.config.deliver.lease();
    let claimed = claim(&world.pool, ChannelKind::Email, 10, lease, world.now()).await.unwrap();
    let dead = Outcome::EndpointDead("gone".to_owned());
    finish(&world.pool, &claimed[0], &dead, world.now()).await.unwrap();
    world.waits("d.bob.eve", 1).await;
    world.decide().await;
    assert_eq!(world.count("notification_deliveries").await, 1);
    let reason = "notification_events WHERE payload->>'reason' = 'noEndpoint'";
    assert_eq!(world.count(reason).await, 1);
    // It is to leave the account, and nobody has to look at what was meant for it.
    assert_eq!(world.count("dead_endpoints").await, 1);
    assert_eq!(dead_letters::list(&world.pool, 10).await.unwrap(), []);
}
