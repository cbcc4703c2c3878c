//! What every Parley service needs to run, and nothing of what Parley does.
//!
//! - [`config`]: the environment, read once, every bad variable named.
//! - [`shutdown`]: soft and hard tokens, and the tasks that must finish.
//! - [`telemetry`]: logs on standard error.
//! - [`metrics`]: what Prometheus sees of the process.
//! - [`clock`]: the time in UTC milliseconds, which tests can set.
//! - [`exit`]: exit codes.
//! - [`engines`]: a private nats-server and PostgreSQL, for `parley up` and for tests.
//!
//! Architecture invariant: this crate knows no event, no command and no subject.

pub mod clock;
pub mod config;
pub mod engines;
pub mod exit;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
