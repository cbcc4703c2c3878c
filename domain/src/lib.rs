//! What Parley's conversations are, and nothing else.
//!
//! Ids, message bodies, events and the [`Conversation`] aggregate. Everything here is pure and
//! synchronous: no clock, no randomness, no runtime, no network. Time and ids come in with the
//! command. The events are the storage format of the log; see [`event`] before changing one.
//!
//! # Recipe: add a command
//! 1. Add a variant to [`conversation::Action`].
//! 2. Write `conversation/<use case>.rs`: the decision, its refusals and its tests.
//! 3. Call it from [`Conversation::decide`]. The compiler names every other place.
//!
//! # Recipe: add an event
//! 1. Add a variant to [`event::EventData`], its name to [`event::EventData::kind`] and its
//!    decoding to `event.rs`.
//! 2. Fold it in [`Conversation::evolve`].
//! 3. Add a golden file under `tests/golden/`; from then on it is a promise.

pub mod body;
pub mod conversation;
pub mod event;
pub mod ids;
pub mod timestamp;

pub use body::{Body, InvalidBody};
pub use conversation::{Action, Actor, Answer, Command, Conversation, Cursor, Refusal, Scope};
pub use event::{Event, EventData};
pub use ids::{ClientMessageId, ConversationId, DeviceId, InvalidId, Kind, UserId};
pub use timestamp::Timestamp;
