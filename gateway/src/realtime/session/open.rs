//! A session whose client is known: commands, typing, tokens.

use std::time::{Duration, Instant};

use parley_domain::{Action, Actor, Answer, ConversationId, DeviceId, UserId};
use smol_str::SmolStr;

use super::{
    Command, Effect, FloodConfig, Outbox, Refused, Ticket, Who, answer,
    catch_up::CatchUp,
    cursors::{Asked, CursorKind, Cursors, Settled},
    flood::Flood,
    reject,
};
use crate::realtime::{
    feed::Feed,
    protocol::{self, ErrorFrame, Rejected},
    typing::MayType,
};

#[derive(Debug)]
pub(super) struct Open {
    actor: Actor,
    registration: Option<u64>,
    pub(super) expires_at: Instant,
    pub(super) feed: Feed,
    pub(super) catch_up: CatchUp,
    /// Until when live events wait for a page at most, if they do.
    pub(super) waits_until: Option<Instant>,
    pub(super) token_at: Instant,
    /// Something was sent that the last token does not cover.
    pub(super) token_due: bool,
    /// What the last token covered, to see that nothing has moved.
    token_sum: u64,
    typing: Flood,
    /// Others have been told of typing, and not yet that it has ended.
    is_typing: bool,
    watching: Flood,
    cursors: Cursors,
}

/// Typing is shown for three seconds, so that saying it each second is plenty; a few in a row are
/// somebody who looks into several conversations.
const TYPING: FloodConfig = FloodConfig { frames_per_second: 1, burst_frames: 3 };
/// Each may have a hundred people told of.
const WATCHING: FloodConfig = FloodConfig { frames_per_second: 1, burst_frames: 20 };
const WATCH_AGAIN_MS: u64 = 1_000;

impl Open {
    pub(super) fn new(who: Who, device_id: DeviceId, feed: Feed, now: Instant) -> Self {
        Self {
            registration: who.registration,
            actor: Actor {
                user_id: who.user_id,
                device_id: Some(device_id),
                scope: who.scope,
                is_discreet: false,
            },
            expires_at: who.expires_at,
            feed,
            catch_up: CatchUp::default(),
            waits_until: None,
            token_at: now,
            token_due: false,
            token_sum: 0,
            typing: Flood::new(now),
            is_typing: false,
            watching: Flood::new(now),
            cursors: Cursors::default(),
        }
    }

    pub(super) fn device(&self) -> Option<(&UserId, &DeviceId, Option<u64>)> {
        let device = self.actor.device_id.as_ref()?;
        Some((&self.actor.user_id, device, self.registration))
    }

    pub(super) fn command(
        &mut self,
        r#ref: Option<SmolStr>,
        conversation_id: ConversationId,
        action: Action,
        out: &mut Outbox,
    ) {
        let Some((kind, through_seq)) = CursorKind::of(&action) else {
            return self.run(Ticket { r#ref, conversation_id, cursor: None }, action, out);
        };
        let asked = Asked { through_seq, r#ref };
        if let Some(action) = self.cursors.ask(&conversation_id, kind, asked) {
            let ticket = Ticket { r#ref: None, conversation_id, cursor: Some(kind) };
            self.run(ticket, action, out);
        }
    }

    /// Hands out the answers to a cursor report; how many there are.
    pub(super) fn cursor_answered(
        &mut self,
        ticket: &Ticket,
        kind: CursorKind,
        result: &Result<Answer, Refused>,
        out: &mut Outbox,
    ) -> u32 {
        let Settled { acked, refused, next } = self.cursors.answered(ticket, kind, result);
        let count = acked.len() + refused.len();
        for asked in acked.into_iter().chain(refused) {
            answer(asked.r#ref.as_deref(), ticket, result, out);
        }
        if let Some(action) = next {
            self.run(ticket.clone(), action, out);
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn run(&self, ticket: Ticket, action: Action, out: &mut Outbox) {
        let command = Command { actor: self.actor.clone(), action };
        out.run(Effect::Run(Box::new((ticket, command))));
    }

    pub(super) fn typing(
        &mut self,
        conversation_id: ConversationId,
        typing: bool,
        now: Instant,
        out: &mut Outbox,
    ) {
        let typing_there = self.feed.hub().may_type(&conversation_id, &self.actor.user_id);
        if typing_there == MayType::Stranger {
            let message = "there is no such conversation".to_owned();
            return reject(Rejected { r#ref: None, code: "not_found", message }, out);
        }
        if typing_there == MayType::Unheard {
            return;
        }
        // Too often is not told, and nothing is lost: the next one is.
        let is_told = if typing { self.typing.admit(TYPING, now) } else { self.is_typing };
        if is_told {
            self.is_typing = typing;
            out.run(Effect::Typing { conversation_id, typing });
        }
    }

    pub(super) fn watch(
        &mut self,
        r#ref: Option<SmolStr>,
        user_ids: Vec<UserId>,
        now: Instant,
        out: &mut Outbox,
    ) {
        if self.watching.admit(WATCHING, now) {
            return out.run(Effect::Watch(user_ids));
        }
        out.send(protocol::error(ErrorFrame {
            r#ref: r#ref.as_deref(),
            code: "rate_limited",
            message: "too many changes of who is watched",
            retry_after_ms: WATCH_AGAIN_MS,
        }));
    }

    /// When to send the next token, if one is to be sent.
    pub(super) fn token_due_at(&self, interval: Duration) -> Option<Instant> {
        (self.token_due && self.may_send_tokens()).then(|| self.token_at + interval)
    }

    /// A token would hide what the pages still under way bring.
    fn may_send_tokens(&self) -> bool {
        !self.catch_up.is_running() && !self.feed.is_paused()
    }

    pub(super) fn send_token(&mut self, interval: Duration, now: Instant, out: &mut Outbox) {
        if !self.may_send_tokens() || now < self.token_at + interval {
            return;
        }
        let positions = self.feed.positions();
        let sum = positions.iter().fold(0_u64, |sum, position| sum.wrapping_add(*position));
        self.token_at = now;
        self.token_due = false;
        if sum != self.token_sum {
            self.token_sum = sum;
            out.send(protocol::token(&self.feed.hub().codec().settled(positions)));
        }
    }
}
