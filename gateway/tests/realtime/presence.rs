//! Who is online, as those see it who may: over gateways, reloads, kills and restarts.

use std::time::{Duration, Instant};

use parley_domain::UserId;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::{
    client::{Client, Said},
    polling::realtime,
    support::{World, now, world},
};

/// What the issue promises.
const SOON: Duration = Duration::from_secs(2);
const LEASE: &[(&str, &str)] = &[("PARLEY_PRESENCE_LEASE_MILLIS", "2000")];

async fn watch(client: &mut Client, users: &[&str]) {
    client.say(&json!({"type":"presence.watch","ref":"w","userIds":users})).await;
}

async fn seen(client: &mut Client) -> Value {
    client.until("presence").await.pop().unwrap()
}

/// The state of the next frame, and how long it took to come.
async fn state(client: &mut Client, user: &str) -> (String, Duration) {
    let start = Instant::now();
    let frame = seen(client).await;
    assert_eq!(frame["userId"], user, "{frame}");
    assert!(frame["state"] == "offline" || frame["lastSeenAt"].is_null(), "{frame}");
    (frame["state"].as_str().unwrap().to_owned(), start.elapsed())
}

/// Nothing about anybody comes for longer than a change takes to be seen.
async fn nothing(client: &mut Client) {
    let frame = tokio::time::timeout(SOON, seen(client)).await;
    assert!(frame.is_err(), "{frame:?}");
}

/// A conversation with one message, in the views too.
async fn acquaint(world: &World, one: &str, other: &str) {
    let id = format!("d.{one}.{other}");
    let body = json!({"clientMessageId": "c", "body": {"kind": "text", "text": "hello"}});
    world.post(&format!("/v1/conversations/{id}/messages"), one, &body).await.ok(202);
    world.get_until(&format!("/v1/conversations/{id}"), one, |found| found["lastSeq"] == 1).await;
}

#[tokio::test]
async fn online_and_offline_are_seen_at_once_on_the_other_gateway() {
    let world = world();
    let there = world.another_gateway().await;
    acquaint(world, "pax", "qara").await;
    let mut pax = Client::open(world, "pax", "d").await;
    watch(&mut pax, &["qara", "qara"]).await;
    let first = seen(&mut pax).await;
    assert_eq!((&first["state"], &first["lastSeenAt"]), (&json!("offline"), &Value::Null));

    let qara = Client::open(&there, "qara", "d").await;
    let (state_now, took) = state(&mut pax, "qara").await;
    assert!(state_now == "online" && took < SOON, "{state_now} after {took:?}");
    let other_device = Client::open(world, "qara", "e").await;
    qara.leave().await;
    nothing(&mut pax).await;
    let left = now().unix_millis();
    other_device.leave().await;
    let start = Instant::now();
    let last = seen(&mut pax).await;
    assert!(last["state"] == "offline" && start.elapsed() < SOON, "{last} after {start:?}");
    let at = parley_domain::Timestamp::parse(last["lastSeenAt"].as_str().unwrap()).unwrap();
    assert!((left - 50..left + 1_000).contains(&at.unix_millis()), "{left} {last}");

    // It survives: a gateway that was started later has it from the database.
    let later = world.another_gateway().await;
    let answer = later
        .get_until("/v1/presence?userIds=qara,nobody", "pax", |found| {
            found["presence"][0]["lastSeenAt"] == last["lastSeenAt"]
        })
        .await;
    assert_eq!(answer["presence"].as_array().unwrap().len(), 1, "{answer}");
    let mut again = Client::open(&later, "pax", "e").await;
    watch(&mut again, &["qara"]).await;
    assert_eq!(seen(&mut again).await, last);
    there.shutdown().begin();
    later.shutdown().begin();
}

/// Whoever types has it asked who the two are, so that what a watch waits for may be found out by a
/// question that is not its own.
#[tokio::test]
async fn whoever_was_just_written_to_is_shown_whatever_else_is_asked_about_them() {
    let world = world();
    for round in 0..100 {
        let [me, user] = ["rhea", "sven"].map(|name| format!("{name}{round}"));
        let id = format!("d.{me}.{user}");
        let mut client = Client::open(world, &me, "d").await;
        client.say(&json!({"type":"typing","conversationId":id,"typing":true})).await;
        client.send_message(&id, "c", "hello").await;
        watch(&mut client, &[&user]).await;
        assert_eq!(state(&mut client, &user).await.0, "offline");
        client.leave().await;
    }
}

