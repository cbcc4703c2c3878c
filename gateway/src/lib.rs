//! The edge of Parley: HTTP, WebSocket and the browser page.

pub mod auth;
