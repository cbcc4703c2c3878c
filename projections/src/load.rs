//! States from their rows, as the commands decide on them.

mod account;
mod conversation;
mod messages;

use parley_domain::InvalidId;

pub use account::load_account;
pub use conversation::load_conversation;
pub use messages::load_message;

use crate::Failure;

/// A state, and how much of the log is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded<S> {
    /// The fold of its events up to `checkpoint`; the default if it has none.
    pub state: S,
    /// Position in the shard.
    pub checkpoint: u64,
    /// An event of it could not be applied, so `state` lacks it.
    pub damaged: bool,
}

fn parsed<T>(what: &'static str, parsed: Result<T, InvalidId>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::corrupt(what, error))
}
