//! The channels as the notifier uses them, against real servers of the tests' own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dkim;
mod email;
mod outbox;
mod sms;
mod support;
mod web_push;
mod webhook;