#[tokio::test]
async fn a_reloading_tab_does_not_flicker() {
    let world = world();
    acquaint(world, "rhea", "saul").await;
    let mut rhea = Client::open(world, "rhea", "d").await;
    let mut saul = Client::open(world, "saul", "d").await;
    watch(&mut rhea, &["saul"]).await;
    while state(&mut rhea, "saul").await.0 != "online" {}
    for _ in 0..5 {
        (saul, _) = saul.leave().await.reconnect(world, "saul", "d").await;
    }
    nothing(&mut rhea).await;
    let path = "/v1/presence?userIds=saul&userIds=rhea";
    let both = json!({"presence":[{"userId":"saul","state":"online"},
        {"userId":"rhea","state":"online"}]});
    assert_eq!(world.get(path, "rhea").await.ok(200), both);
    drop(saul);
    assert_eq!(state(&mut rhea, "saul").await.0, "offline", "cut without a close");
}

#[tokio::test]
async fn a_stranger_sees_nothing_until_they_talk() {
    let world = world();
    let mut tess = Client::open(world, "tess", "d").await;
    let mut ulf = Client::open(world, "ulf", "d").await;
    watch(&mut tess, &["ulf", "nobody_at_all"]).await;
    let answer = world.get("/v1/presence?userIds=ulf,nobody_at_all", "tess").await.ok(200);
    assert_eq!(answer, json!({"presence": []}));
    ulf.say(&json!({"type":"typing","conversationId":"d.tess.ulf","typing":true})).await;
    nothing(&mut tess).await;
    ulf.send_message("d.tess.ulf", "c-1", "hello").await;
    assert_eq!(state(&mut tess, "ulf").await.0, "online");
}

/// The views follow the log by some milliseconds, and a page watches at its first message's event.
#[tokio::test]
async fn a_first_message_counts_before_the_views_have_it() {
    let world = world();
    let mut uwe = Client::open(world, "uwe", "d").await;
    for n in 0..10 {
        let other = format!("x{n}");
        let _other = Client::open(world, &other, "d").await;
        uwe.send_message(&format!("d.uwe.{other}"), "c-1", "hello").await;
        uwe.until("event").await;
        watch(&mut uwe, &[&other]).await;
        while state(&mut uwe, &other).await.0 != "online" {}
    }
}

