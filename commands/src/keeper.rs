//! Which shards this instance owns: its fair share of them, by leases.
//!
//! Every instance keeps a sign of life; with n of them alive, each takes up to ceil(S / n) shards
//! that nobody holds, and gives away what it has beyond that. A dead instance's leases age away.

use std::{collections::HashMap, time::Duration};

use parley_nats::{
    Connection, Failure,
    lease::{Lease, Leases},
    subjects::{instance_lease, shard_lease},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::owner::{Owner, Stop};

/// Makes the owner of a shard.
pub type MakeOwner = dyn Fn(u16) -> Owner + Send + Sync;

/// The shards of this instance.
pub struct Keeper {
    connection: Connection,
    leases: Leases,
    lease_ttl: Duration,
    tick: Interval,
    instance: String,
    shards: u16,
    make_owner: Box<MakeOwner>,
    owned: HashMap<u16, Owned>,
}

struct Owned {
    lease: Lease,
    stop: Stop,
    task: JoinHandle<()>,
}

impl Keeper {
    /// For the instance whose `leases` these are, as long as `lease_ttl` each.
    pub fn new(
        connection: Connection,
        leases: Leases,
        lease_ttl: Duration,
        shards: u16,
        make_owner: Box<MakeOwner>,
    ) -> Self {
        // Several renewals fit into a lease, so that one that fails does no harm.
        let mut tick = tokio::time::interval(lease_ttl / 5);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let instance = leases.instance().to_owned();
        let owned = HashMap::new();
        Self { connection, leases, lease_ttl, tick, instance, shards, make_owner, owned }
    }

    /// Keeps shards until `soft`, then hands them over.
    pub async fn run(mut self, soft: CancellationToken) {
        loop {
            tokio::select! {
                _ = self.tick.tick() => {}
                () = soft.cancelled() => break,
            }
            let connection = self.connection.clone();
            let tended = connection.unless_cut("tend the leases", self.tend()).await;
            if let Err(failure) = tended {
                tracing::debug!(%failure, "leases cannot be tended");
                self.restore(self.lease_ttl).await;
            }
            self.drop_expired();
        }
        let shards: Vec<u16> = self.owned.keys().copied().collect();
        for shard in &shards {
            if let Some(owned) = self.owned.get(shard) {
                owned.stop.handover.cancel();
            }
        }
        for shard in shards {
            self.hand_over(shard).await;
        }
        self.leases.withdraw(&instance_lease(&self.instance)).await;
    }

    /// The server may have been away, and may have lost the bucket with its memory.
    async fn restore(&mut self, patience: Duration) {
        let connection = self.connection.clone();
        connection.connected(patience).await;
        let restored = connection.unless_cut("restore the leases", self.leases.restore()).await;
        match restored {
            Ok(()) => self.tick.reset_immediately(),
            Err(failure) => tracing::debug!(%failure, "the bucket of leases is away"),
        }
    }

    async fn tend(&mut self) -> Result<(), Failure> {
        self.leases.sign_of_life(&instance_lease(&self.instance)).await?;
        for shard in self.owned.keys().copied().collect::<Vec<_>>() {
            let Some(owned) = self.owned.get_mut(&shard) else { continue };
            if !self.leases.renew(&mut owned.lease).await? || owned.task.is_finished() {
                tracing::warn!(shard, "a shard's lease is somebody else's");
                self.lose(shard);
            }
        }
        let share = self.share().await?;
        while self.owned.len() > share {
            let Some(shard) = self.owned.keys().max().copied() else { break };
            tracing::info!(shard, "a shard is handed over to another instance");
            self.hand_over(shard).await;
        }
        for shard in 0..self.shards {
            if self.owned.len() >= share {
                break;
            }
            if self.owned.contains_key(&shard) {
                continue;
            }
            if let Some(lease) = self.leases.acquire(&shard_lease(shard)).await? {
                let owner = (self.make_owner)(shard);
                let stop = Stop::default();
                let task = tokio::spawn(owner.run(stop.clone()));
                self.owned.insert(shard, Owned { lease, stop, task });
            }
        }
        Ok(())
    }

    /// How many shards each of the living instances should have at most.
    async fn share(&self) -> Result<usize, Failure> {
        let prefix = instance_lease("");
        let alive = self.leases.keys().await?;
        let instances = alive.iter().filter(|key| key.starts_with(&prefix)).count().max(1);
        Ok(usize::from(self.shards).div_ceil(instances))
    }

    /// A lease that could not be renewed in time may be another's by now.
    fn drop_expired(&mut self) {
        let now = Instant::now();
        let expired: Vec<u16> = self
            .owned
            .iter()
            .filter(|(_, owned)| owned.lease.until <= now)
            .map(|(shard, _)| *shard)
            .collect();
        for shard in expired {
            tracing::warn!(shard, "a shard's lease ran out");
            self.lose(shard);
        }
    }

    fn lose(&mut self, shard: u16) {
        if let Some(owned) = self.owned.remove(&shard) {
            owned.stop.lost.cancel();
        }
    }

    async fn hand_over(&mut self, shard: u16) {
        if let Some(owned) = self.owned.remove(&shard) {
            owned.stop.handover.cancel();
            if let Err(error) = owned.task.await {
                tracing::error!(shard, %error, "a shard's owner broke");
            }
            self.leases.release(owned.lease).await;
        }
    }
}
