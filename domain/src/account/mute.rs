//! Mute a conversation, for a time or for good, or hear of it again.

use super::{Account, Refusal, marks::Mute};
use crate::{
    event::{AccountEvent, ConversationMarked, ConversationMuted},
    ids::ConversationId,
    timestamp::Timestamp,
};

impl Account {
    /// `None` if it is muted exactly so.
    pub(super) fn mute(
        &self,
        id: &ConversationId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<AccountEvent>, Refusal> {
        if until.is_some_and(|until| until <= now) {
            return Err(Refusal::MuteOver);
        }
        if self.marks.of(id).muted == Some(Mute::new(until)) {
            return Ok(None);
        }
        self.marks.check_room(id)?;
        let conversation_id = id.clone();
        Ok(Some(AccountEvent::ConversationMuted(ConversationMuted { conversation_id, until })))
    }

    /// `None` if it is not muted.
    pub(super) fn unmute(&self, id: &ConversationId) -> Option<AccountEvent> {
        let marked = ConversationMarked { conversation_id: id.clone() };
        let is_muted = self.marks.of(id).muted.is_some();
        is_muted.then_some(AccountEvent::ConversationUnmuted(marked))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        tests::{NOW, command, conversation, given},
    };
    use super::*;

    fn mute(until: Option<i64>) -> Command {
        let until = until.map(|after| Timestamp::from_unix_millis(NOW + after));
        command("alice", Action::Mute { conversation_id: conversation("d.alice.bob"), until })
    }

    fn unmute() -> Command {
        command("alice", Action::Unmute { conversation_id: conversation("d.alice.bob") })
    }

    #[test]
    fn a_mute_is_changed_by_another_and_ended_once() {
        let state = given(&[mute(None), mute(Some(1_000))]);
        let until = Timestamp::from_unix_millis(NOW + 1_000);
        assert_eq!(state.marks.of(&conversation("d.alice.bob")).muted, Some(Mute::Until(until)));
        assert_eq!(state.decide(&mute(Some(1_000))), Ok(None));
        let state = given(&[mute(None), unmute()]);
        assert_eq!(state.decide(&unmute()), Ok(None));
        assert_eq!(state.marks.all().count(), 0);
    }

    #[test]
    fn a_mute_cannot_be_over_before_it_begins() {
        assert_eq!(given(&[]).decide(&mute(Some(0))), Err(Refusal::MuteOver));
        assert!(given(&[]).decide(&mute(Some(1))).is_ok());
    }
}
