//! Tells people who are away that a message waits: soon, once, and only if it is still true.

pub mod backoff;
pub mod breaker;
pub mod channels;
pub mod config;
pub mod links;
pub mod notice;
pub mod outbox;
