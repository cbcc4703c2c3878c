//! Archive a conversation until it goes on, or take it back.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, ConversationArchived, ConversationMarked},
    ids::ConversationId,
};

impl Account {
    /// `None` if it is archived through this message already. A newer message ends it without an
    /// event: whoever shows it compares.
    pub(super) fn archive(
        &self,
        id: &ConversationId,
        through_seq: u64,
    ) -> Result<Option<AccountEvent>, Refusal> {
        if self.marks.of(id).archived_through.is_some_and(|through| through >= through_seq) {
            return Ok(None);
        }
        self.marks.check_room(id)?;
        let archived = ConversationArchived { conversation_id: id.clone(), through_seq };
        Ok(Some(AccountEvent::ConversationArchived(archived)))
    }

    /// `None` if it was not archived.
    pub(super) fn unarchive(&self, id: &ConversationId) -> Option<AccountEvent> {
        let marked = ConversationMarked { conversation_id: id.clone() };
        let is_archived = self.marks.of(id).archived_through.is_some();
        is_archived.then_some(AccountEvent::ConversationUnarchived(marked))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        tests::{command, conversation, given},
    };

    fn archive(through_seq: u64) -> Command {
        let conversation_id = conversation("d.alice.bob");
        command("alice", Action::Archive { conversation_id, through_seq })
    }

    #[test]
    fn an_archived_conversation_can_be_archived_again_after_it_went_on() {
        let state = given(&[archive(3)]);
        assert_eq!(state.decide(&archive(3)), Ok(None));
        assert_eq!(state.decide(&archive(2)), Ok(None));
        let state = given(&[archive(3), archive(5)]);
        assert_eq!(state.marks.of(&conversation("d.alice.bob")).archived_through, Some(5));
    }

    #[test]
    fn it_is_taken_back_once() {
        let conversation_id = conversation("d.alice.bob");
        let unarchive = command("alice", Action::Unarchive { conversation_id });
        // One without messages can be archived, too.
        let state = given(&[archive(0), unarchive.clone()]);
        assert_eq!(state.decide(&unarchive), Ok(None));
        assert_eq!(state.marks.all().count(), 0);
    }
}
