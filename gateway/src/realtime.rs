//! Sockets: live delivery, resuming, and commands by WebSocket.
//!
//! Three layers, each below ignorant of the one above:
//! - [`protocol`]: frames, read and written; [`token`]: sync positions;
//! - [`session`]: what a connection does, a state machine without I/O or clock;
//! - [`socket`]: the one loop that joins a session to a WebSocket, the database and the commands.
//!
//! Beside them the memory that all sessions share: [`hub`] (rings and registry), fed by the log's
//! tails in [`follow`], and read by each session through its [`feed`].
pub mod feed;
pub mod hub;
pub mod protocol;
pub mod registry;
pub mod ring;
pub mod session;
pub mod sync;
pub mod token;
