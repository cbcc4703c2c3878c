//! The notifier is killed and providers go away; everybody is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{SOON, add_email, items, say};
use crate::harness::{Client, Deployment, eventually, free_address, run};

const LINK_SECRET: (&str, &str) =
    ("PARLEY_NOTIFY_LINK_SECRET", "a secret for links, for these tests only");

/// As the other tests of faults: 12 seconds, 60 for the long run.
fn duration() -> Duration {
    let seconds = std::env::var("PARLEY_TEST_FAULT_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(12))
}

/// The number of somebody with an SMS endpoint.
fn phone(n: usize) -> String {
    format!("+49151123{n:05}")
}

#[tokio::test]
async fn the_notifier_is_killed_every_second_and_everybody_is_told_once() {
    // 2,000 messages for 200 people take the long run's minute.
    let people = usize::try_from(duration().as_secs()).unwrap() * 200 / 60;
    const MESSAGES: usize = 10;
    let deployment = Deployment::start_with(&[
        LINK_SECRET,
        ("PARLEY_NOTIFY_GRACE_SECONDS", "2"),
        ("PARLEY_NOTIFY_SEND_SECONDS", "2"),
    ])
    .await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let url = gateway.url();
    for n in 0..people {
        let name = format!("bob{n:03}");
        let client = Client::sign_in(&url, &name).await;
        add_email(&client, &name).await;
        let sms = json!({"channel": "sms", "address": phone(n)});
        client.post("/v1/notification-endpoints", &sms).await.expect(201);
    }
    // A file each: an outbox has one writer.
    let outbox = |name: &str| deployment.dir().join(name).display().to_string();
    let (one, two) = (outbox("one.jsonl"), outbox("two.jsonl"));
    let file = |outbox: &'static str| ("PARLEY_NOTIFY_OUTBOX_FILE", outbox);
    let mut notifier = deployment.service_with("notifier", &[file("one.jsonl")]).await;
    let mut other = deployment.service_with("notifier", &[file("two.jsonl")]).await;
    let sent = || [items(one.as_ref()), items(two.as_ref())].concat();
    let alice = Client::sign_in(&url, "alice").await;
    let sending = async {
        let pause = duration() / u32::try_from(people * MESSAGES).unwrap();
        for round in 0..MESSAGES {
            for n in 0..people {
                say(&alice, &format!("d.alice.bob{n:03}"), &format!("m-{round}")).await;
                tokio::time::sleep(pause).await;
            }
        }
    };
    let killing = async {
        let end = Instant::now() + duration();
        let mut kills = 0;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while Instant::now() < end {
            second.tick().await;
            let one = if kills % 2 == 0 { &mut notifier } else { &mut other };
            one.kill9();
            one.restart().await;
            kills += 1;
        }
        kills
    };
    let ((), kills) = tokio::join!(sending, killing);
    println!("killed {kills} times, {people} people");

    // Those that were sent twice, because a process died in between, have one Message-ID.
    let emails = |items: &[Value]| -> BTreeSet<(String, String)> {
        let emails = items.iter().filter(|item| item["channel"] == "email");
        emails.map(|item| (text(item, "to"), text(item, "notificationId"))).collect()
    };
    eventually("everybody has an email", Duration::from_secs(60), async || {
        (emails(&sent()).len() >= people).then_some(())
    })
    .await;
    eventually("nothing is under way", Duration::from_secs(30), async || {
        let pool = deployment.pool().await;
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM notification_deliveries WHERE state IN ('pending', 'sending')",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    let sent = sent();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for to in emails(&sent).into_iter().map(|(to, _)| to) {
        *told.entry(to).or_default() += 1;
    }
    for item in sent.iter().filter(|item| item["channel"] == "sms") {
        *told.entry(text(item, "to")).or_default() += 1;
    }
    let pool = deployment.pool().await;
    let unknown: Vec<String> = sqlx::query_scalar(
        "SELECT user_id FROM notification_deliveries WHERE channel = 'sms' AND state = 'unknown'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    for n in 0..people {
        let name = format!("bob{n:03}");
        assert_eq!(told.get(&format!("{name}@example.com")), Some(&1), "{name}");
        let sms = told.get(&phone(n)).copied().unwrap_or_default();
        // Zero or one where its process died while it was sent; else exactly one.
        assert!(sms == 1 || (sms == 0 && unknown.contains(&name)), "{name}: {sms}");
    }
    println!("{} SMS of unknown outcome", unknown.len());
}

fn text(item: &Value, name: &str) -> String {
    item[name].as_str().unwrap().to_owned()
}

/// An SMS provider that answers when it is let.
struct Provider {
    up: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    url: String,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind(free_address()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider =
            Self { up: Arc::default(), asked: Arc::default(), sent: Arc::default(), url };
        let (up, asked, sent) =
            (Arc::clone(&provider.up), Arc::clone(&provider.asked), Arc::clone(&provider.sent));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (up, asked, sent) = (Arc::clone(&up), Arc::clone(&asked), Arc::clone(&sent));
                tokio::spawn(async move {
                    let mut request = vec![0; 16_384];
                    while socket.read(&mut request).await.is_ok_and(|length| length > 0) {
                        asked.fetch_add(1, Ordering::Relaxed);
                        let (status, body) = if up.load(Ordering::Relaxed) {
                            let number = sent.fetch_add(1, Ordering::Relaxed);
                            ("201 Created", format!(r#"{{"sid":"SM{number}","status":"queued"}}"#))
                        } else {
                            let body = r#"{"code":20503,"message":"unavailable","status":503}"#;
                            ("503 Service Unavailable", body.to_owned())
                        };
                        let length = body.len();
                        let answer = format!(
                            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n\
                             content-length: {length}\r\n\r\n{body}"
                        );
                        if socket.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        provider
    }
}

/// People of the outage, and how long it goes on: 10,000 and 600 s for the long run.
fn outage() -> (usize, Duration) {
    let number = |name: &str, default| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let people = number("PARLEY_TEST_OUTAGE_PEOPLE", 60);
    (people, Duration::from_secs(number("PARLEY_TEST_OUTAGE_SECONDS", 6) as u64))
}

/// People who get their endpoint and their message at once, while an outage is prepared.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn a_provider_that_is_down_is_not_hammered_and_everybody_is_told_or_named_afterwards() {
    let (people, down) = outage();
    let provider = Provider::start().await;
    let deployment = Deployment::start_with(&[
        LINK_SECRET,
        ("PARLEY_NOTIFY_GRACE_SECONDS", "1"),
        // As by default, but for the first seconds: an outage of some seconds has to be over soon.
        ("PARLEY_NOTIFY_RETRY_FIRST_MILLIS", "500"),
        ("PARLEY_NOTIFY_BREAKER_OPEN_MILLIS", "500"),
        ("PARLEY_NOTIFY_BREAKER_OPEN_MAX_MILLIS", "10000"),
        ("PARLEY_SMS_URL", &provider.url),
        ("PARLEY_SMS_ACCOUNT", "AC1"),
        ("PARLEY_SMS_TOKEN", "token"),
        ("PARLEY_SMS_FROM", "+4915112300000"),
        ("PARLEY_SMS_COUNTRIES", "DE"),
        ("PARLEY_SMS_BLOCK_PER_HOUR", "1000000"),
        ("PARLEY_SMS_COUNTRY_PER_HOUR", "1000000"),
    ])
    .await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let notifier = deployment.service("notifier").await;
    let alice = gateway.client("alice").await;
    let pool = deployment.pool().await;
    let states = async || -> BTreeMap<String, usize> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM notification_deliveries GROUP BY state")
                .fetch_all(&pool)
                .await
                .unwrap();
        rows.into_iter().map(|(state, count)| (state, usize::try_from(count).unwrap())).collect()
    };
    let pid = notifier.program().pid();
    let writing = futures_util::stream::iter(0..people).for_each_concurrent(AT_ONCE, async |n| {
        let client = gateway.client(&format!("bob{n:05}")).await;
        let sms = json!({"channel": "sms", "address": phone(n)});
        client.post("/v1/notification-endpoints", &sms).await.expect(201);
        say(&alice, &format!("d.alice.bob{n:05}"), "hello").await;
    });
    writing.await;
    eventually("all are decided", SOON + Duration::from_millis(10) * people as u32, async || {
        (states().await.values().sum::<usize>() == people).then_some(())
    })
    .await;
    let (asked, cpu) = (provider.asked.load(Ordering::Relaxed), cpu_seconds(pid));
    let (end, mut most) = (Instant::now() + down, 0);
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    while Instant::now() < end {
        looks.tick().await;
        most = most.max(private_bytes(pid));
    }
    let asked = provider.asked.load(Ordering::Relaxed) - asked;
    let cpu = cpu_seconds(pid) - cpu;
    println!(
        "{people} people, down for {down:?}: {asked} requests and {cpu:.2} CPU seconds meanwhile; \
         at most {} KiB of memory",
        most / 1024
    );
    // The breaker lets one through now and then.
    assert!(asked <= 4 + 4 * usize::try_from(down.as_secs()).unwrap(), "{asked} in {down:?}");
    assert!(cpu < down.as_secs_f64() / 2.0, "{cpu} CPU seconds in {down:?}");
    assert!(most < 96 << 20, "{most} bytes");
    assert_eq!(states().await.get("sent"), None);

    provider.up.store(true, Ordering::Relaxed);
    let up = Instant::now();
    let ended = eventually("all are told, or named", Duration::from_secs(300), async || {
        let states = states().await;
        let over = |state| states.get(state).copied().unwrap_or_default();
        (over("sent") + over("dead") == people).then_some(states)
    })
    .await;
    println!("{ended:?} after {:?}", up.elapsed());
    // Only those that were used to try whether it was back may have run out of attempts.
    let dead = ended.get("dead").copied().unwrap_or_default();
    assert!(dead <= asked / 12, "{ended:?}");
    assert_eq!(provider.sent.load(Ordering::Relaxed), people - dead);
    let (_, letters) = dead_letters(&deployment, &["list"]).await;
    assert_eq!(letters.lines().count(), dead);
}

/// What `parley dead-letters …` answers, and prints.
async fn dead_letters(deployment: &Deployment, args: &[&str]) -> (Option<i32>, String) {
    let args = [&["dead-letters"], args].concat();
    let ran = run(&args, &[("PARLEY_DATABASE_URL", &deployment.postgres.url())]).await;
    (ran.code, ran.stdout)
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_until_somebody_looks() {
    let provider = Provider::start().await;
    let deployment = Deployment::start_with(&[
        LINK_SECRET,
        ("PARLEY_NOTIFY_GRACE_SECONDS", "0"),
        ("PARLEY_NOTIFY_RETRY_FIRST_MILLIS", "50"),
        ("PARLEY_NOTIFY_RETRY_MOST_MILLIS", "100"),
        ("PARLEY_NOTIFY_RETRY_ATTEMPTS", "2"),
        ("PARLEY_NOTIFY_BREAKER_FAILURES", "1000"),
        ("PARLEY_SMS_URL", &provider.url),
        ("PARLEY_SMS_ACCOUNT", "AC1"),
        ("PARLEY_SMS_TOKEN", "token"),
        ("PARLEY_SMS_FROM", "+4915112300000"),
        ("PARLEY_SMS_COUNTRIES", "DE"),
    ])
    .await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let gateway = deployment.gateway().await;
    let _notifier = deployment.service("notifier").await;
    let alice = gateway.client("alice").await;
    let dead_letters = async |args: &[&str]| dead_letters(&deployment, args).await;
    let listed = async |count: usize| {
        eventually("the dead letters", SOON, async || {
            let (code, list) = dead_letters(&["list"]).await;
            assert_eq!(code, Some(0));
            (list.lines().count() == count).then_some(list)
        })
        .await
    };
    for n in 0..2 {
        let client = gateway.client(&format!("bob{n}")).await;
        let sms = json!({"channel": "sms", "address": phone(n)});
        client.post("/v1/notification-endpoints", &sms).await.expect(201);
        say(&alice, &format!("d.alice.bob{n}"), "hello").await;
    }
    let list = listed(2).await;
    assert!(list.contains("d.alice.bob0") && list.contains("to bob1"), "{list}");
    assert!(!list.contains(&phone(0)), "{list}");
    let id = list.split(' ').next().unwrap();
    assert_eq!(dead_letters(&["drop", id]).await, (Some(0), "1 dropped\n".to_owned()));
    assert_eq!(dead_letters(&["drop", id]).await.0, Some(64));
    assert_eq!(dead_letters(&["retry"]).await.0, Some(64));
    provider.up.store(true, Ordering::Relaxed);
    assert_eq!(dead_letters(&["retry", "--all"]).await, (Some(0), "1 sent again\n".to_owned()));
    listed(0).await;
    eventually("it is sent", SOON, async || {
        (provider.sent.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;
}

/// Of a process, what it has in memory but for the program itself.
fn private_bytes(pid: i32) -> usize {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: Vec<usize> = statm.split_whitespace().map(|text| text.parse().unwrap()).collect();
    (pages[1] - pages[2]) * 4096
}

/// Of a process, its user and system time; Linux counts in hundredths.
fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
