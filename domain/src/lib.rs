//! What Parley's conversations and accounts are, and nothing else.
//!
//! Ids, message bodies, events and the two aggregates, [`Conversation`] and [`Account`]. Everything here is pure and
//! synchronous: no clock, no randomness, no runtime, no network. Time and ids come in with the
//! command. The events are the storage format of the log; see [`event`] before changing one.
//!
//! # Recipe: add a command
//! 1. Add a variant to [`conversation::Action`] or [`account::Action`].
//! 2. Write `conversation/<use case>.rs` or `account/<use case>.rs`: the decision, its refusals and
//!    its tests.
//! 3. Call it from the aggregate's `decide`. The compiler names every other place.
//!
//! # Recipe: add an event
//! 1. Write what it says in `event/conversation.rs` or `event/account.rs`, and add a line to the
//!    catalogue in `event.rs`: the compiler names every place that must know it.
//! 2. Fold it in [`Conversation::evolve`] or [`Account::evolve`].
//! 3. Add a golden file under `tests/golden/`; from then on it is a promise.

pub mod account;
pub mod body;
pub mod conversation;
pub mod emoji;
pub mod event;
pub mod ids;
pub mod masking;
pub mod subject;
pub mod timestamp;

pub use account::Account;
pub use body::{Body, InvalidBody};
pub use conversation::{Action, Actor, Answer, Command, Conversation, Cursor, Refusal, Scope};
pub use emoji::{Emoji, InvalidEmoji};
pub use event::{AccountEvent, Event, EventData, Member, Role};
pub use ids::{ClientMessageId, ConversationId, DeviceId, InvalidId, Kind, UserId};
pub use subject::{AccountId, LogId, Subject};
pub use timestamp::Timestamp;
