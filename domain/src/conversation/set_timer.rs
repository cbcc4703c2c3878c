//! Let the messages that are sent from now on expire after a while.

use super::{Command, Conversation, Refusal};
use crate::{
    event::{ConversationTimerSet, EventData},
    ids::Kind,
    timestamp::Timestamp,
};

/// What a timer may be: off, a day, a week, 90 days.
pub const TIMER_SECONDS: [u64; 4] = [0, 86_400, 604_800, 7_776_000];

impl Conversation {
    /// Either person of a direct conversation, owner or admins of another.
    pub(super) fn set_timer(
        &self,
        command: &Command,
        seconds: u64,
    ) -> Result<Option<EventData>, Refusal> {
        match command.conversation_id.kind() {
            Kind::Direct => {}
            Kind::Group | Kind::Channel => {
                self.leading(command)?;
            }
        }
        if !TIMER_SECONDS.contains(&seconds) {
            return Err(Refusal::Invalid("seconds is 0, 86400, 604800 or 7776000"));
        }
        let changes = seconds != self.timer_seconds;
        Ok(changes.then_some(EventData::ConversationTimerSet(ConversationTimerSet { seconds })))
    }

    /// When a message that is sent at `time` expires.
    pub(super) fn expiry(&self, time: Timestamp) -> Option<Timestamp> {
        let millis = i64::try_from(self.timer_seconds).ok()?.checked_mul(1_000)?;
        (millis > 0).then(|| Timestamp::from_unix_millis(time.unix_millis().saturating_add(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action,
        tests::{GROUP, command, given, group, inside, send},
    };
    use super::*;

    fn timer(actor: &str, seconds: u64) -> Command {
        command(actor, Action::SetTimer { seconds })
    }

    #[test]
    fn a_timer_is_one_of_four_and_whose_it_is_depends() {
        let state = given(&[timer("alice", 86_400)]);
        assert_eq!(state.timer_seconds, 86_400);
        assert_eq!(state.decide(&timer("bob", 86_400)), Ok(None));
        assert!(matches!(state.decide(&timer("bob", 0)), Ok(Some(_))));
        assert_eq!(state.decide(&timer("eve", 0)), Err(Refusal::NotFound));
        for odd in [1, 86_401, u64::MAX] {
            assert!(matches!(state.decide(&timer("bob", odd)), Err(Refusal::Invalid(_))));
        }
        let state = group();
        for (actor, allowed) in [("olga", true), ("adam", true), ("mia", false)] {
            let decided = state.decide(&inside(GROUP, timer(actor, 86_400)));
            assert_eq!(decided.is_ok(), allowed, "{decided:?}");
        }
    }

    #[test]
    fn messages_expire_by_the_timer_of_when_they_were_sent() {
        let expiry = |commands: &[Command]| {
            let event = given(commands).decide(&send("alice", "c", "hi")).unwrap().unwrap();
            let EventData::MessageSent(sent) = event.data else { panic!("{:?}", event.data) };
            sent.expires_at.map(|at| at.unix_millis() - event.time.unix_millis())
        };
        assert_eq!(expiry(&[]), None);
        assert_eq!(expiry(&[timer("bob", 604_800)]), Some(604_800_000));
        assert_eq!(expiry(&[timer("bob", 604_800), timer("alice", 0)]), None);
    }
}
