//! The edge of Parley: HTTP, WebSocket and the browser page.
//!
//! - [`auth`]: who is calling; [`devices`]: whether their device is still linked; [`accounts`]: what
//!   people show of themselves.
//! - [`routes`]: the HTTP interface, one endpoint one file; [`openapi`] describes it to machines.
//! - [`attachments`]: files of messages, where they are and when they go.
//! - [`rates`]: how much somebody may do in a while, over all gateways.
//! - [`search`]: searches, a few at a time.
//! - [`error`]: how a "no" looks on the wire; nothing else knows error statuses.
//! - [`server`]: the accept loop, its bounds and its drain.
//! - [`page`]: the browser page, compiled in.
//! - [`service`]: all of it, wired together: [`run`].
//!
//! **Architecture invariant:** the gateway decides nothing about conversations. It checks who is
//! calling, hands commands to their shard's owner, and shows what the log and the views say.

pub mod accounts;
pub mod attachments;
pub mod auth;
pub mod config;
pub mod devices;
pub mod error;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod presence;
pub mod rates;
pub mod realtime;
pub mod routes;
pub mod search;
pub mod server;
pub mod service;
pub mod state;

pub use config::Config;
pub use service::{Error, run};
