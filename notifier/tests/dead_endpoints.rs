//! What reaches nobody leaves its account: against the owner of its shard and a real PostgreSQL, with
//! views that the test writes by hand, and a clock that it moves.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use parley_commands::{AccountRequest, Client, Code};
use parley_domain::{
    AccountId, Actor, Event, Scope, Timestamp, UserId,
    account::{Action, Address, Answer},
};
use parley_nats::{read::read_subject, subjects::shard_of};
use parley_notifier::{
    Config,
    dead_endpoints::{Remover, Trouble},
};
use parley_runtime::{
    clock::{Clock, ManualClock},
    config::Env,
    engines::testing::{TestNats, TestPostgres},
    shutdown::Shutdown,
};
use sqlx::PgPool;

/// 2026-11-21T12:00:00Z.
const NOON: i64 = 1_795_262_400_000;
const SHARDS: u16 = 4;
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    nats: TestNats,
    database_url: String,
    pool: PgPool,
    clock: Arc<ManualClock>,
}

/// The commands of the deployment, in this process.
struct Commands {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), parley_commands::Error>>,
}

impl Commands {
    async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
        assert!(self.shutdown.drained().await);
    }
}

impl World {
    async fn new() -> Self {
        let (nats, database_url) = tokio::join!(TestNats::start(), TestPostgres::database());
        let pool = parley_projections::connect(&database_url, "test", 8).unwrap();
        parley_projections::migrate(&pool).await.unwrap();
        Self { nats, database_url, pool, clock: Arc::new(ManualClock::at(NOON)) }
    }

