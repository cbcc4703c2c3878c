//! What a person has done to their own view of conversations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::{ids::ConversationId, timestamp::Timestamp};

/// Of how many conversations an account keeps a mark. Only one that says something counts.
pub const MAX_MARKS: usize = 10_000;

/// How long a conversation is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mute {
    /// Until it is unmuted.
    Forever,
    Until(Timestamp),
}

impl Mute {
    pub fn new(until: Option<Timestamp>) -> Self {
        until.map_or(Self::Forever, Self::Until)
    }
}

/// The marks of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mark {
    /// It stays when its time is over; whoever reads it compares.
    pub muted: Option<Mute>,
    pub pinned: bool,
    /// Archived while this is the last message, or a later one than it.
    pub archived_through: Option<u64>,
    /// Of a channel: how far it was read.
    pub read_through: Option<u64>,
}

/// At most [`MAX_MARKS`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks(BTreeMap<ConversationId, Mark>);

impl Marks {
    /// From what the views hold.
    pub fn new(marks: impl IntoIterator<Item = (ConversationId, Mark)>) -> Self {
        let says = |(_, mark): &(ConversationId, Mark)| *mark != Mark::default();
        Self(marks.into_iter().filter(says).collect())
    }

    /// What is marked of a conversation; nothing if nothing was.
    pub fn of(&self, id: &ConversationId) -> Mark {
        self.0.get(id).cloned().unwrap_or_default()
    }

    pub fn all(&self) -> impl Iterator<Item = (&ConversationId, &Mark)> {
        self.0.iter()
    }

    /// Whether there is room for a mark of this conversation.
    pub(super) fn check_room(&self, id: &ConversationId) -> Result<(), Refusal> {
        if self.0.len() < MAX_MARKS || self.0.contains_key(id) {
            Ok(())
        } else {
            Err(Refusal::TooManyMarks)
        }
    }

    pub(super) fn change(&mut self, id: &ConversationId, change: impl FnOnce(&mut Mark)) {
        let mut mark = self.of(id);
        change(&mut mark);
        if mark == Mark::default() {
            self.0.remove(id);
        } else {
            self.0.insert(id.clone(), mark);
        }
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        // An id that is longer than its type holds in place is on the heap.
        self.0.len() * (size_of::<(ConversationId, Mark)>() + 96)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Account, Action, Refusal,
        tests::{command, conversation, given},
    };
    use super::*;

    #[test]
    fn only_marks_that_say_something_count() {
        let mut state = Account::default();
        for n in 0..MAX_MARKS {
            let id = conversation(&format!("d.alice.b{n}"));
            state.marks.change(&id, |mark| mark.pinned = true);
        }
        let pin = |id| command("alice", Action::Pin { conversation_id: conversation(id) });
        assert_eq!(state.decide(&pin("d.alice.bob")), Err(Refusal::TooManyMarks));
        let unpin = Action::Unpin { conversation_id: conversation("d.alice.b0") };
        let event = state.decide(&command("alice", unpin)).unwrap().unwrap();
        state.evolve(&event);
        assert!(matches!(state.decide(&pin("d.alice.bob")), Ok(Some(_))));
    }

    #[test]
    fn another_persons_conversation_cannot_be_marked() {
        for action in [
            Action::Mute { conversation_id: conversation("d.bob.carol"), until: None },
            Action::Unmute { conversation_id: conversation("d.bob.carol") },
            Action::Pin { conversation_id: conversation("d.bob.carol") },
            Action::Unpin { conversation_id: conversation("d.bob.carol") },
            Action::Archive { conversation_id: conversation("d.bob.carol"), through_seq: 0 },
            Action::Unarchive { conversation_id: conversation("d.bob.carol") },
            Action::SaveDraft {
                conversation_id: conversation("d.bob.carol"),
                text: "x".to_owned(),
                saved_at: None,
            },
            Action::ClearDraft { conversation_id: conversation("d.bob.carol"), saved_at: None },
            Action::ReadChannel { conversation_id: conversation("d.bob.carol"), through_seq: 1 },
        ] {
            let decided = given(&[]).decide(&command("alice", action));
            assert_eq!(decided, Err(Refusal::NotAMember));
        }
    }
}
