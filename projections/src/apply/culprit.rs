//! Which events of a batch PostgreSQL does not take.

use sqlx::{Connection, PgConnection};

use super::{Placed, Poison, batch};
use crate::Failure;

/// Whether the same data would fail again: SQLSTATE class 22 (data exception) or 23 (integrity
/// constraint violation). Anything else is the server's state, and passes.
pub(super) fn is_in_the_data(failure: &Failure) -> bool {
    refusal(failure).is_some()
}

fn refusal(failure: &Failure) -> Option<Poison> {
    match failure {
        Failure::Database(sqlx::Error::Database(error)) => error
            .code()
            .filter(|code| code.starts_with("22") || code.starts_with("23"))
            .map(|code| Poison::Refused { code: code.into_owned() }),
        Failure::TooLarge(_) => Some(Poison::Number),
        Failure::Database(_)
        | Failure::TimedOut(_)
        | Failure::Migration(_)
        | Failure::Corrupt { .. } => None,
    }
}

/// Writes all that can be written, by halves behind savepoints; returns the rest.
pub(super) async fn write_without(
    transaction: &mut PgConnection,
    shard: u16,
    events: &[Placed],
) -> Result<Vec<(u64, Poison)>, Failure> {
    let mut culprits = Vec::new();
    let mut open = vec![events];
    while let Some(part) = open.pop() {
        let mut savepoint = transaction.begin().await?;
        let Err(failure) = batch::write(&mut savepoint, shard, part).await else {
            savepoint.commit().await?;
            continue;
        };
        let Some(poison) = refusal(&failure) else { return Err(failure) };
        savepoint.rollback().await?;
        match part {
            [] => {}
            [(_, position)] => culprits.push((*position, poison)),
            _ => {
                let (first, second) = part.split_at(part.len() / 2);
                // Taken from the end: the log's order is kept.
                open.extend([second, first]);
            }
        }
    }
    Ok(culprits)
}
