//! Sockets as a client sees them: real servers, real services, real connections.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod changes;
mod client;
mod closing;
mod delivery;
mod devices;
mod groups;
mod outage;
mod polling;
mod presence;
mod resuming;
#[path = "../http/support.rs"]
#[expect(dead_code, reason = "the tests of HTTP need more of it")]
mod support;
mod typing;
