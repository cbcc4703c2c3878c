//! The whole system, from outside: the real program, real servers, real sockets.
//!
//! One test program for all, so that it is linked once and its tests share one PostgreSQL.
//! To add tests: a file here, and its `mod` below. `harness` has what they need.

#![expect(clippy::unwrap_used, reason = "tests")]

mod attachments;
mod channels;
mod conversation;
mod device;
mod erasure;
mod faults;
mod groups;
mod harness;
mod load;
mod messages;
mod missed;
mod model;
mod network;
mod notify;
mod operators;
mod outages;
mod page;
mod people;
mod resume;
mod services;
mod states;
mod storm;
mod up;
