//! What a session wants done, and the frames that wait for the socket.

use std::{borrow::Cow, collections::VecDeque};

use parley_domain::{Action, Actor, ConversationId, UserId};
use smol_str::SmolStr;

use super::cursors::CursorKind;

use crate::realtime::protocol::{Close, Frame};

/// Something that takes I/O. Each but `Typing` and `Watch` is answered by an input.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Check a session token; answered by `Input::Authenticated`.
    Authenticate(SessionToken),
    /// Find out how far the log goes in these shards; answered by `Input::EndsNoted`.
    NoteEnds(Vec<u16>),
    /// Hand a command on, in this order; answered by `Input::Answered`.
    Run(Box<(Ticket, Command)>),
    /// Tell the others of a conversation, or leave it.
    Typing { conversation_id: ConversationId, typing: bool },
    /// Watch these people instead; each `Input::Presence` is one of them.
    Watch(Vec<UserId>),
}

/// Never shown.
#[derive(PartialEq, Eq)]
pub struct SessionToken(pub Box<str>);

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken")
    }
}

/// Whom to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub r#ref: Option<SmolStr>,
    pub conversation_id: ConversationId,
    /// Of a cursor report, which may stand for several.
    pub cursor: Option<CursorKind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub actor: Actor,
    pub action: Action,
}

/// The end of a connection, as the client is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub close: Close,
    pub reason: Cow<'static, str>,
}

/// Owns no memory while it is empty.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Of pages in `frames`: they are as large as the server chose to make them.
    page_bytes: usize,
    effects: VecDeque<Effect>,
    ending: Option<Ending>,
}

/// The room that an emptied queue may keep.
const KEPT_FRAMES: usize = 8;
/// What a queued frame takes beside its text.
const FRAME_BYTES: usize = 64;

impl Outbox {
    pub fn next_frame(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(frame.len() + FRAME_BYTES);
        if self.frames.is_empty() {
            self.page_bytes = 0;
            if self.frames.capacity() > KEPT_FRAMES {
                self.frames = VecDeque::new();
            }
        }
        Some(frame)
    }

    pub fn next_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front()?;
        if self.effects.is_empty() && self.effects.capacity() > KEPT_FRAMES {
            self.effects = VecDeque::new();
        }
        Some(effect)
    }

    /// How the connection ends, once all frames are sent.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What waits, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same without pages.
    pub(super) fn counted_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.page_bytes)
    }

    pub(super) fn send(&mut self, frame: Frame) {
        self.bytes += frame.len() + FRAME_BYTES;
        self.frames.push_back(frame);
    }

    pub(super) fn send_page(&mut self, frame: Frame) {
        self.page_bytes += frame.len();
        self.send(frame);
    }

    pub(super) fn run(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn end(&mut self, close: Close, reason: Cow<'static, str>) {
        self.effects = VecDeque::new();
        // A socket that is too slow would not take them in time.
        if close == Close::TooSlow {
            self.frames = VecDeque::new();
            self.bytes = 0;
            self.page_bytes = 0;
        }
        self.ending = Some(Ending { close, reason });
    }
}
