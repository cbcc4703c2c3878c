//! What the tests of the log share.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parley_nats::{
    Connection,
    committer::{Append, Committer, CommitterConfig, Ended, event_headers},
    connect,
    read::read_to_end,
    topology::{TopologyConfig, ensure},
};

pub fn topology(shards: u16, replicas: usize) -> TopologyConfig {
    TopologyConfig { shards, replicas, lease_ttl: Duration::from_millis(2_000) }
}

/// A connection to a deployment of one shard.
pub async fn deployment(url: &str, replicas: usize) -> Connection {
    let connection = connect(url, "test").await.unwrap();
    ensure(&connection, &topology(1, replicas)).await.unwrap();
    connection
}

pub fn append(text: &str) -> Append {
    Append {
        subject: "dm.evt.0.d.alice.bob".to_owned(),
        payload: Bytes::from(text.to_owned()),
        headers: event_headers("message.sent", 1, None),
    }
}

pub fn start(
    connection: &Connection,
    committer: &Arc<Committer>,
) -> tokio::task::JoinHandle<Ended> {
    let (connection, committer) = (connection.clone(), Arc::clone(committer));
    tokio::spawn(async move { committer.run(&connection).await })
}

pub fn committer(end: u64) -> Arc<Committer> {
    let config = CommitterConfig {
        answer_timeout: Duration::from_millis(700),
        ..CommitterConfig::default()
    };
    Committer::new(0, end, config)
}

/// All payloads of shard 0, in order.
pub async fn log(connection: &Connection) -> Vec<String> {
    let mut log = Vec::new();
    read_to_end(connection, 0, 0, |message| {
        log.push(String::from_utf8(message.payload.to_vec()).unwrap());
    })
    .await
    .unwrap();
    log
}
