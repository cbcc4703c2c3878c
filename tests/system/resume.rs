//! A device that is cut off again and again misses nothing, on any transport.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::device::{Store, Transport, listen};
use crate::harness::{Client, Deployment, eventually};

const CONVERSATION: &str = "d.alice.bob";
const USER: &str = "bob";

/// `PARLEY_TEST_CUTS`: 40 by default, so that the whole suite stays quick; 200 for the long run.
fn cuts() -> u32 {
    std::env::var("PARLEY_TEST_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(40)
}

/// `PARLEY_TEST_SEED`, or another one each time.
pub fn seed() -> u64 {
    let given = std::env::var("PARLEY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) * 7_919 + 1)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Alice writes 500 messages a second on one socket until told to stop; what was acknowledged.
async fn write(url: String, stop: Arc<AtomicBool>) -> BTreeMap<u64, String> {
    let client = Client::sign_in(&url, "alice").await;
    let mut socket = crate::harness::Socket::connect(&url, client.token(), "desk", None).await;
    let mut acknowledged = BTreeMap::new();
    let mut count = 0_u64;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && acknowledged.len() as u64 == count {
            return acknowledged;
        }
        tokio::select! {
            _ = tick.tick(), if !stopping && count - acknowledged.len() as u64 <= 200 => {
                for _ in 0..10 {
                    count += 1;
                    let name = format!("m-{count}");
                    socket.send(&json!({
                        "type": "message.send", "conversationId": CONVERSATION,
                        "clientMessageId": name, "body": {"kind": "text", "text": name},
                    })).await;
                }
            }
            frame = socket.next() => {
                let frame = frame.expect("alice's socket stays open");
                assert_ne!(frame["type"], "error", "{frame}");
                if frame["type"] == "message.ack" {
                    let name = frame["clientMessageId"].as_str().unwrap().to_owned();
                    acknowledged.insert(frame["conversationSeq"].as_u64().unwrap(), name);
                }
            }
        }
    }
}

/// Lives `cuts` short lives, at one gateway and the other.
async fn live(
    transport: Transport,
    urls: [String; 2],
    mut random: Random,
    mut store: Store,
    done: Arc<AtomicBool>,
) -> Store {
    for cut in 0..cuts() {
        let life = Duration::from_millis(20 + random.below(200));
        let url = &urls[usize::try_from(random.below(2)).unwrap()];
        listen(transport, url, USER, &mut store, life).await;
        // Now and then it is away for long enough to fall out of the small gateway's ring.
        if cut % 20 == 19 {
            tokio::time::sleep(Duration::from_millis(1_000 + random.below(1_000))).await;
        }
    }
    while !done.load(Ordering::Relaxed) {
        listen(transport, &urls[0], USER, &mut store, Duration::from_millis(300)).await;
    }
    store
}

#[tokio::test]
async fn a_device_that_is_cut_off_again_and_again_misses_nothing() {
    let seed = seed();
    println!("PARLEY_TEST_SEED={seed} PARLEY_TEST_CUTS={}", cuts());
    // Slow clients of a debug build are no flood.
    let deployment = Deployment::start_with(&[("PARLEY_SOCKET_FRAMES_PER_SECOND", "10000")]).await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let small = [("PARLEY_RING_BYTES", "262144"), ("PARLEY_RING_PRELOAD_EVENTS", "100")];
    let mut large = deployment.gateway().await;
    let mut tiny = deployment.service_with("gateway", &small).await;
    tiny.wait_ready().await;
    let steady = deployment.gateway().await;

    // Every device has a token before the first message: without one it is given no messages.
    let urls = [large.url(), tiny.url()];
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let transports = [Transport::WebSocket, Transport::Stream, Transport::LongPoll];
    let (mut devices, mut all_reached) = (Vec::new(), Vec::new());
    for (n, transport) in transports.into_iter().enumerate() {
        let random = Random(seed + n as u64);
        let store = Store::default();
        all_reached.push(Arc::clone(&store.reached));
        let done = Arc::clone(&done);
        devices.push(tokio::spawn(live(transport, urls.clone(), random, store, done)));
    }
    let writer = tokio::spawn(write(steady.url(), Arc::clone(&stop)));
    // Once, both gateways that the devices use are restarted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for gateway in [&mut large, &mut tiny] {
        gateway.kill9();
        gateway.restart().await;
    }
    for gateway in [&large, &tiny] {
        gateway.wait_ready().await;
    }
    tokio::time::sleep(Duration::from_millis(u64::from(cuts()) * 150)).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = writer.await.unwrap();
    let last = *acknowledged.keys().last().unwrap();
    assert_eq!(acknowledged.len() as u64, last);
    println!("{last} messages");

    let bob = steady.client(USER).await;
    let mut history = BTreeMap::new();
    eventually("history is complete", Duration::from_secs(60), async || {
        let reached = history.keys().last().copied().unwrap_or(0);
        let path =
            format!("/v1/conversations/{CONVERSATION}/messages?afterSeq={reached}&limit=200");
        for message in bob.get(&path).await.json["messages"].as_array()? {
            let seq = message["conversationSeq"].as_u64().unwrap();
            history.insert(seq, message["clientMessageId"].as_str().unwrap().to_owned());
        }
        (history.keys().last() == Some(&last)).then_some(())
    })
    .await;
    assert_eq!(history, acknowledged);
    eventually("every device has seen the last message", Duration::from_secs(120), async || {
        all_reached.iter().all(|reached| reached.load(Ordering::Relaxed) == last).then_some(())
    })
    .await;
    done.store(true, Ordering::Relaxed);
    for (device, transport) in devices.into_iter().zip(transports) {
        let store = device.await.unwrap();
        // What was sent before its first token it reads from history, as a page does lazily.
        let first = store.messages.keys().next().copied().unwrap_or(1);
        let expected: BTreeMap<_, _> =
            history.range(first..).map(|(k, v)| (*k, v.clone())).collect();
        assert!(expected.len() as u64 > last / 2, "{transport:?} came late: {first} of {last}");
        let missing: Vec<u64> =
            expected.keys().filter(|seq| !store.messages.contains_key(seq)).copied().collect();
        let summary = (first, last, missing.len(), missing.first(), missing.last());
        assert!(store.messages == expected, "{transport:?} differs from history: {summary:?}");
    }
}
