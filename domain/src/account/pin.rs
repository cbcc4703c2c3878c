//! Pin a conversation above the others, or put it back among them.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, ConversationMarked},
    ids::ConversationId,
};

impl Account {
    /// `None` if it is pinned.
    pub(super) fn pin(&self, id: &ConversationId) -> Result<Option<AccountEvent>, Refusal> {
        if self.marks.of(id).pinned {
            return Ok(None);
        }
        self.marks.check_room(id)?;
        let marked = ConversationMarked { conversation_id: id.clone() };
        Ok(Some(AccountEvent::ConversationPinned(marked)))
    }

    /// `None` if it is not pinned.
    pub(super) fn unpin(&self, id: &ConversationId) -> Option<AccountEvent> {
        let marked = ConversationMarked { conversation_id: id.clone() };
        self.marks.of(id).pinned.then_some(AccountEvent::ConversationUnpinned(marked))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action,
        tests::{command, conversation, given},
    };

    #[test]
    fn a_conversation_is_pinned_once_and_unpinned_once() {
        let id = conversation("d.alice.bob");
        let pin = command("alice", Action::Pin { conversation_id: id.clone() });
        let unpin = command("alice", Action::Unpin { conversation_id: id.clone() });
        let state = given(std::slice::from_ref(&pin));
        assert!(state.marks.of(&id).pinned);
        assert_eq!(state.decide(&pin), Ok(None));
        let state = given(&[pin, unpin.clone()]);
        assert!(!state.marks.of(&id).pinned);
        assert_eq!(state.decide(&unpin), Ok(None));
    }
}
