//! One connection, as a state machine: frames, ticks and answers in; frames, effects and an end
//! out. No I/O and no clock, so every order of things can be tried in a test.
//!
//! ```text
//! hello ──▶ (checking the token) ──▶ open ──▶ closed
//! ```
//!
//! While it is open, two things go on beside the client's commands: catching up ([`Run`]), now or
//! whenever the client asks for it, and the live events ([`Feed`]). The first catching up comes
//! before any event; a later one does not hold up live events.

mod catch_up;
mod cursors;
mod flood;
mod open;
mod outbox;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use parley_domain::{Answer, DeviceId, Scope, UserId};

use self::{catch_up::Source, flood::Flood, open::Open};
pub use self::{
    flood::FloodConfig,
    outbox::{Command, Effect, Ending, Outbox, SessionToken, Ticket},
};
use super::{
    feed::{Fed, Feed},
    hub::Hub,
    protocol::{
        self, ClientFrame, Close, ErrorFrame, Frame, Hello, MAX_FRAME_BYTES, Rejected, Unusable,
    },
    sync::Page,
};

/// The bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionConfig {
    pub hello_timeout: Duration,
    /// Told to the client; twice as long without a frame is too long.
    pub heartbeat: Duration,
    pub flood: FloodConfig,
    /// Commands under way at once; then the socket is not read.
    pub max_in_flight: u32,
    /// What may wait for a slow client.
    pub max_outbound_bytes: usize,
    /// Between two `token` frames.
    pub token_interval: Duration,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub user_id: UserId,
    /// The device that the token is bound to, if it is.
    pub device_id: Option<DeviceId>,
    /// Since which event of the account the device is linked, if the token says so.
    pub registration: Option<u64>,
    pub scope: Scope,
    pub expires_at: Instant,
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Cow<'static, str>,
    pub message: Cow<'static, str>,
    pub retry_after_ms: u64,
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input<'a> {
    Text(&'a str),
    Binary,
    /// A frame that was refused before it was read.
    TooLarge,
    /// A frame below the contract's: a WebSocket ping or pong.
    Heard,
    /// Bytes that are no WebSocket.
    Garbled,
    Authenticated(Result<Who, &'static str>),
    /// The device was unlinked.
    Unlinked,
    EndsNoted,
    Page(&'a Page),
    Answered(&'a Ticket, Result<Answer, Refused>),
    /// The presence of somebody watched has changed.
    Presence(Frame),
    /// The server goes away at `until`.
    Drain {
        reconnect_after_ms: u64,
        until: Instant,
    },
    /// Time has passed.
    Tick,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    config: Arc<SessionConfig>,
    hub: Arc<Hub>,
    phase: Phase,
    opened_at: Instant,
    heard_at: Instant,
    flood: Flood,
    in_flight: u32,
    drain_until: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// With whom the upgrade request named, by header or cookie.
    Hello(Option<Box<Who>>),
    Checking(Box<Hello>),
    Open(Box<Open>),
    Closed,
}

impl Session {
    /// `known`: whom the upgrade request named, by header or cookie.
    pub fn new(
        config: Arc<SessionConfig>,
        hub: Arc<Hub>,
        known: Option<Who>,
        now: Instant,
    ) -> Self {
        Self {
            config,
            hub,
            phase: Phase::Hello(known.map(Box::new)),
            opened_at: now,
            heard_at: now,
            flood: Flood::new(now),
            in_flight: 0,
            drain_until: None,
        }
    }

    /// Takes one input. After an end, every input is without effect.
    pub fn receive(&mut self, input: Input<'_>, now: Instant, out: &mut Outbox) {
        if self.is_closed() {
            return;
        }
        match input {
            Input::Text(text) => self.text(text, now, out),
            Input::Binary => self.close(Close::Malformed, "frames are text", out),
            Input::TooLarge => self.close(Close::TooLarge, "a frame is 64 KiB at most", out),
            Input::Garbled => self.close(Close::Malformed, "not a WebSocket frame", out),
            Input::Heard => {
                self.heard(now, out);
            }
            Input::Authenticated(result) => self.authenticated(result, now, out),
            Input::Unlinked => self.close(Close::Forbidden, "the device was unlinked", out),
            Input::EndsNoted => self.with_open(|open| open.ends_noted(now, out)),
            Input::Page(page) => self.with_open(|open| open.page(page, now, out)),
            Input::Answered(ticket, result) => {
                let answered = match (ticket.cursor, &mut self.phase) {
                    (Some(kind), Phase::Open(open)) => {
                        open.cursor_answered(ticket, kind, &result, out)
                    }
                    (None, _) => {
                        answer(ticket.r#ref.as_deref(), ticket, &result, out);
                        1
                    }
                    // The connection is over; nobody reads it.
                    (Some(_), Phase::Hello(_) | Phase::Checking(_) | Phase::Closed) => 0,
                };
                self.in_flight = self.in_flight.saturating_sub(answered);
            }
            Input::Presence(frame) => self.with_open(|_| out.send(frame)),
            Input::Drain { reconnect_after_ms, until } => {
                if self.drain_until.is_none() {
                    self.drain_until = Some(until);
                    out.send(protocol::draining(reconnect_after_ms));
                }
            }
            Input::Tick => self.tick(now, out),
        }
        if !self.is_closed() && out.counted_bytes() > self.config.max_outbound_bytes {
            self.close(Close::TooSlow, TOO_SLOW, out);
        }
    }

    /// Moves live events into the outbox; to be called when it has room and something may be there.
    /// Says whether to call again as soon as there is room again.
    pub fn feed(&mut self, max_bytes: usize, now: Instant, out: &mut Outbox) -> bool {
        let Phase::Open(open) = &mut self.phase else { return false };
        let mut given = false;
        let fed = open.feed.take(max_bytes, |frame| {
            given = true;
            out.send(frame);
        });
        open.token_due |= given;
        match fed {
            Fed::Part => true,
            Fed::UpToDate | Fed::Paused => false,
            Fed::Lost => {
                open.lost(now, out);
                false
            }
            Fed::Joined { shard, position } => {
                open.joined((shard, position), now, out);
                false
            }
            Fed::Overflowed => {
                self.close(Close::TooSlow, TOO_SLOW, out);
                false
            }
        }
    }

    /// Whether more came than may wait: [`Self::feed`] then ends the session, room or not.
    pub fn has_overflowed(&self) -> bool {
        self.live().is_some_and(Feed::has_overflowed)
    }

    /// The feed, to wait for.
    pub fn live(&self) -> Option<&Feed> {
        match &self.phase {
            Phase::Open(open) => Some(&open.feed),
            Phase::Hello(_) | Phase::Checking(_) | Phase::Closed => None,
        }
    }

    /// The page to ask for now, if any; it is handed out once.
    pub fn next_page(&mut self) -> Option<super::sync::PageRequest> {
        match &mut self.phase {
            Phase::Open(open) => open.catch_up.next_page(),
            Phase::Hello(_) | Phase::Checking(_) | Phase::Closed => None,
        }
    }

    pub fn user(&self) -> Option<&UserId> {
        self.live().map(Feed::user)
    }

    /// Whose session it is, once that is known: the user, the device, and its registration.
    pub fn device(&self) -> Option<(&UserId, &DeviceId, Option<u64>)> {
        match &self.phase {
            Phase::Open(open) => open.device(),
            Phase::Hello(_) | Phase::Checking(_) | Phase::Closed => None,
        }
    }

    /// Whether the socket may be read: not while the token is checked, so that what follows the
    /// hello is not lost, and not while too many commands are under way.
    pub fn is_listening(&self) -> bool {
        match self.phase {
            Phase::Hello(_) | Phase::Open(_) => self.in_flight < self.config.max_in_flight,
            Phase::Checking(_) | Phase::Closed => false,
        }
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// When to tick next, at the latest.
    pub fn deadline(&self) -> Instant {
        let deadline = match &self.phase {
            Phase::Hello(_) | Phase::Checking(_) => self.opened_at + self.config.hello_timeout,
            Phase::Open(open) => {
                let deadline = self.silent_at().min(open.expires_at);
                let deadline = open.waits_until.map_or(deadline, |until| until.min(deadline));
                match open.token_due_at(self.config.token_interval) {
                    Some(token) => token.min(deadline),
                    None => deadline,
                }
            }
            Phase::Closed => self.opened_at,
        };
        self.drain_until.map_or(deadline, |until| until.min(deadline))
    }

    fn silent_at(&self) -> Instant {
        self.heard_at + self.config.heartbeat * 2
    }

    fn tick(&mut self, now: Instant, out: &mut Outbox) {
        if self.drain_until.is_some_and(|until| now >= until) {
            return self.close(Close::Draining, "this server goes away", out);
        }
        let silent = now >= self.silent_at();
        match &mut self.phase {
            Phase::Hello(_) | Phase::Checking(_) => {
                if now >= self.opened_at + self.config.hello_timeout {
                    self.close(Close::Unauthenticated, "no valid hello in time", out);
                }
            }
            Phase::Open(open) if now >= open.expires_at => {
                self.close(Close::Unauthenticated, "the session has expired", out);
            }
            Phase::Open(_) if silent => {
                self.close(Close::HeartbeatMissed, "no frame for two heartbeats", out);
            }
            Phase::Open(open) => {
                open.wait_no_longer(now);
                if open.token_due {
                    open.send_token(self.config.token_interval, now, out);
                }
            }
            Phase::Closed => {}
        }
    }

    /// Notes a sign of life; `false` if it was one too many.
    fn heard(&mut self, now: Instant, out: &mut Outbox) -> bool {
        self.heard_at = now;
        let admitted = self.flood.admit(self.config.flood, now);
        if !admitted {
            self.close(Close::Flooding, "too many frames", out);
        }
        admitted
    }

    fn text(&mut self, text: &str, now: Instant, out: &mut Outbox) {
        if text.len() > MAX_FRAME_BYTES {
            return self.close(Close::TooLarge, "a frame is 64 KiB at most", out);
        }
        if !self.heard(now, out) {
            return;
        }
        let frame = match protocol::parse(text) {
            Ok(frame) => frame,
            Err(Unusable::Malformed(why)) => {
                return self.close(Close::Malformed, why.to_string(), out);
            }
            Err(Unusable::Rejected(rejected)) if matches!(self.phase, Phase::Open(_)) => {
                return reject(rejected, out);
            }
            Err(Unusable::Rejected(_)) => {
                return self.close(Close::Unauthenticated, HELLO_FIRST, out);
            }
        };
        match &mut self.phase {
            Phase::Hello(known) => match frame {
                ClientFrame::Hello(hello) => {
                    let known = known.take().map(|who| *who);
                    self.hello(hello, known, now, out);
                }
                ClientFrame::Command { .. }
                | ClientFrame::Sync { .. }
                | ClientFrame::Typing { .. }
                | ClientFrame::Watch { .. }
                | ClientFrame::Ping => self.close(Close::Unauthenticated, HELLO_FIRST, out),
            },
            Phase::Open(open) => match frame {
                ClientFrame::Hello(_) => self.close(Close::Malformed, "a second hello", out),
                ClientFrame::Command { r#ref, conversation_id, action } => {
                    open.command(r#ref, conversation_id, action, out);
                    self.in_flight += 1;
                }
                ClientFrame::Sync { r#ref, since } => {
                    open.sync(r#ref, since, Source::Views, now, out);
                }
                ClientFrame::Typing { conversation_id, typing } => {
                    open.typing(conversation_id, typing, now, out);
                }
                ClientFrame::Watch { r#ref, user_ids } => open.watch(r#ref, user_ids, now, out),
                ClientFrame::Ping => {
                    out.send(protocol::pong());
                    // The heartbeat keeps an idle device's token fresh, without a timer of its own.
                    open.send_token(self.config.token_interval, now, out);
                }
            },
            Phase::Checking(_) | Phase::Closed => {}
        }
    }

    /// A token in the hello is what the client says itself; it counts before a cookie, which the
    /// browser sends along for whoever signed in last.
    fn hello(&mut self, mut hello: Hello, known: Option<Who>, now: Instant, out: &mut Outbox) {
        match (hello.session_token.take(), known) {
            (Some(token), _) => {
                out.run(Effect::Authenticate(SessionToken(token)));
                self.phase = Phase::Checking(Box::new(hello));
            }
            (None, Some(who)) => self.open(hello, who, now, out),
            (None, None) => self.close(Close::Unauthenticated, "hello needs a sessionToken", out),
        }
    }

    fn authenticated(&mut self, result: Result<Who, &'static str>, now: Instant, out: &mut Outbox) {
        let Phase::Checking(hello) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            return;
        };
        match result {
            Ok(who) => self.open(*hello, who, now, out),
            Err(why) => self.close(Close::Unauthenticated, why, out),
        }
    }

    fn open(&mut self, hello: Hello, who: Who, now: Instant, out: &mut Outbox) {
        if who.device_id.as_ref().is_some_and(|device| *device != hello.device_id) {
            let why = "the deviceId is not the one of the sessionToken";
            return self.close(Close::Unauthenticated, why, out);
        }
        let seconds = self.config.heartbeat.as_secs();
        out.send(protocol::ready(&who.user_id, &hello.device_id, seconds));
        let feed =
            Feed::new(Arc::clone(&self.hub), who.user_id.clone(), self.config.max_outbound_bytes);
        let mut open = Box::new(Open::new(who, hello.device_id, feed, now));
        open.sync(None, hello.since, Source::Nearest, now, out);
        self.phase = Phase::Open(open);
    }

    fn with_open(&mut self, act: impl FnOnce(&mut Open)) {
        if let Phase::Open(open) = &mut self.phase {
            act(open);
        }
    }

    fn close(&mut self, close: Close, reason: impl Into<Cow<'static, str>>, out: &mut Outbox) {
        self.phase = Phase::Closed;
        out.end(close, reason.into());
    }
}

const TOO_SLOW: &str = "too slow: reconnect with the token";
const HELLO_FIRST: &str = "the first frame is hello";

fn answer(
    r#ref: Option<&str>,
    ticket: &Ticket,
    result: &Result<Answer, Refused>,
    out: &mut Outbox,
) {
    out.send(match result {
        Ok(answer) => protocol::ack(r#ref, &ticket.conversation_id, answer),
        Err(Refused { code, message, retry_after_ms }) => {
            protocol::error(ErrorFrame { r#ref, code, message, retry_after_ms: *retry_after_ms })
        }
    });
}

fn reject(Rejected { r#ref, code, message }: Rejected, out: &mut Outbox) {
    let frame = ErrorFrame { r#ref: r#ref.as_deref(), code, message: &message, retry_after_ms: 0 };
    out.send(protocol::error(frame));
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
