//! The HTTP interface as a client sees it: real servers, real services, a real port.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod access;
mod accounts;
mod arbitrary;
mod attachment_limits;
mod attachments;
mod changes;
mod conversations;
mod devices;
mod edge;
mod groups;
mod handshake;
mod marketplace;
mod notifications;
mod openapi;
mod outage;
mod rates;
mod search;
mod sessions;
#[expect(dead_code, reason = "the sockets' tests need more of it")]
mod support;
mod syncing;
mod verifying;
