//! The long poll and the stream, by the functions that HTTP calls.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use parley_commands::{Client as CommandClient, config::ClientConfig};
use parley_domain::{Scope, UserId};
use parley_gateway::auth::Identity;
use parley_gateway::realtime::{Deps, Realtime, RealtimeConfig, pages::NoPage, poll::SyncAnswer};
use parley_gateway::{config::RateConfig, rates::Commands};
use parley_runtime::{
    clock::SystemClock,
    engines::testing::{NatsProxy, TestPostgres},
    shutdown::Shutdown,
};
use serde_json::Value;

use crate::{
    client::Client,
    support::{World, now},
};

const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(30);

pub async fn realtime(world: &World, database: &str) -> Realtime {
    realtime_by(&world.nats().url(), database).await
}

/// One that reaches NATS at `url`.
async fn realtime_by(url: &str, database: &str) -> Realtime {
    let nats = parley_nats::connect(url, "test").await.unwrap();
    let deployment = parley_nats::topology::find(&nats).await.unwrap().unwrap();
    let commands = CommandClient::new(nats.clone(), deployment.shards, ClientConfig::default());
    let pool = parley_projections::connect(database, "test", 2).unwrap();
    let clock = Arc::new(SystemClock);
    let deps = Deps {
        commands: Commands::new(commands, pool.clone(), RateConfig::none(), clock.clone()),
        nats,
        deployment,
        replicas: 1,
        pool,
        clock,
        shutdown: Shutdown::new(),
    };
    let realtime = Realtime::start(RealtimeConfig::default(), deps).await.unwrap();
    realtime.hub().until_ready().await;
    realtime
}

/// Somebody whose token holds for a minute.
pub fn caller(user: &str) -> Identity {
    Identity {
        user_id: UserId::parse(user).unwrap(),
        device_id: None,
        registration: None,
        scope: Scope::User,
        expires_at: parley_domain::Timestamp::from_unix_millis(now().unix_millis() + 60_000),
    }
}

fn versions(answer: &SyncAnswer) -> Vec<u64> {
    let shown: Vec<Value> = serde_json::from_str(answer.conversations.get()).unwrap();
    shown.iter().map(|shown| shown["conversation"]["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_poll_waits_for_news_and_misses_none() {
    let postgres = TestPostgres::dedicated().await;
    let world = World::start(&postgres.url()).await;
    let realtime = realtime(&world, &postgres.url()).await;
    let yves = UserId::parse("yves").unwrap();
    let mut zita = Client::open(&world, "zita", "d").await;

    let first = realtime.poll(&yves, None, None, NO_WAIT).await.unwrap();
    assert_eq!((versions(&first), first.more), (vec![], false));
    let mut token = first.token;
    for round in 1..=5_u64 {
        let poll = realtime.poll(&yves, Some(&token), None, LONG);
        let send = async {
            zita.send_message("d.yves.zita", &format!("c-{round}"), "news").await;
            zita.until("message.ack").await;
        };
        let (answer, ()) = tokio::join!(poll, send);
        let answer = answer.unwrap();
        assert_eq!(versions(&answer), [round]);
        token = answer.token;
    }
    // Nothing new: out of memory, even without the database.
    postgres.kill9().await;
    let nothing = realtime.poll(&yves, Some(&token), None, NO_WAIT).await.unwrap();
    assert!(versions(&nothing).is_empty() && !nothing.more);
    assert!(realtime.poll(&yves, Some("damaged"), None, NO_WAIT).await.is_err());
    world.shutdown().begin();
}

#[tokio::test]
async fn a_gateway_that_is_behind_asks_for_patience_and_does_not_begin_again() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let proxy = NatsProxy::start(&world.nats().url()).await;
    let (ahead, behind) =
        (realtime(&world, &database).await, realtime_by(&proxy.url(), &database).await);
    let yara = UserId::parse("yara").unwrap();
    let token = ahead.poll(&yara, None, None, NO_WAIT).await.unwrap().token;
    let mut zoe = Client::open(&world, "zoe", "d").await;

    proxy.lose_all();
    zoe.send_message("d.yara.zoe", "c-1", "news").await;
    let newer = ahead.poll(&yara, Some(&token), None, LONG).await.unwrap();
    assert_eq!(versions(&newer), [1]);
    let refused = behind.poll(&yara, Some(&newer.token), None, NO_WAIT).await;
    assert!(matches!(refused, Err(NoPage::End)), "{refused:?}");

    proxy.lose_none();
    let nothing = behind.poll(&yara, Some(&newer.token), None, NO_WAIT).await.unwrap();
    assert!(versions(&nothing).is_empty() && !nothing.more);
    world.shutdown().begin();
}

#[tokio::test]
async fn a_stream_is_a_session_that_only_listens() {
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let realtime = realtime(&world, &database).await;
    let mut yola = Client::open(&world, "yola", "d").await;
    let mut frames = realtime.subscribe(caller("zeno"), None);
    let mut next = async |kind: &str| loop {
        let frame: Value = serde_json::from_str(&frames.next().await.unwrap()).unwrap();
        if frame["type"] == kind {
            return frame;
        }
    };
    let caught_up = next("caughtUp").await;
    yola.send_message("d.yola.zeno", "c-1", "hello").await;
    assert_eq!(next("event").await["event"]["data"]["body"]["text"], "hello");
    drop(frames);

    let mut again = realtime.subscribe(caller("zeno"), caught_up["token"].as_str());
    let texts: Vec<String> = (&mut again).take(3).map(|frame| frame.to_string()).collect().await;
    assert!(texts[0].contains("ready") && texts[1].contains("caughtUp"), "{texts:?}");
    assert!(texts[2].contains("hello"), "{texts:?}");
    world.shutdown().begin();
}
