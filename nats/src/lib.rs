//! The log: the events of conversations and accounts on JetStream, one stream a shard.
//!
//! - [`subjects`] is the only home of subject, stream, bucket and header names.
//! - [`topology`] makes the streams and buckets, and knows the deployment.
//! - [`committer`] is the one writer of a shard: group commit, fenced by the stream's sequence.
//! - [`event_store`] puts the committer behind the `EventStore` of cqrs-es.
//! - [`tail`] is how everyone else follows the log, from any position; [`read`] is for bounded
//!   stretches of it.
//! - [`erase`] takes a message out of the log for good.
//! - [`lease`] is who should do what at the moment; for calm, not for safety.
//! - [`presence`] is who is connected where at the moment; in memory, and told again when lost.
//!
//! **Architecture invariant:** a position is a stream sequence of one shard. An event is in the
//! log if, and only if, it is in the stream; nothing is ever pushed beside it.

pub mod committer;
pub mod connection;
pub mod erase;
pub mod event_store;
pub mod failure;
pub mod lease;
pub mod presence;
pub mod read;
pub mod subjects;
pub mod tail;
pub mod topology;

pub use connection::{Connection, connect};
pub use failure::Failure;
pub use read::last_position;
