//! Commands become events here: at most one each, decided on the conversation's whole history,
//! numbered by the one owner of its shard, durable before anybody is told.
//!
//! - [`client`] is how the gateway (and this service's own NATS endpoints) reach a shard's owner.
//! - [`service`] takes commands of backend services on `dm.cmd.<verb>`.
//! - [`keeper`] decides which shards this instance owns, by leases.
//! - [`owner`] owns one shard: it reads the log's end into memory, then decides and appends.
//! - [`cache`] holds the conversations in memory; [`loader`] brings in those that are not.
//! - [`problem`] is what a caller is told when the answer is no.
//!
//! **Architecture invariant:** the owner's memory covers every event behind [`cache::Cache`]'s
//! floor; a state from PostgreSQL is used only if its checkpoint has passed the floor.

pub mod api;
pub mod cache;
pub mod client;
pub mod config;
pub mod keeper;
mod lane;
pub mod loader;
pub mod owner;
pub mod problem;
pub mod service;
pub mod wire;

pub use client::Client;
pub use config::Config;
pub use problem::{Code, Problem};
pub use service::{Error, run};
pub use wire::Request;
