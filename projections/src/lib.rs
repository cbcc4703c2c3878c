//! The log as tables: what memory cannot hold, in PostgreSQL.
//!
//! - [`views`]: history, inbox, cursors and accounts; what each shows and how an event folds into it.
//! - [`queries`]: what the gateway asks.
//! - [`load`]: a conversation's or account's state for the commands, exactly the fold of its events.
//! - [`apply`]: a batch of the log into all views, with its checkpoint.
//! - [`elected`]: work on a shard that one process does at a time.
//! - [`run`]: a projector a shard, elected, following the log.
//! - [`response_times`]: how fast people answer, computed now and then beside the projectors.
//! - [`erasure`]: what has to be erased from the log; [`holds`]: what must not be.
//! - [`rebuild`]: the views made anew from the log, to replace them or to compare.
//! - [`checkpoint`]: how far into each shard all of these reach.
//!
//! **Architecture invariant:** every event is in the views exactly once. A batch and its checkpoint
//! are one transaction, and the checkpoint is compared before it is set.
//!
//! **Architecture invariant:** a checkpoint never goes back.

pub mod apply;
pub mod checkpoint;
mod config;
mod database;
pub mod elected;
pub mod erasure;
mod failure;
pub mod holds;
pub mod load;
mod metrics;
pub mod number;
pub mod queries;
pub mod rebuild;
pub mod response_times;
mod runner;
pub mod views;

pub use checkpoint::{checkpoint, checkpoints};
pub use config::{Config, ResponseTimes};
pub use database::{connect, migrate};
pub use failure::Failure;
pub use load::{Loaded, load_account, load_conversation, load_message};
pub use runner::{Error, run};
