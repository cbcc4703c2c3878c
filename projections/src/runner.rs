//! The projectors: one a shard at any time, whichever process it runs in.

mod projector;

use std::sync::Arc;

use parley_runtime::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::{
    Config, Failure,
    elected::{Candidate, Role},
    response_times::Keeper,
};
use projector::Projector;

/// Why projecting cannot go on; what may pass by itself is waited for instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Nats(#[from] parley_nats::Failure),
    #[error(transparent)]
    Views(#[from] Failure),
    #[error(
        "the log of shard {shard} ends at {last}, but the views already hold {checkpoint}: this is \
         not the log that they were made from. Restore it, or let the views be built anew"
    )]
    LogReplaced { shard: u16, last: u64, checkpoint: u64 },
    #[error("the views are being built anew already; one at a time")]
    Rebuilding,
    #[error(
        "somebody reads {0} all the time: the views in use are as they were; try again when \
         less is going on"
    )]
    InUse(&'static str),
    #[error("a projector ended unexpectedly: {0}")]
    Panicked(String),
}

/// Runs the projectors of all shards until `shutdown` begins; a batch under way is finished.
///
/// # Errors
/// If NATS cannot be reached at the start, the deployment has another number of shards, or a log
/// was replaced. Anything that may pass by itself is waited for.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let nats = parley_nats::connect(&config.nats_url, "parley-projections").await?;
    if let Some(deployment) = parley_nats::topology::find(&nats).await?
        && deployment.shards != config.shards
    {
        let (deployed, configured) = (deployment.shards, config.shards);
        return Err(parley_nats::Failure::ShardsDiffer { deployed, configured }.into());
    }
    // If one of them cannot go on, the others are not left running alone.
    let stop = shutdown.soft().child_token();
    let response_times = Keeper::new(&config)?;
    let waiting = response_times.waiting();
    let mut beside = JoinSet::new();
    beside.spawn(response_times.run());
    let (config, nats) = (Arc::new(config), Arc::new(nats));
    let mut projectors = JoinSet::new();
    for shard in 0..config.shards {
        let candidate = Candidate::new(Role::Projector, shard, &config.database_url, stop.clone())?;
        let projector = Projector {
            shard,
            config: Arc::clone(&config),
            nats: Arc::clone(&nats),
            stop: stop.clone(),
            waiting: waiting.clone(),
        };
        projectors.spawn(candidate.run(projector));
    }
    let mut result = Ok(());
    while let Some(ended) = tokio::select! {
        ended = projectors.join_next() => ended,
        () = shutdown.hard().cancelled() => None,
    } {
        let ended = ended.unwrap_or_else(|error| Err(Error::Panicked(error.to_string())));
        stop.cancel();
        result = result.and(ended);
    }
    result
}
