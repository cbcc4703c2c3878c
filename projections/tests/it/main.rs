//! The views on a real PostgreSQL, and the projectors on a real NATS as well.
//!
//! One binary, so that all tests share one PostgreSQL server; each has a database of its own.

#![expect(clippy::unwrap_used, reason = "a test that has no value to unwrap has failed")]

mod accounts;
mod applying;
mod attachments;
mod changes;
mod channels;
mod groups;
mod history;
mod inbox;
mod loading;
mod log;
mod marks;
mod poison;
mod presence;
mod projecting;
mod rebuild;
mod response_times;
mod search;
mod summary;
mod support;
mod sync;
