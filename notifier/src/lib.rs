//! Tells people who are away that a message waits: soon, once, and only if it is still true.
//!
//! A tail of the log like any other, in three steps, each of which may die at any point:
//! - [`follow`]: one follower a shard reads the log. A message opens a window, a reading cancels it;
//!   a window that ends becomes a row of `notification_timers`.
//! - [`decider`]: any number of deciders take the timers that are due, ask what is true now, and
//!   store each decision as an event of a [`thread`]; deliveries and the next timer follow from it.
//! - [`deliver`]: workers take the deliveries that are due and hand them to the [`channels`].
//!   What turns out to reach nobody leaves its account by [`dead_endpoints`].
//!
//! [`policy`] is the pure part: when a window ends, and what is decided then.
//!
//! **Architecture invariant:** a decision is stored before anything follows from it, and what follows
//! is derived from it alone, so that it may be derived again: each delivery is there once.
//!
//! **Architecture invariant:** whatever was not decided is behind the follower's checkpoint, or has a
//! timer.

pub mod backoff;
pub mod breaker;
pub mod channels;
pub mod config;
pub mod dead_endpoints;
pub mod dead_letters;
pub mod decider;
pub mod decisions;
pub mod deliver;
pub mod follow;
pub mod links;
mod metrics;
pub mod notice;
pub mod outbox;
pub mod policy;
pub mod presence;
mod service;
mod standing;
pub mod stats;
pub mod sweep;
#[cfg(feature = "testing")]
pub mod testing;
pub mod thread;
pub mod why;

pub use config::Config;
pub use service::{Error, run};
