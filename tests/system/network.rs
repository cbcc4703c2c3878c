//! A bad network between a gateway and NATS: its devices notice nothing but delay.
//!
//! One gateway reaches NATS through a proxy that hurts it for `PARLEY_TEST_FAULT_SECONDS`; another
//! one, and all other services, reach it directly, so that the log goes on meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parley_runtime::engines::testing::NatsProxy;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::device::{Store, Transport, listen};
use crate::faults::duration;
use crate::harness::{Client, Deployment, eventually};
use crate::load::{Load, accept};

const CONVERSATION: &str = "d.alice.bob";
const USER: &str = "bob";
const PAUSE: Duration = Duration::from_millis(20);
/// People who talk through the hurt gateway.
const CONVERSATIONS: usize = 5;
const COMPLETE_WITHIN: Duration = Duration::from_secs(60);
/// For a while all is well.
const BETWEEN: Duration = Duration::from_secs(2);
/// A device stays for as long as it is not sent away.
const FOREVER: Duration = Duration::from_secs(3_600);

/// A device that stays at one gateway.
struct Device {
    transport: Transport,
    reached: Arc<AtomicU64>,
    leave: oneshot::Sender<()>,
    /// Its store at the end, and how often it had to connect.
    task: JoinHandle<(Store, usize)>,
}

impl Device {
    /// Returns once it has a token: without one it would be given no messages.
    async fn start(transport: Transport, url: &str) -> Self {
        let mut store = Store::default();
        while store.token.is_none() {
            listen(transport, url, USER, &mut store, Duration::from_secs(1)).await;
        }
        let (leave, mut left) = oneshot::channel();
        let (url, reached) = (url.to_owned(), Arc::clone(&store.reached));
        let task = tokio::spawn(async move {
            let mut connections = 0;
            loop {
                connections += 1;
                tokio::select! {
                    () = listen(transport, &url, USER, &mut store, FOREVER) => {}
                    _ = &mut left => return (store, connections),
                }
            }
        });
        Self { transport, reached, leave, task }
    }

    /// Waits for message `last`, and checks that the device has exactly `expected`.
    async fn check(self, last: u64, expected: &BTreeMap<u64, String>) {
        let Self { transport, reached, leave, task } = self;
        let what = format!("the device by {transport:?} is complete");
        eventually(&what, COMPLETE_WITHIN, async || {
            assert!(!task.is_finished(), "the device by {transport:?} has failed");
            (reached.load(Ordering::Relaxed) == last).then_some(())
        })
        .await;
        leave.send(()).expect("the device runs");
        let (store, connections) = task.await.unwrap();
        assert!(store.messages == *expected, "the device by {transport:?} differs from history");
        // Each answer ends a long poll; the others are told nothing of the network.
        if transport != Transport::LongPoll {
            assert_eq!(connections, 1, "the device by {transport:?} was cut off");
        }
    }
}

/// Writes until told to stop; what was accepted.
async fn write(client: Client, stop: Arc<AtomicBool>) -> BTreeMap<u64, String> {
    let path = format!("/v1/conversations/{CONVERSATION}/messages");
    let mut accepted = BTreeMap::new();
    let mut tick = tokio::time::interval(PAUSE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let name = format!("m-{}", accepted.len() + 1);
        let body = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
        let answer = accept(&client, &path, &body).await;
        accepted.insert(answer["conversationSeq"].as_u64().unwrap(), name);
    }
    accepted
}

/// Hurts the network again and again, then checks that everybody has everything.
async fn behind_a_bad_network(mut hurt: impl AsyncFnMut(&NatsProxy)) {
    let deployment = Deployment::start().await;
    let _commands = deployment.service("commands").await;
    let _projections = deployment.service("projections").await;
    let steady = deployment.gateway().await;
    let proxy = NatsProxy::start(&deployment.nats.url()).await;
    let through = proxy.url();
    let gateway = deployment.service_with("gateway", &[("PARLEY_NATS_URL", &through)]).await;
    gateway.wait_ready().await;

    let url = gateway.url();
    let transports = [Transport::WebSocket, Transport::Stream, Transport::LongPoll];
    let devices = join_all(transports.map(|transport| Device::start(transport, &url))).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(steady.client("alice").await, Arc::clone(&stop)));
    let load = Load::start(&url, CONVERSATIONS, PAUSE * 2);
    let end = Instant::now() + duration();
    while Instant::now() < end {
        hurt(&proxy).await;
        tokio::time::sleep(BETWEEN).await;
    }
    let well = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let accepted = writer.await.unwrap();
    let through_it = load.check().await;
    assert!(through_it > CONVERSATIONS, "almost nothing got through: {through_it}");
    println!("{} messages beside it, {through_it} through it", accepted.len());

    let last = *accepted.keys().last().unwrap();
    assert_eq!(accepted.len() as u64, last, "the numbers have gaps");
    for device in devices {
        device.check(last, &accepted).await;
    }
    println!("everybody has everything after {:?}", well.elapsed());
}

#[tokio::test]
async fn the_connection_to_nats_is_cut_again_and_again() {
    behind_a_bad_network(async |proxy| proxy.cut()).await;
}

#[tokio::test]
async fn the_connection_to_nats_stands_still_for_ten_seconds() {
    behind_a_bad_network(async |proxy| {
        proxy.pause();
        tokio::time::sleep(Duration::from_secs(10)).await;
        proxy.resume();
    })
    .await;
}

/// One of ten, then all: a loss that nothing follows is the hardest to see.
#[tokio::test]
async fn messages_of_nats_are_lost() {
    let mut all = true;
    behind_a_bad_network(async |proxy| {
        let before = proxy.dropped();
        all = !all;
        if all {
            proxy.lose_all();
        } else {
            proxy.lose_one_in(10);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        proxy.lose_none();
        assert!(proxy.dropped() > before, "nothing was lost");
    })
    .await;
}