#[tokio::test]
async fn a_hundred_people_may_be_watched() {
    let world = world();
    let mut vera = Client::open(world, "vera", "d").await;
    let names: Vec<String> = (0..101).map(|n| format!("v{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (users, code) in [(&names[..], "invalid_body"), (&["a b"][..], "invalid_id")] {
        watch(&mut vera, users).await;
        let error = vera.until("error").await.pop().unwrap();
        assert_eq!((&error["ref"], &error["code"]), (&json!("w"), &json!(code)));
        let path = format!("/v1/presence?userIds={}", users.join(",").replace(' ', "%20"));
        world.get(&path, "vera").await.refused(400, code);
    }
    world.get("/v1/presence", "vera").await.refused(400, "invalid_body");
    world.get("/v1/presence?userIds=a", "").await.refused(401, "unauthenticated");
    watch(&mut vera, &names[..100]).await;
    vera.say(&json!({"type":"ping"})).await;
    assert_eq!(vera.next().await, Said::Frame(json!({"type":"pong"})));
    // Each watch may have a hundred people told of, so there is a limit of its own.
    for _ in 0..30 {
        watch(&mut vera, &["v1"]).await;
    }
    let error = vera.until("error").await.pop().unwrap();
    assert_eq!((&error["code"], &error["retryAfterMs"]), (&json!("rate_limited"), &json!(1_000)));
}

#[tokio::test]
async fn the_users_of_a_killed_gateway_are_offline_within_its_lease() {
    let database = TestPostgres::database().await;
    let world = World::start_with(&database, LEASE).await;
    acquaint(&world, "wes", "xena").await;
    acquaint(&world, "wes", "yuri").await;
    let (doomed, kill) = world.gateway_to_kill().await;
    let drained = world.another_gateway().await;
    let mut wes = Client::open(&world, "wes", "d").await;
    let _xena = Client::open(&doomed, "xena", "d").await;
    watch(&mut wes, &["xena"]).await;
    while state(&mut wes, "xena").await.0 != "online" {}
    kill.now();
    let (state_now, took) = state(&mut wes, "xena").await;
    let limit = Duration::from_millis(2_000 + 500);
    assert!(state_now == "offline" && took < limit, "{state_now} after {took:?}");

    // One that ends in order says so: those who do not come back are gone at once.
    let _yuri = Client::open(&drained, "yuri", "d").await;
    watch(&mut wes, &["yuri"]).await;
    while state(&mut wes, "yuri").await.0 != "online" {}
    drained.shutdown().begin();
    assert_eq!(state(&mut wes, "yuri").await.0, "offline");
    world.shutdown().begin();
}

#[tokio::test]
async fn a_restarted_nats_server_shows_nobody_as_gone_who_is_there() {
    let database = TestPostgres::database().await;
    let world = World::start_with(&database, LEASE).await;
    let there = world.another_gateway().await;
    for other in ["abe", "bea", "cal"] {
        acquaint(&world, other, "zed").await;
    }
    let mut zed = Client::open(&world, "zed", "d").await;
    let _abe = Client::open(&there, "abe", "d").await;
    let bea = Client::open(&there, "bea", "d").await;
    watch(&mut zed, &["abe", "bea"]).await;
    let mut online = 0;
    while online < 2 {
        online += usize::from(seen(&mut zed).await["state"] == "online");
    }
    world.nats().kill9().await;
    bea.leave().await;
    world.nats().restart().await;
    // The only thing that changed.
    let start = Instant::now();
    assert_eq!(state(&mut zed, "bea").await.0, "offline");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    watch(&mut zed, &["abe", "cal"]).await;
    assert_eq!(state(&mut zed, "abe").await.0, "online");
    assert_eq!(seen(&mut zed).await["userId"], "cal");
    let _cal = Client::open(&there, "cal", "d").await;
    let (state_now, took) = state(&mut zed, "cal").await;
    assert!(state_now == "online" && took < SOON, "{state_now} after {took:?}");
    nothing(&mut zed).await;
    there.shutdown().begin();
    world.shutdown().begin();
}

/// A gateway's users come back all at once.
#[tokio::test]
async fn a_storm_of_thousands_is_told_at_once() {
    const USERS: usize = 5_000;
    let database = TestPostgres::database().await;
    let world = World::start(&database).await;
    let (here, there) = (realtime(&world, &database).await, realtime(&world, &database).await);
    let users = async |expected: usize| {
        let start = Instant::now();
        while there.presence().gauges().table.users != expected {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", there.presence().gauges());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    };
    let arrivals: Vec<_> = (0..USERS)
        .map(|n| here.presence().arrive(&UserId::parse(&format!("storm_{n}")).unwrap()))
        .collect();
    // Also where the tests are neither optimised nor alone; one after the other takes far longer.
    let limit = Duration::from_secs(5);
    let took = users(USERS).await;
    assert!(took < limit, "{USERS} after {took:?}");
    drop(arrivals);
    let took_to_go = users(0).await;
    assert!(took_to_go < limit, "{USERS} after {took_to_go:?}");
    println!("{USERS} people came within {took:?} and went within {took_to_go:?}");
    world.shutdown().begin();
}

#[tokio::test]
async fn without_postgres_presence_goes_on_for_acquaintances() {
    let postgres = TestPostgres::dedicated().await;
    let world = World::start(&postgres.url()).await;
    acquaint(&world, "dot", "eli").await;
    let mut dot = Client::open(&world, "dot", "d").await;
    let mut eli = Client::open(&world, "eli", "d").await;
    watch(&mut dot, &["eli"]).await;
    while state(&mut dot, "eli").await.0 != "online" {}
    postgres.kill9().await;
    eli = eli.leave().await;
    assert_eq!(state(&mut dot, "eli").await.0, "offline");
    let (_eli, _) = eli.reconnect(&world, "eli", "d").await;
    while state(&mut dot, "eli").await.0 != "online" {}
    let answer = world.get("/v1/presence?userIds=eli", "dot").await.ok(200);
    assert_eq!(answer["presence"][0]["state"], "online");
    world.get("/v1/presence?userIds=fay", "dot").await.refused(503, "unavailable");
    postgres.restart().await;
    world.shutdown().begin();
}
