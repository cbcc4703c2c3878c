//! The edge of Parley: HTTP, WebSocket and the browser page.

pub mod auth;
pub mod config;
pub mod error;
pub mod metrics;
pub mod page;
pub mod server;
