//! The streams and buckets of a deployment, made at start.

use std::time::Duration;

use async_nats::jetstream::{kv, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Connection, Failure,
    connection::START_PATIENCE,
    subjects::{
        DEPLOYMENT_BUCKET, DEPLOYMENT_KEY, LEASE_BUCKET, PRESENCE_BUCKET, stream_name,
        stream_subjects,
    },
};

/// What a deployment is made with.
#[derive(Debug, Clone)]
pub struct TopologyConfig {
    /// Fixed when the deployment is created.
    pub shards: u16,
    /// Copies of each stream: 1 on a single server, 3 in a cluster.
    pub replicas: usize,
    /// How long a lease lives without a renewal.
    pub lease_ttl: Duration,
}

/// What a deployment is, for ever: written once, by whoever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub shards: u16,
    /// Sync tokens carry it: a token of another deployment is recognised.
    pub epoch: Uuid,
}

/// Creates what is missing and checks what is there. Any number of services may do so at once.
/// Errors with [`Failure::ShardsDiffer`] if the deployment has another number of shards, at once;
/// with a server that does not answer, after [`START_PATIENCE`].
pub async fn ensure(
    connection: &Connection,
    config: &TopologyConfig,
) -> Result<Deployment, Failure> {
    connection.persist("create the deployment", START_PATIENCE, || create(connection, config)).await
}

async fn create(connection: &Connection, config: &TopologyConfig) -> Result<Deployment, Failure> {
    let deployment = deployment(connection, config).await?;
    if deployment.shards != config.shards {
        return Err(Failure::ShardsDiffer {
            deployed: deployment.shards,
            configured: config.shards,
        });
    }
    for shard in 0..deployment.shards {
        connection
            .jetstream()
            .create_or_update_stream(stream_config(shard, config.replicas))
            .await
            .map_err(|error| Failure::jetstream("create a stream of the log", error))?;
    }
    lease_bucket(connection, config.replicas, config.lease_ttl).await?;
    Ok(deployment)
}

/// The record of an existing deployment; `None` if there is none yet.
pub async fn find(connection: &Connection) -> Result<Option<Deployment>, Failure> {
    match connection.jetstream().get_key_value(DEPLOYMENT_BUCKET).await {
        Ok(bucket) => read(&bucket).await,
        // async-nats tells a missing bucket from a silent server only by its text.
        Err(error) if error.to_string().contains("not found") => Ok(None),
        Err(error) => Err(Failure::jetstream("open the deployment's bucket", error)),
    }
}

/// The bucket of leases, made again if the server lost it with its memory.
pub(crate) async fn lease_bucket(
    connection: &Connection,
    replicas: usize,
    ttl: Duration,
) -> Result<kv::Store, Failure> {
    connection
        .jetstream()
        .create_or_update_key_value(kv::Config {
            bucket: LEASE_BUCKET.to_owned(),
            description: "Who owns which shard of Parley at the moment".to_owned(),
            history: 1,
            max_age: ttl,
            storage: stream::StorageType::Memory,
            num_replicas: replicas,
            ..kv::Config::default()
        })
        .await
        .map_err(|error| Failure::jetstream("create the bucket of leases", error))
}

/// The bucket of presence, made again if the server lost it with its memory.
pub(crate) async fn presence_bucket(
    connection: &Connection,
    replicas: usize,
    max_age: Duration,
) -> Result<kv::Store, Failure> {
    connection
        .jetstream()
        .create_or_update_key_value(kv::Config {
            bucket: PRESENCE_BUCKET.to_owned(),
            description: "Who is connected to which gateway of Parley at the moment".to_owned(),
            history: 1,
            max_age,
            storage: stream::StorageType::Memory,
            num_replicas: replicas,
            ..kv::Config::default()
        })
        .await
        .map_err(|error| Failure::jetstream("create the bucket of presence", error))
}

async fn deployment(
    connection: &Connection,
    config: &TopologyConfig,
) -> Result<Deployment, Failure> {
    let bucket = connection
        .jetstream()
        .create_or_update_key_value(kv::Config {
            bucket: DEPLOYMENT_BUCKET.to_owned(),
            description: "What this deployment of Parley is".to_owned(),
            history: 1,
            storage: stream::StorageType::File,
            num_replicas: config.replicas,
            ..kv::Config::default()
        })
        .await
        .map_err(|error| Failure::jetstream("create the deployment's bucket", error))?;
    if let Some(known) = read(&bucket).await? {
        return Ok(known);
    }
    let new = Deployment { shards: config.shards, epoch: Uuid::new_v4() };
    let json = serde_json::to_vec(&new).map_err(|error| Failure::Deployment(error.to_string()))?;
    match bucket.create(DEPLOYMENT_KEY, json.into()).await {
        Ok(_) => Ok(new),
        // Somebody else was first: theirs counts.
        Err(created) => read(&bucket)
            .await?
            .ok_or_else(|| Failure::jetstream("keep the deployment's record", created)),
    }
}

async fn read(bucket: &kv::Store) -> Result<Option<Deployment>, Failure> {
    let value = bucket
        .get(DEPLOYMENT_KEY)
        .await
        .map_err(|error| Failure::jetstream("read the deployment's record", error))?;
    value
        .map(|json| {
            serde_json::from_slice(&json).map_err(|error| Failure::Deployment(error.to_string()))
        })
        .transpose()
}

fn stream_config(shard: u16, replicas: usize) -> stream::Config {
    stream::Config {
        name: stream_name(shard),
        description: Some("Conversations and accounts of Parley, one event a message".to_owned()),
        subjects: vec![stream_subjects(shard)],
        storage: stream::StorageType::File,
        num_replicas: replicas,
        allow_direct: true,
        allow_atomic_publish: true,
        ..stream::Config::default()
    }
}
