//! Commands become events here: at most one each, decided on the conversation's or account's whole
//! history, numbered by the one owner of its shard, durable before anybody is told.
//!
//! - [`client`] is how the gateway (and this service's own NATS endpoints) reach a shard's owner.
//! - [`service`] runs it all, and takes commands of backend services on `dm.cmd.<verb>`.
//! - [`keeper`] decides which shards this instance owns, by leases.
//! - [`owner`] owns one shard: it reads the log's end into memory, then decides and appends.
//! - `desk` is where its commands are decided and answered, for each aggregate in [`served`].
//! - [`cache`] holds the aggregates in memory; [`loader`] brings in those that are not.
//! - [`tidy`] lets messages expire, and erases from the log what was deleted.
//! - [`rates`] counts for all gateways how much somebody does in a while.
//! - [`problem`] is what a caller is told when the answer is no.
//!
//! **Architecture invariant:** the owner's memory covers every event behind [`cache::Cache`]'s
//! floor; a state from PostgreSQL is used only if its checkpoint has passed the floor.

pub mod api;
pub mod cache;
pub mod client;
pub mod config;
mod desk;
pub mod keeper;
mod lane;
pub mod loader;
mod metrics;
pub mod owner;
pub mod problem;
pub mod rates;
pub mod served;
pub mod service;
pub mod tidy;
mod verbs;
pub mod wire;

pub use client::Client;
pub use config::Config;
pub use problem::{Code, Problem};
pub use service::{Error, run};
pub use wire::{AccountRequest, Request};
