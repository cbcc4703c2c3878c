//! Messages whose time is over: each becomes a command of the system, in its sender's name.

use futures_util::{StreamExt, stream};
use parley_domain::{Action, Actor, Scope};
use parley_projections::queries::{Expired, expired};

use super::{Outage, Tidy};
use crate::{
    problem::{Code, Problem},
    wire::Request,
};

/// How many are looked up at once.
const BATCH: u32 = 500;
/// How many commands are under way at once: people's go beside them.
const AT_ONCE: usize = 32;

pub(super) async fn run(tidy: &Tidy, shard: u16) {
    let mut ticks = tokio::time::interval(tidy.config.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut outage = Outage::new("expiry", shard);
    loop {
        ticks.tick().await;
        match sweep(tidy, shard).await {
            Ok(0) => outage.over(),
            Ok(deleted) => {
                outage.over();
                tracing::debug!(shard, deleted, "expired messages were deleted");
            }
            Err(problem) => outage.failed(problem).await,
        }
    }
}

/// Once through all that are due; one that is refused is not in the way of the next.
async fn sweep(tidy: &Tidy, shard: u16) -> Result<usize, Problem> {
    let mut deleted = 0;
    let mut last: Option<Expired> = None;
    loop {
        let due = expired(&tidy.pool, shard, last.as_ref(), BATCH)
            .await
            .map_err(|failure| Problem::unavailable(failure.to_string()))?;
        let is_last = due.len() < BATCH as usize;
        last = due.last().cloned();
        let mut answers =
            stream::iter(due.into_iter().map(|due| expire(tidy, due))).buffer_unordered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            deleted += usize::from(answer?);
        }
        if is_last {
            return Ok(deleted);
        }
    }
}

/// Says whether it is deleted now.
async fn expire(tidy: &Tidy, due: Expired) -> Result<bool, Problem> {
    let Expired { conversation_id, conversation_seq, sender_id, .. } = due;
    let request = Request {
        conversation_id,
        actor: Actor {
            user_id: sender_id,
            device_id: None,
            scope: Scope::Service,
            is_discreet: false,
        },
        action: Action::ExpireMessage { conversation_seq },
        traceparent: None,
    };
    match tidy.client.execute(request).await {
        Ok(_) => Ok(true),
        Err(problem) if problem.code == Code::Unavailable => Err(problem),
        // The owner's clock is behind the database's, or its log lacks the message.
        Err(problem) => {
            tracing::debug!(%problem, conversation_seq, "a message does not expire yet");
            Ok(false)
        }
    }
}
