//! Who should do what at the moment: entries of a bucket that the server ages.
//!
//! A lease may lie (its holder was paused and does not know that it is over). It is there so that
//! owners do not fight; that they cannot do harm is the committer's fence.

use std::time::Duration;

use async_nats::jetstream::kv::{self, CreateErrorKind, UpdateErrorKind};
use tokio::time::Instant;

use crate::{Connection, Failure, connection::START_PATIENCE, topology};

/// The bucket of leases, as one instance sees it.
#[derive(Debug, Clone)]
pub struct Leases {
    connection: Connection,
    bucket: kv::Store,
    instance: String,
    replicas: usize,
    ttl: Duration,
}

/// A lease that this instance holds, as far as it knows.
#[derive(Debug)]
pub struct Lease {
    key: String,
    revision: u64,
    /// From when on others may have it.
    pub until: Instant,
}

impl Leases {
    /// `instance` is written into the leases, for operators to see.
    pub async fn open(
        connection: &Connection,
        instance: &str,
        replicas: usize,
        ttl: Duration,
    ) -> Result<Self, Failure> {
        let bucket = connection
            .persist("create the bucket of leases", START_PATIENCE, || {
                topology::lease_bucket(connection, replicas, ttl)
            })
            .await?;
        Ok(Self {
            connection: connection.clone(),
            bucket,
            instance: instance.to_owned(),
            replicas,
            ttl,
        })
    }

    /// The name in this instance's leases.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Makes the bucket again after its server lost its memory.
    pub async fn restore(&mut self) -> Result<(), Failure> {
        self.bucket = topology::lease_bucket(&self.connection, self.replicas, self.ttl).await?;
        Ok(())
    }

    /// Takes a lease that nobody holds; `None` if somebody does.
    pub async fn acquire(&self, key: &str) -> Result<Option<Lease>, Failure> {
        let asked = Instant::now();
        match self.bucket.create(key, self.instance.clone().into()).await {
            Ok(revision) => {
                Ok(Some(Lease { key: key.to_owned(), revision, until: asked + self.ttl }))
            }
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(Failure::jetstream("give a lease", error)),
        }
    }

    /// Holds on to a lease; `false` if it is somebody else's by now. One that was lost with the
    /// server's memory, and that nobody else took, is taken again.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, Failure> {
        let asked = Instant::now();
        match self.bucket.update(&lease.key, self.instance.clone().into(), lease.revision).await {
            Ok(revision) => {
                lease.revision = revision;
                lease.until = asked + self.ttl;
                Ok(true)
            }
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                let again = self.acquire(&lease.key).await?;
                let ours = again.is_some();
                if let Some(again) = again {
                    *lease = again;
                }
                Ok(ours)
            }
            Err(error) => Err(Failure::jetstream("renew a lease", error)),
        }
    }

    /// Gives a lease back, so that others need not wait for its end.
    pub async fn release(&self, lease: Lease) {
        let released = self.bucket.delete_expect_revision(&lease.key, Some(lease.revision)).await;
        if let Err(error) = released {
            tracing::debug!(key = lease.key, %error, "a lease was not given back and will age");
        }
    }

    /// Keeps a sign of life under `key`.
    pub async fn sign_of_life(&self, key: &str) -> Result<(), Failure> {
        self.bucket
            .put(key, self.instance.clone().into())
            .await
            .map(|_| ())
            .map_err(|error| Failure::jetstream("keep a sign of life", error))
    }

    /// Takes a sign of life back.
    pub async fn withdraw(&self, key: &str) {
        if let Err(error) = self.bucket.delete(key).await {
            tracing::debug!(key, %error, "a sign of life was not taken back and will age");
        }
    }

    /// Who holds `key`; `None` if nobody.
    pub async fn holder(&self, key: &str) -> Result<Option<String>, Failure> {
        let value = self
            .bucket
            .get(key)
            .await
            .map_err(|error| Failure::jetstream("read a lease", error))?;
        Ok(value.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// The keys that are alive.
    pub async fn keys(&self) -> Result<Vec<String>, Failure> {
        use futures_util::TryStreamExt;
        let listed = self
            .bucket
            .keys()
            .await
            .map_err(|error| Failure::jetstream("list the leases", error))?;
        listed.try_collect().await.map_err(|error| Failure::jetstream("list the leases", error))
    }
}
