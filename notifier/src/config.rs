//! How the notifier is configured.

pub mod channels;
