//! A connection to NATS that tells its users when it was cut.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use tokio::sync::watch;

use crate::Failure;

/// How long the first connection may take before the start fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a JetStream API call may take.
const API_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a start waits for a server that is being restarted, or has no leader yet.
pub const START_PATIENCE: Duration = Duration::from_secs(15);
const START_PAUSE: Duration = Duration::from_millis(250);
/// Messages that a subscription holds for a slow reader before it drops them.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// Shared by everything in a process that speaks to NATS; cheap to clone.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    jetstream: jetstream::Context,
    link: watch::Receiver<Link>,
}

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    pub connected: bool,
    /// How often it was cut: what was under way in an earlier epoch is in doubt.
    pub epoch: u64,
}

/// Connects, with reconnection for ever after; errors with [`Failure::Unreachable`].
/// `url` may hold several servers, separated by commas; `name` is what operators see.
pub async fn connect(url: &str, name: &str) -> Result<Connection, Failure> {
    let (sender, link) = watch::channel(Link { connected: true, epoch: 0 });
    let sender = Arc::new(sender);
    let options = ConnectOptions::new()
        .name(name)
        .connection_timeout(CONNECT_TIMEOUT)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempt| {
            // A restarted server is back within a second; a dead one is not hammered.
            Duration::from_millis((25 << attempt.min(6)).min(1_000))
        })
        .event_callback(move |event| {
            let sender = Arc::clone(&sender);
            async move { note(&sender, &event) }
        });
    let servers: Vec<&str> = url.split(',').map(str::trim).collect();
    let client = options.connect(servers).await.map_err(|error| Failure::Unreachable {
        url: without_password(url),
        why: error.to_string(),
    })?;
    let jetstream = jetstream::ContextBuilder::new().timeout(API_TIMEOUT).build(client.clone());
    Ok(Connection { client, jetstream, link })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum that may grow; only these say the link moved"
)]
fn note(sender: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => sender.send_modify(|link| link.connected = true),
        Event::Disconnected | Event::Closed => sender.send_modify(|link| {
            link.connected = false;
            link.epoch += 1;
        }),
        Event::SlowConsumer(subscription) => {
            tracing::warn!(subscription, "a subscription was too slow and lost messages");
        }
        Event::ServerError(error) => tracing::warn!(%error, "NATS server error"),
        Event::ClientError(error) => tracing::debug!(%error, "NATS client error"),
        _ => {}
    }
}

fn without_password(url: &str) -> String {
    url.split(',')
        .map(|server| match (server.find("://"), server.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}://…{}", &server[..scheme], &server[at..])
            }
            _ => server.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

impl Connection {
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Waits until the link is up, at most `patience`; says whether it is.
    pub async fn connected(&self, patience: Duration) -> bool {
        let mut link = self.link.clone();
        let up = link.wait_for(|link| link.connected);
        matches!(tokio::time::timeout(patience, up).await, Ok(Ok(_)))
    }

    /// Does `work`, unless the connection is cut meanwhile: then no answer would come, and waiting
    /// for its time-out is time lost.
    pub async fn unless_cut<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let epoch = self.link().epoch;
        tokio::select! {
            biased;
            done = work => done,
            () = self.cut(epoch) => Err(Failure::jetstream(what, "the connection was cut")),
        }
    }

    /// Does `work` again while JetStream fails at it, for as long as `patience`.
    pub async fn persist<T, W: Future<Output = Result<T, Failure>>>(
        &self,
        what: &'static str,
        patience: Duration,
        work: impl Fn() -> W,
    ) -> Result<T, Failure> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            self.connected(START_PAUSE).await;
            // On the heap: these futures are large, and rarely made.
            match Box::pin(self.unless_cut(what, work())).await {
                Err(Failure::JetStream { what, why }) if tokio::time::Instant::now() < end => {
                    tracing::debug!(what, why, "trying again");
                    tokio::time::sleep(START_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Resolves once the connection of `epoch` has been cut.
    pub async fn cut(&self, epoch: u64) {
        let mut link = self.link.clone();
        if link.wait_for(|link| link.epoch != epoch).await.is_err() {
            // The client is gone, and with it everything that was under way.
            tracing::debug!("the NATS client is closed");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_is_named_without_its_password() {
        let named = super::without_password("nats://me:secret@one:4222,nats://two:4222");
        assert_eq!(named, "nats://…@one:4222,nats://two:4222");
    }
}
