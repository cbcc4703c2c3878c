//! A delivery worker on a real PostgreSQL, by a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use parley_domain::Timestamp;
use parley_notifier::{
    Config,
    channels::{ChannelKind, Channels},
    dead_letters::{self, Which},
    deliver::{Worker, compose::Composer},
};
use parley_runtime::{
    clock::{Clock, ManualClock},
    config::Env,
    engines::testing::{ScratchDir, TestPostgres},
};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// 2026-11-21T12:00:00Z.
const NOON: i64 = 1_795_262_400_000;
const HOUR: i64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything goes to Bob's email address, which is an outbox.
struct World {
    pool: PgPool,
    clock: Arc<ManualClock>,
    scratch: ScratchDir,
    end: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl World {
    async fn new() -> Self {
        let url = TestPostgres::database().await;
        let pool = parley_projections::connect(&url, "test", 8).unwrap();
        parley_projections::migrate(&pool).await.unwrap();
        let (clock, scratch) = (Arc::new(ManualClock::at(NOON)), ScratchDir::new());
        let world = Self { pool, clock, scratch, end: CancellationToken::new() };
        let file = world.outbox_file();
        let mut env = Env::from_map([
            ("PARLEY_DATABASE_URL", url.as_str()),
            ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for tests only"),
            ("PARLEY_NOTIFY_OUTBOX_FILE", file.to_str().unwrap()),
        ]);
        let Config { notify, channels, links } = Config::from_env(&mut env);
        env.finish().unwrap();
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&world.clock);
        let worker = Worker {
            channel: ChannelKind::Email,
            config: notify.deliver,
            pool: world.pool.clone(),
            channels: Arc::new(Channels::open(channels, Arc::clone(&clock)).unwrap()),
            composer: Arc::new(Composer::new(world.pool.clone(), links)),
            clock,
            delivers: Arc::default(),
        };
        world
            .sql(
                "INSERT INTO notification_endpoints \
                 (added_at, user_id, endpoint_id, channel, address, state) \
                 VALUES (now(), 'bob', 'e1', 'email', '\"bob@example.com\"', 'verified')",
            )
            .await;
        tokio::spawn(worker.run(world.end.clone()));
        world
    }

    fn outbox_file(&self) -> std::path::PathBuf {
        self.scratch.path().join("outbox.jsonl")
    }

    fn sent(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.outbox_file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn sql(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// A conversation in which Alice's only message waits for Bob, and what `but` says of it.
    async fn waits(&self, conversation: &str, but: &str) {
        let at = Timestamp::from_unix_millis(self.clock.now_millis()).to_string();
        self.sql(&format!(
            "INSERT INTO conversations (position, version, last_seq, created_at, updated_at, \
             last_message_at, shard, kind, conversation_id) \
             VALUES (10, 1, 1, '{at}', '{at}', '{at}', 0, 'group', '{conversation}'); \
             INSERT INTO members (read_seq, delivered_seq, conversation_id, user_id) \
             VALUES (0, 0, '{conversation}', 'bob'); \
             INSERT INTO messages (conversation_seq, version, position, fingerprint, created_at, \
             message_id, conversation_id, sender_id, client_message_id, body) VALUES (1, 1, 10, 0, \
             '{at}', gen_random_uuid(), '{conversation}', 'alice', 'c', '{{\"kind\":\"text\",\"text\":\"hi\"}}'); \
             {but}"
        ))
        .await;
    }

    /// What was decided: to tell Bob of that.
    async fn told(&self, conversation: &str) {
        self.told_before(conversation, 0).await;
    }

    /// The same, so many hours ago.
    async fn told_before(&self, conversation: &str, hours: i64) {
        let now = self.clock.now_millis();
        let at = Timestamp::from_unix_millis(now - hours * HOUR).to_string();
        self.sql(&format!(
            "INSERT INTO notification_deliveries (created_at, updated_at, next_at, position, first_seq, \
             messages, shard, notification_id, what, channel, user_id, conversation_id, endpoint_id) \
             VALUES ('{at}', '{at}', '{at}', 10, 1, 1, 0, gen_random_uuid(), 'digest', 'email', 'bob', \
             '{conversation}', 'e1')"
        ))
        .await;
    }

    /// The delivery's state and reason, once `is` says so.
    async fn until(&self, conversation: &str, is: impl Fn(&str, &str) -> bool) -> (String, String) {
        let look = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let (state, reason): (String, String) = sqlx::query_as(
                    "SELECT state, coalesce(reason, '') FROM notification_deliveries \
                     WHERE conversation_id = $1",
                )
                .bind(conversation)
                .fetch_one(&self.pool)
                .await
                .unwrap();
                if is(&state, &reason) {
                    return (state, reason);
                }
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the delivery comes that far")
    }
}

const GROUP: &str = "g.0193a0c4-0000-7000-8000-000000000009";

#[tokio::test]
async fn whoever_does_not_want_to_be_told_any_more_is_not() {
    let world = World::new().await;
    for (n, (but, reason)) in [
        ("UPDATE members SET read_seq = 1", "read"),
        ("UPDATE messages SET deleted_at = now(), body = NULL", "deleted"),
        ("UPDATE members SET left_position = 11, left_seq = 1", "notMember"),
        ("UPDATE conversations SET blocked_by = '{alice}'", "blocked"),
        (
            "INSERT INTO conversation_marks (version, position, user_id, conversation_id, muted) \
             VALUES (1, 11, 'bob', '{id}', true)",
            "muted",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{}{n}", &GROUP[..GROUP.len() - 1]);
        let but = if but.starts_with("UPDATE") {
            format!("{but} WHERE conversation_id = '{id}'")
        } else {
            but.replace("{id}", &id)
        };
        world.waits(&id, &but).await;
        world.told(&id).await;
        let state = world.until(&id, |state, _| state == "cancelled").await;
        assert_eq!(state.1, reason);
    }
    // Of all of these together nothing waits any more.
    world.told("*email").await;
    assert_eq!(world.until("*email", |state, _| state == "cancelled").await.1, "read");
    world.waits(GROUP, "").await;
    world.told(GROUP).await;
    world.until(GROUP, |state, _| state == "sent").await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn what_waited_until_the_quiet_hours_goes_out_at_their_end() {
    let world = World::new().await;
    world
        .sql(
            "INSERT INTO account_settings (version, user_id, settings) VALUES (1, 'bob', \
             '{\"quietHours\":{\"from\":\"11:00\",\"to\":\"14:00\"},\"timeZone\":\"UTC\"}')",
        )
        .await;
    world.waits(GROUP, "").await;
    world.told(GROUP).await;
    world.until(GROUP, |state, reason| (state, reason) == ("pending", "quietHours")).await;
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM notification_deliveries")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!((attempts, world.sent().len()), (0, 0));
    world.clock.advance(2 * HOUR);
    world.until(GROUP, |state, _| state == "sent").await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn what_has_waited_too_long_is_a_dead_letter_until_somebody_sends_it_again() {
    let world = World::new().await;
    world.waits(GROUP, "").await;
    world.told_before(GROUP, 25).await;
    let (_, reason) = world.until(GROUP, |state, _| state == "dead").await;
    assert_eq!(reason, "it has waited too long");
    let letters = dead_letters::list(&world.pool, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].conversation.as_str()), (1, GROUP));
    let now = Timestamp::from_unix_millis(world.clock.now_millis());
    assert_eq!(dead_letters::retry(&world.pool, Which::All, now).await.unwrap(), 1);
    world.until(GROUP, |state, _| state == "sent").await;
    assert_eq!(world.sent().len(), 1);
}
