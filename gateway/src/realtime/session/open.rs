//! A session whose client is known: commands, typing, tokens.

use std::time::{Duration, Instant};

use parley_domain::{Action, Actor, ConversationId, DeviceId, UserId};
use smol_str::SmolStr;

use super::{Command, Effect, Outbox, Ticket, Who, catch_up::CatchUp, reject};
use crate::realtime::{
    feed::Feed,
    hub::listeners,
    protocol::{self, Rejected},
};

#[derive(Debug)]
pub(super) struct Open {
    actor: Actor,
    registration: Option<u64>,
    pub(super) expires_at: Instant,
    pub(super) feed: Feed,
    pub(super) catch_up: CatchUp,
    pub(super) token_at: Instant,
    /// Something was sent that the last token does not cover.
    pub(super) token_due: bool,
    /// What the last token covered, to see that nothing has moved.
    token_sum: u64,
}

impl Open {
    pub(super) fn new(who: Who, device_id: DeviceId, feed: Feed, now: Instant) -> Self {
        Self {
            registration: who.registration,
            actor: Actor { user_id: who.user_id, device_id: Some(device_id), scope: who.scope },
            expires_at: who.expires_at,
            feed,
            catch_up: CatchUp::default(),
            token_at: now,
            token_due: false,
            token_sum: 0,
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
        let command = Command { actor: self.actor.clone(), action };
        out.run(Effect::Run(Box::new((Ticket { r#ref, conversation_id }, command))));
    }

    pub(super) fn typing(
        &mut self,
        conversation_id: ConversationId,
        typing: bool,
        out: &mut Outbox,
    ) {
        if listeners(&conversation_id, self.actor.user_id.as_str()).is_some() {
            out.run(Effect::Typing { conversation_id, typing });
        } else {
            let message = "there is no such conversation".to_owned();
            reject(Rejected { r#ref: None, code: "not_found", message }, out);
        }
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