    fn env(&self, more: &[(&'static str, &str)]) -> Env {
        let mut env = Env::from_map([
            ("PARLEY_DATABASE_URL", self.database_url.as_str()),
            ("PARLEY_NATS_URL", &self.nats.url()),
            ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for tests only"),
        ]);
        for (name, value) in more {
            env.set(*name, *value);
        }
        env
    }

    fn commands(&self) -> Commands {
        let shutdown = Shutdown::new();
        let config = parley_commands::Config::from_env(&mut self.env(&[]));
        let task = tokio::spawn(parley_commands::run(config, shutdown.clone()));
        Commands { shutdown, task }
    }

    async fn remover(&self, more: &[(&'static str, &str)]) -> Remover {
        let config = Config::from_env(&mut self.env(more)).notify.remove;
        let commands = self.client(&config.client).await;
        let clock = Arc::<ManualClock>::clone(&self.clock);
        Remover { config, pool: self.pool.clone(), commands, clock }
    }

    async fn client(&self, config: &parley_commands::config::ClientConfig) -> Client {
        let nats = parley_nats::connect(&self.nats.url(), "test").await.unwrap();
        Client::new(nats, SHARDS, config.clone())
    }

    /// As the person does it.
    async fn does(&self, user: &str, action: Action) -> Answer {
        let config =
            parley_commands::config::ClientConfig { patience: PATIENCE, ..Default::default() };
        let user_id = UserId::parse(user).unwrap();
        let actor = Actor { user_id, device_id: None, scope: Scope::User, is_discreet: false };
        let request = AccountRequest::new(actor, action, None);
        self.client(&config).await.execute(request).await.unwrap()
    }

    /// In the log and in the views.
    async fn add(&self, user: &str, address: &str) -> String {
        let added = Address::Email(address.to_owned());
        let answer = self.does(user, Action::AddEndpoint { address: added, verified: true }).await;
        let Answer::Endpoint { endpoint_id, .. } = answer else { panic!("{answer:?}") };
        sqlx::query(
            "INSERT INTO notification_endpoints (added_at, user_id, endpoint_id, channel, address, state) \
             VALUES (now(), $1, $2, 'email', to_jsonb($3), 'verified')",
        )
        .bind(user)
        .bind(endpoint_id.to_string())
        .bind(address)
        .execute(&self.pool)
        .await
        .unwrap();
        endpoint_id.to_string()
    }

    async fn views_lose(&self, endpoint_id: &str) {
        sqlx::query("DELETE FROM notification_endpoints WHERE endpoint_id = $1")
            .bind(endpoint_id)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// A provider has said so.
    async fn is_dead(&self, user: &str, endpoint_id: &str) {
        let now = Timestamp::from_unix_millis(self.clock.now_millis());
        sqlx::query(
            "INSERT INTO dead_endpoints (at, next_at, user_id, endpoint_id, reason) \
             VALUES ($1, $1, $2, $3, 'the webhook answered 410')",
        )
        .bind(now.to_date_time())
        .bind(user)
        .bind(endpoint_id)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// How often it was asked for each endpoint that waits.
    async fn queue(&self) -> Vec<i32> {
        let attempts = sqlx::query_scalar("SELECT attempts FROM dead_endpoints ORDER BY attempts");
        attempts.fetch_all(&self.pool).await.unwrap()
    }

    /// Whatever waits is due then.
    fn later(&self) {
        self.clock.advance(60_000);
    }

    async fn log(&self, user: &str) -> Vec<&'static str> {
        let nats = parley_nats::connect(&self.nats.url(), "test").await.unwrap();
        let account = AccountId::of(&UserId::parse(user).unwrap());
        let messages = read_subject(&nats, shard_of(&account, SHARDS), &account).await.unwrap();
        let events = messages.iter().map(|message| Event::from_json(&message.payload).unwrap());
        events.map(|event| event.data.kind()).collect()
    }
}

#[tokio::test]
async fn a_dead_endpoint_leaves_its_account_once_and_the_queue_after_the_views() {
    let world = World::new().await;
    let _commands = world.commands();
    let endpoint = world.add("bob", "bob@example.com").await;
    world.is_dead("bob", &endpoint).await;
    let remover = world.remover(&[]).await;
    assert_eq!(remover.pass().await.unwrap(), 1);
    assert_eq!(world.log("bob").await, ["endpoint.added", "endpoint.removed"]);
    // The views still have it: until they have not, it must not be told there.
    world.later();
    assert_eq!(remover.pass().await.unwrap(), 1);
    assert_eq!(world.queue().await, [2]);
    world.views_lose(&endpoint).await;
    world.later();
    assert_eq!(remover.pass().await.unwrap(), 1);
    assert!(world.queue().await.is_empty());
    assert_eq!(remover.pass().await.unwrap(), 0);
    assert_eq!(world.log("bob").await, ["endpoint.added", "endpoint.removed"]);
}

#[tokio::test]
async fn what_was_removed_and_added_again_stays() {
    let world = World::new().await;
    let _commands = world.commands();
    let endpoint = world.add("bob", "bob@example.com").await;
    world.is_dead("bob", &endpoint).await;
    let endpoint_id = endpoint.parse().unwrap();
    world.does("bob", Action::RemoveEndpoint { endpoint_id }).await;
    let again = world.add("bob", "bob@example.com").await;
    assert_ne!(endpoint, again);
    let remover = world.remover(&[]).await;
    // With views that have not heard of the removal, and with some that have.
    for _ in 0..2 {
        assert_eq!(remover.pass().await.unwrap(), 1);
        world.views_lose(&endpoint).await;
        world.later();
    }
    assert!(world.queue().await.is_empty());
    let log = world.log("bob").await;
    assert_eq!(log, ["endpoint.added", "endpoint.removed", "endpoint.added"]);
}

#[tokio::test]
async fn while_nobody_decides_it_waits_and_a_killed_notifier_is_replaced() {
    let world = World::new().await;
    let commands = world.commands();
    let endpoint = world.add("bob", "bob@example.com").await;
    commands.stop().await;
    let hasty = world.remover(&[("PARLEY_COMMAND_PATIENCE_MILLIS", "200")]).await;
    world.is_dead("bob", &endpoint).await;
    for attempts in 1..=3 {
        let trouble = hasty.pass().await.unwrap_err();
        let Trouble::Commands(problem) = trouble else { panic!("{trouble}") };
        assert_eq!((problem.code, world.queue().await), (Code::Unavailable, vec![attempts]));
        // And not for ever: whatever has failed is due again within a minute.
        world.later();
    }

    let patient = world.remover(&[("PARLEY_COMMAND_PATIENCE_MILLIS", "30000")]).await;
    let lease = patient.config.lease();
    let killed = tokio::spawn(async move { patient.pass().await });
    tokio::time::timeout(PATIENCE, async {
        while world.queue().await != [4] {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let _commands = world.commands();
    let other = world.remover(&[("PARLEY_COMMAND_PATIENCE_MILLIS", "20000")]).await;
    // It is another one's for a while.
    assert_eq!(other.pass().await.unwrap(), 0);
    world.clock.advance(i64::try_from(lease.as_millis()).unwrap());
    assert_eq!(other.pass().await.unwrap(), 1);
    assert_eq!(world.log("bob").await, ["endpoint.added", "endpoint.removed"]);
}

#[tokio::test]
async fn notifiers_share_the_queue_a_bounded_part_each() {
    const PEOPLE: [&str; 3] = ["ann", "ben", "cem"];
    const EACH: usize = 8;
    let world = World::new().await;
    let _commands = world.commands();
    for user in PEOPLE {
        for n in 0..EACH {
            let endpoint = world.add(user, &format!("{user}{n}@example.com")).await;
            world.is_dead(user, &endpoint).await;
        }
    }
    let more = [("PARLEY_NOTIFY_REMOVALS_AT_ONCE", "10")];
    let (one, other) = (world.remover(&more).await, world.remover(&more).await);
    let (taken, as_many) = tokio::join!(one.pass(), other.pass());
    assert_eq!((taken.unwrap(), as_many.unwrap()), (10, 10));
    assert_eq!(one.pass().await.unwrap() + 20, PEOPLE.len() * EACH);
    for user in PEOPLE {
        let log = world.log(user).await;
        let removed = log.iter().filter(|&&kind| kind == "endpoint.removed").count();
        assert_eq!((removed, log.len()), (EACH, EACH * 2), "{user}");
    }
}
