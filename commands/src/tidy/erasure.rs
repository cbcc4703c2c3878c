//! Deleted messages, out of the log itself: the event that sent them, and their edits.

use futures_util::{StreamExt, stream};
use parley_domain::{ConversationId, Event};
use parley_nats::{
    Failure,
    erase::{erase, message_at},
};
use parley_projections::erasure::{Erasing, Erasure, due};

use super::{Outage, Tidy};

/// How many conversations are looked up at once.
const CONVERSATIONS: u32 = 100;
/// How many messages of one are erased at once: a hold that is placed meanwhile waits so long.
const MESSAGES: u32 = 20;
/// How many conversations are worked on at once.
const AT_ONCE: usize = 4;

pub(super) async fn run(tidy: &Tidy, shard: u16) {
    let mut ticks = tokio::time::interval(tidy.config.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut outage = Outage::new("erasure", shard);
    loop {
        ticks.tick().await;
        loop {
            match sweep(tidy, shard).await {
                Ok(0) => break outage.over(),
                Ok(erased) => {
                    outage.over();
                    tracing::info!(shard, erased, "deleted messages were erased from the log");
                }
                Err(failure) => break outage.failed(failure).await,
            }
        }
    }
}

/// How many messages were erased; 0 if there is nothing left to do.
async fn sweep(tidy: &Tidy, shard: u16) -> Result<usize, Failure> {
    let due =
        due(&tidy.pool, shard, tidy.config.erase_grace, CONVERSATIONS).await.map_err(views)?;
    let mut working = stream::iter(due.into_iter().map(|id| conversation(tidy, shard, id)))
        .buffer_unordered(AT_ONCE);
    let mut erased = 0;
    while let Some(done) = working.next().await {
        erased += done?;
    }
    Ok(erased)
}

async fn conversation(tidy: &Tidy, shard: u16, id: ConversationId) -> Result<usize, Failure> {
    let erasing = Erasing::begin(&tidy.pool, id.clone()).await.map_err(views)?;
    let Some(mut erasing) = erasing else { return Ok(0) };
    let messages = erasing.messages(tidy.config.erase_grace, MESSAGES).await.map_err(views)?;
    let count = messages.len();
    for message in messages {
        let seq = message.conversation_seq;
        if message_is_gone(tidy, shard, &id, message).await? {
            erasing.done(seq).await.map_err(views)?;
        } else {
            tracing::error!(shard, conversation_seq = seq, "the log is not that of the views");
            erasing.failed(seq, "another event is at its position").await.map_err(views)?;
        }
    }
    erasing.end().await.map_err(views)?;
    Ok(count)
}

/// Nothing else than what the message said is ever erased: what is at a position is read first.
async fn message_is_gone(
    tidy: &Tidy,
    shard: u16,
    id: &ConversationId,
    Erasure { conversation_seq, positions }: Erasure,
) -> Result<bool, Failure> {
    for position in positions {
        let Some(found) = message_at(&tidy.connection, shard, position).await? else { continue };
        let event = Event::from_json(&found.payload).ok();
        let says = event.filter(|event| event.subject.conversation() == Some(id));
        if says.and_then(|event| event.data.body_of()) != Some(conversation_seq) {
            return Ok(false);
        }
        erase(&tidy.connection, shard, position).await?;
    }
    Ok(true)
}

fn views(failure: parley_projections::Failure) -> Failure {
    Failure::Views(failure.to_string())
}
