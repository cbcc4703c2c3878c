//! A batch of the log, written with its checkpoint in one transaction: exactly once in effect.

mod batch;
mod culprit;
mod dead_letter;
mod inspect;

use std::collections::BTreeSet;

use parley_domain::{Event, UserId};
use parley_nats::tail::LogMessage;
use sqlx::{Connection, PgConnection};

pub use dead_letter::DeadLetter;
pub use inspect::Poison;

use crate::{Failure, checkpoint, response_times};
use inspect::inspect;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Applied {
    /// Where the views are now.
    pub checkpoint: u64,
    pub dead_letters: Vec<DeadLetter>,
    /// Who may have answered somebody in a direct conversation.
    pub writers: BTreeSet<UserId>,
}

/// Why a batch changed nothing, as far as is known: a cut during the commit leaves it open, and the
/// checkpoint tells.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    #[error("the checkpoint of shard {shard} is not {expected}: another projector writes it")]
    Superseded { shard: u16, expected: u64 },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<sqlx::Error> for NotApplied {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// An event and its position.
type Placed = (Event, u64);

/// Applies `messages`, in the order of the log, to views that stand at `expected`. Messages up to
/// there are skipped; those that cannot be applied become dead letters.
///
/// # Errors
/// [`NotApplied::Superseded`] if the views stand elsewhere.
#[tracing::instrument(
    name = "projections.batch.apply", level = "debug", skip_all,
    fields(shard, messages = messages.len())
)]
pub async fn apply(
    connection: &mut PgConnection,
    shard: u16,
    expected: u64,
    messages: &[LogMessage],
) -> Result<Applied, NotApplied> {
    let new = messages.iter().filter(|message| message.position > expected);
    let (mut events, mut letters) = (Vec::with_capacity(messages.len()), Vec::new());
    let mut reached = expected;
    for message in new {
        match inspect(message, shard) {
            Ok(event) => events.push((event, message.position)),
            Err(poison) => letters.push(DeadLetter::new(message, poison)),
        }
        reached = reached.max(message.position);
    }
    if reached == expected {
        return Ok(Applied { checkpoint: expected, ..Applied::default() });
    }

    let mut transaction = connection.begin().await?;
    step(&mut transaction, shard, expected, reached).await?;
    let written = batch::write(&mut transaction, shard, &events).await;
    if let Err(failure) = written {
        // Nothing can follow a failed statement in this transaction.
        if !culprit::is_in_the_data(&failure) {
            return Err(failure.into());
        }
        transaction.rollback().await?;
        transaction = connection.begin().await?;
        step(&mut transaction, shard, expected, reached).await?;
        let culprits = culprit::write_without(&mut transaction, shard, &events).await?;
        for (position, poison) in culprits {
            let message = messages.iter().find(|message| message.position == position);
            letters.extend(message.map(|message| DeadLetter::new(message, poison)));
        }
    }
    dead_letter::write(&mut transaction, shard, &letters).await?;
    transaction.commit().await?;

    let writers = response_times::writers(events.iter().map(|(event, _)| event));
    let applied = Applied { checkpoint: reached, dead_letters: letters, writers };
    for letter in &applied.dead_letters {
        letter.log(shard);
    }
    Ok(applied)
}

/// The checkpoint first: its row's lock keeps every other projector of the shard out.
async fn step(
    transaction: &mut PgConnection,
    shard: u16,
    expected: u64,
    reached: u64,
) -> Result<(), NotApplied> {
    if checkpoint::advance(transaction, shard, expected, reached).await? {
        Ok(())
    } else {
        Err(NotApplied::Superseded { shard, expected })
    }
}
