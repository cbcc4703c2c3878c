//! The views made a second time, from the log's beginning, beside those that are in use.
//!
//! [`rebuild`] then puts them in the place of the first ones, and [`verify`] compares the two:
//! what people are shown is what the log says. Neither stops anything: the second views are in a
//! schema of their own, and catch up with the first.
//!
//! **Architecture invariant:** a swap never moves a checkpoint back. Owners of shards have
//! forgotten what the views have seen.

mod compare;
mod second;
mod swap;
mod tables;

use parley_nats::Connection as Nats;

pub use compare::Difference;
pub use tables::{KEPT, VIEWS, View};

use self::second::Second;
use crate::{Config, Failure, runner::Error};

/// How far it has come, for people to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub shard: u16,
    pub position: u64,
    /// Where the log ended when it was looked at last.
    pub end: u64,
}

/// Makes the views anew and puts them in use; the old ones are gone then. Killed at any point, it
/// leaves the views that are in use as they are.
///
/// # Errors
/// If a server does not answer, or another rebuild is under way.
pub async fn rebuild(
    config: &Config,
    nats: &Nats,
    progress: impl Fn(Progress) + Sync,
) -> Result<(), Error> {
    let second = Second::create(config, "parley_rebuild").await?;
    second.catch_up(nats, &progress).await?;
    second.analyze().await?;
    swap::swap(&second, nats).await?;
    Ok(second.remove().await?)
}

/// Makes the views anew and compares them with those in use, at one position of the log. Empty:
/// they are the same.
///
/// # Errors
/// As [`rebuild`].
pub async fn verify(
    config: &Config,
    nats: &Nats,
    progress: impl Fn(Progress) + Sync,
) -> Result<Vec<Difference>, Error> {
    let second = Second::create(config, "parley_verify").await?;
    second.catch_up(nats, &progress).await?;
    let differences = compare::compare(&second, nats).await?;
    second.remove().await?;
    Ok(differences)
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Views(Failure::from(error))
    }
}
