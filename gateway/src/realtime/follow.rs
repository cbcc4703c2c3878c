//! The tasks that feed a hub: one tail a shard, and the subscription to who types where.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use parley_domain::{ConversationId, UserId};
use parley_nats::{
    Connection, Failure, last_position,
    subjects::{ALL_TYPING, parse_typing_subject, typing_subject},
    tail::{Tail, TailOptions},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{hub::Hub, loading::Loader, protocol, routing::Logged};
use crate::{accounts::Accounts, devices::Devices, presence::Presence};

const BATCH: usize = 512;
const RESUBSCRIBE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(250);

/// Who is told what a shard's log says.
pub struct Told {
    pub hub: Arc<Hub>,
    pub devices: Arc<Devices>,
    pub accounts: Arc<Accounts>,
    pub presence: Presence,
}

/// Follows a shard from the position behind which the hub's ring begins, until `end`.
pub async fn shard(
    told: Told,
    connection: Connection,
    mut loader: Loader,
    shard: u16,
    end: CancellationToken,
) {
    let Told { hub, devices, accounts, presence } = told;
    let after = hub.positions().get(usize::from(shard)).copied().unwrap_or_default();
    let mut tail = Tail::open(&connection, shard, after, TailOptions::default());
    let mut last = after;
    loop {
        let batch = tokio::select! {
            biased;
            () = end.cancelled() => return,
            batch = tail.next_batch(BATCH, Duration::ZERO) => batch,
            wanted = hub.wanted(shard) => {
                let Some(loaded) = end.run_until_cancelled(loader.load(wanted)).await else { return };
                hub.bring(shard, loaded);
                continue;
            }
        };
        // First: whoever is told of an unlink by this gateway finds it done here.
        for message in &batch {
            devices.observe(shard, message);
            if let Some(user) = accounts.observe(message) {
                presence.reconsider(&user);
            }
        }
        if let Some(through) = gap(&mut last, batch.iter().map(|message| message.position)) {
            hub.forget(shard, through);
        }
        let logged = batch.iter().map(|message| Logged {
            position: message.position,
            subject: message.subject.as_str(),
            payload: &message.payload,
        });
        let read = hub.read(shard, logged);
        // Before any of it is routed: what follows waits, so that nothing is skipped or reordered.
        let loading = loader.load(hub.unknown(&read));
        let Some(loaded) = end.run_until_cancelled(loading).await else { return };
        hub.push(read, loaded);
        // A long backlog must not keep the sessions of this thread waiting.
        tokio::task::yield_now().await;
    }
}

/// Where the last gap behind `last` ends, just before the next position. Positions are gapless but
/// for what was erased.
fn gap(last: &mut u64, positions: impl Iterator<Item = u64>) -> Option<u64> {
    let mut gap = None;
    for position in positions {
        if position > last.saturating_add(1) {
            gap = Some(position - 1);
        }
        *last = position;
    }
    gap
}

/// Notes how far the log of these shards goes; asks until it is told.
pub async fn note_ends(hub: &Hub, connection: &Connection, shards: &[u16]) {
    for shard in shards {
        loop {
            match last_position(connection, *shard).await {
                Ok(end) => break hub.note_end(*shard, end),
                Err(error) => {
                    tracing::debug!(shard, %error, "a log's end is not known yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Where each shard's log ends now.
pub async fn ends(connection: &Connection, shards: u16) -> Result<Vec<u64>, Failure> {
    let mut ends = Vec::with_capacity(usize::from(shards));
    for shard in 0..shards {
        ends.push(last_position(connection, shard).await?);
    }
    Ok(ends)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typing {
    user_id: UserId,
    typing: bool,
}

/// Tells all gateways. Lost if the server is away: nobody waits for it.
pub async fn publish_typing(
    connection: &Connection,
    conversation: &ConversationId,
    user: &UserId,
    typing: bool,
) {
    let Ok(payload) = serde_json::to_vec(&Typing { user_id: user.clone(), typing }) else { return };
    let published = connection.client().publish(typing_subject(conversation), payload.into()).await;
    if let Err(error) = published {
        tracing::trace!(%error, "typing was not told");
    }
}

/// Passes on who types where, until `end`.
pub async fn typing(hub: Arc<Hub>, connection: Connection, end: CancellationToken) {
    loop {
        match connection.client().subscribe(ALL_TYPING).await {
            Ok(mut messages) => loop {
                let message = tokio::select! {
                    () = end.cancelled() => return,
                    message = messages.next() => message,
                };
                let Some(message) = message else { break };
                whisper(&hub, message.subject.as_str(), &message.payload);
            },
            Err(error) => tracing::debug!(%error, "typing cannot be followed yet"),
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(RESUBSCRIBE) => {}
        }
    }
}

fn whisper(hub: &Hub, subject: &str, payload: &[u8]) {
    let Some(conversation) = parse_typing_subject(subject) else { return };
    let Ok(Typing { user_id, typing }) = serde_json::from_slice(payload) else { return };
    hub.pass_typing(&conversation, &user_id, || protocol::typing(&conversation, &user_id, typing));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_where_a_position_is_missing() {
        let mut last = 4;
        assert_eq!(gap(&mut last, [5, 6].into_iter()), None);
        assert_eq!(gap(&mut last, [7, 9, 10, 13, 14].into_iter()), Some(12));
        assert_eq!(gap(&mut last, [16].into_iter()), Some(15));
        assert_eq!((gap(&mut last, [17].into_iter()), last), (None, 17));
    }
}
