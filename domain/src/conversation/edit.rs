//! Edit a message: its sender, within a day.

use std::time::Duration;

use super::{Command, Conversation, Refusal, Scope};
use crate::{
    body::Body,
    event::{EventData, MessageEdited},
};

/// How long after it was sent a message may be edited.
pub const EDIT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Conversation {
    /// `None` if the message says that already.
    pub(super) fn edit(
        &self,
        command: &Command,
        seq: u64,
        body: &Body,
    ) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        if sent.sender_id != command.actor.user_id {
            return Err(Refusal::NotSender);
        }
        let content = sent.content.as_ref().ok_or(Refusal::Deleted)?;
        let for_services = content.is_for_services || body.is_for_services();
        if for_services && command.actor.scope != Scope::Service {
            return Err(Refusal::ServicesOnly);
        }
        // Before the times are looked at: a retry is no second edit, however late it comes.
        if content.now() == body.fingerprint() {
            return Ok(None);
        }
        self.not_blocked()?;
        if sent.expires_at.is_some_and(|at| at <= command.time) {
            return Err(Refusal::Deleted);
        }
        if command.time.is_later_than(sent.created_at, EDIT_WINDOW) {
            return Err(Refusal::TooLate { hours: EDIT_WINDOW.as_secs() / 3_600 });
        }
        let body = body.clone();
        Ok(Some(EventData::MessageEdited(MessageEdited { conversation_seq: seq, body })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer,
        tests::{command, delete, edit, given, later, send},
    };
    use super::*;

    #[test]
    fn an_edit_is_one_event_and_the_same_again_none() {
        let state = given(&[send("alice", "c-1", "hi"), edit("alice", 1, "hello")]);
        assert_eq!((state.version, state.last_seq), (2, 1));
        assert_eq!(state.decide(&edit("alice", 1, "hello")), Ok(None));
        assert_eq!(
            state.answer(&edit("alice", 1, "hello"), false),
            Some(Answer::Done { version: 2, changed: false })
        );
        assert!(matches!(state.decide(&edit("alice", 1, "hi")), Ok(Some(_))));
        // The message is known by what was sent first.
        assert_eq!(state.decide(&send("alice", "c-1", "hi")), Ok(None));
        assert!(state.decide(&send("alice", "c-1", "hello")).is_err());
    }

    #[test]
    fn only_its_sender_edits_a_message_that_is_there() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert_eq!(state.decide(&edit("bob", 1, "ho")), Err(Refusal::NotSender));
        assert_eq!(state.decide(&edit("eve", 1, "ho")), Err(Refusal::NotFound));
        for seq in [0, 2, u64::MAX] {
            assert_eq!(state.decide(&edit("alice", seq, "ho")), Err(Refusal::NoMessage));
        }
        let state = given(&[send("alice", "c-1", "hi"), delete("alice", 1)]);
        assert_eq!(state.decide(&edit("alice", 1, "ho")), Err(Refusal::Deleted));
    }

    #[test]
    fn a_day_later_it_is_too_late() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert!(matches!(state.decide(&later(24, 0, edit("alice", 1, "ho"))), Ok(Some(_))));
        let late = later(24, 1, edit("alice", 1, "ho"));
        assert_eq!(state.decide(&late), Err(Refusal::TooLate { hours: 24 }));
    }

    #[test]
    fn what_a_service_said_is_not_its_persons_to_change() {
        let system = |text: &str| {
            let mut system = command(
                "alice",
                Action::SendMessage {
                    client_message_id: crate::ClientMessageId::parse("s-1").unwrap(),
                    body: Body::System { text: text.to_owned() },
                    reply_to: None,
                },
            );
            system.actor.scope = Scope::Service;
            system
        };
        let state = given(&[system("order shipped")]);
        assert_eq!(state.decide(&edit("alice", 1, "not")), Err(Refusal::ServicesOnly));
        assert_eq!(state.decide(&delete("alice", 1)), Err(Refusal::ServicesOnly));
        let mut by_service = edit("alice", 1, "order shipped today");
        by_service.actor.scope = Scope::Service;
        assert!(matches!(state.decide(&by_service), Ok(Some(_))));
    }
}
