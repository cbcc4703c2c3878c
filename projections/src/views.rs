//! The views, one file each: what a reader sees, how an event folds into a batch of changes, and
//! how the batch is written.
//!
//! Everything written is an absolute number that only grows, or a row that is written once, so
//! that writing a batch twice changes nothing.
//!
//! # Recipe: add a view
//! 1. Write its migration, and say at its top why it exists.
//! 2. Write `views/<view>.rs` with `evolve(&mut self, &Event, position)` and `write(self, …)`;
//!    match every event type by name, so that the next new one asks here too.
//! 3. Call both from `apply/batch.rs`; add its query under `queries/`.

pub mod account;
pub mod attachments;
pub mod changes;
pub mod cursors;
pub mod history;
pub mod inbox;
pub mod membership;
pub mod settings;

pub use account::{Contact, Device, Endpoint, Mark};
pub use changes::Reactions;
pub use history::Message;
pub use inbox::Summary;
