//! Move one's own delivered or read cursor: only ever forward, never past the last message.

use super::{Command, Conversation, Refusal};
use crate::{
    event::{CursorMoved, EventData},
    ids::Kind,
};

impl Conversation {
    pub(super) fn mark_delivered(
        &self,
        command: &Command,
        through_seq: u64,
    ) -> Result<Option<EventData>, Refusal> {
        self.within(through_seq)?;
        let delivered = self.cursor(&command.actor.user_id).delivered;
        Ok(self.moved(command, delivered, through_seq).map(EventData::CursorDelivered))
    }

    /// Reading implies delivery.
    pub(super) fn mark_read(
        &self,
        command: &Command,
        through_seq: u64,
    ) -> Result<Option<EventData>, Refusal> {
        self.within(through_seq)?;
        let read = self.cursor(&command.actor.user_id).read;
        Ok(self.moved(command, read, through_seq).map(EventData::CursorRead))
    }

    /// `None` in a channel: its readers, any number of them, keep their cursors in their own accounts.
    fn moved(&self, command: &Command, known: u64, through_seq: u64) -> Option<CursorMoved> {
        let (is_kept, may_hide) = match command.conversation_id.kind() {
            Kind::Direct => (true, true),
            Kind::Group => (true, false),
            Kind::Channel => (false, false),
        };
        let user_id = command.actor.user_id.clone();
        let hidden = may_hide && (command.actor.is_discreet || !self.blocked_by.is_empty());
        (is_kept && through_seq > known).then_some(CursorMoved { user_id, through_seq, hidden })
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
        tests::{CHANNEL, GROUP, command, create, given, inside, send, user},
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
    fn a_discreet_persons_cursors_are_hidden_from_the_other_and_not_from_a_group() {
        let discreet = |mut command: Command| {
            command.actor.is_discreet = true;
            command
        };
        let hidden = |state: &Conversation, command: &Command| {
            let Ok(Some(event)) = state.decide(command) else { panic!("{command:?}") };
            let (EventData::CursorRead(moved) | EventData::CursorDelivered(moved)) = event.data
            else {
                panic!("{event:?}")
            };
            moved.hidden
        };
        let state = given(&[send("alice", "1", "a")]);
        assert!(!hidden(&state, &read(1)));
        assert!(hidden(&state, &discreet(read(1))));
        assert!(hidden(&state, &discreet(delivered(1))));
        let group =
            given(&[create(GROUP, "alice", &["bob"]), inside(GROUP, send("alice", "1", "a"))]);
        assert!(!hidden(&group, &discreet(inside(GROUP, read(1)))));
    }

    #[test]
    fn a_cursor_beyond_the_last_message_is_refused() {
        let state = given(&[send("alice", "1", "a")]);
        for beyond in [read(2), delivered(2), read(u64::MAX)] {
            assert_eq!(state.decide(&beyond), Err(Refusal::CursorBeyondLast { last_seq: 1 }));
        }
    }

    #[test]
    fn in_a_channel_a_cursor_is_checked_and_makes_no_event() {
        let state =
            given(&[create(CHANNEL, "olga", &["bob"]), inside(CHANNEL, send("olga", "1", "news"))]);
        for asked in [read(1), delivered(1)] {
            assert_eq!(state.decide(&inside(CHANNEL, asked)), Ok(None));
        }
        let asked = inside(CHANNEL, read(1));
        let answer = Answer::Cursor { version: 2, read_seq: 1, delivered_seq: 1 };
        assert_eq!(state.answer(&asked, false), Some(answer));
        assert_eq!(
            state.decide(&inside(CHANNEL, read(2))),
            Err(Refusal::CursorBeyondLast { last_seq: 1 })
        );
        let mut foreign = asked;
        foreign.actor.user_id = user("eve");
        assert_eq!(state.decide(&foreign), Err(Refusal::NotFound));
    }
}
