//! Move one's own delivered or read cursor: only ever forward, never past the last message.

use super::{Conversation, Refusal};
use crate::{
    event::{CursorMoved, EventData},
    ids::UserId,
};

impl Conversation {
    pub(super) fn mark_delivered(
        &self,
        user: &UserId,
        through_seq: u64,
    ) -> Result<Option<EventData>, Refusal> {
        self.within(through_seq)?;
        let moved = through_seq > self.cursor(user).delivered;
        Ok(moved.then(|| {
            EventData::CursorDelivered(CursorMoved { user_id: user.clone(), through_seq })
        }))
    }

    /// Reading implies delivery.
    pub(super) fn mark_read(
        &self,
        user: &UserId,
        through_seq: u64,
    ) -> Result<Option<EventData>, Refusal> {
        self.within(through_seq)?;
        let moved = through_seq > self.cursor(user).read;
        Ok(moved.then(|| EventData::CursorRead(CursorMoved { user_id: user.clone(), through_seq })))
    }

    fn within(&self, through_seq: u64) -> Result<(), Refusal> {
        if through_seq > self.last_seq {
            return Err(Refusal::CursorBeyondLast { last_seq: self.last_seq });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Cursor,
        tests::{command, given, send, user},
    };
    use super::*;

    fn read(through_seq: u64) -> super::super::Command {
        command("bob", Action::MarkRead { through_seq })
    }

    fn delivered(through_seq: u64) -> super::super::Command {
        command("bob", Action::MarkDelivered { through_seq })
    }

    #[test]
    fn cursors_only_move_forward_and_read_implies_delivered() {
        let state = given(&[
            send("alice", "1", "a"),
            send("alice", "2", "b"),
            send("alice", "3", "c"),
            read(2),
        ]);
        assert_eq!(state.cursor(&user("bob")), Cursor { read: 2, delivered: 2 });
        for known in [read(2), read(1), read(0), delivered(2), delivered(1)] {
            assert_eq!(state.decide(&known), Ok(None));
            assert_eq!(
                state.answer(&known, false),
                Some(Answer::Cursor { version: 4, read_seq: 2, delivered_seq: 2 })
            );
        }
        assert!(matches!(state.decide(&delivered(3)), Ok(Some(_))));
    }

    #[test]
    fn a_cursor_beyond_the_last_message_is_refused() {
        let state = given(&[send("alice", "1", "a")]);
        for beyond in [read(2), delivered(2), read(u64::MAX)] {
            assert_eq!(state.decide(&beyond), Err(Refusal::CursorBeyondLast { last_seq: 1 }));
        }
    }
}
