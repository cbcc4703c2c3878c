//! Delete a message for everyone: its sender, within two days; or a backend service, which says why.

use std::time::Duration;

use super::{Command, Conversation, Refusal, Scope, Sent};
use crate::event::{EventData, MessageDeleted};

/// How long after it was sent its sender may delete a message.
pub const DELETE_WINDOW: Duration = Duration::from_secs(48 * 60 * 60);
/// The longest reason.
pub const MAX_REASON_CHARACTERS: usize = 64;
/// The reason of what a timer deleted: nobody else may give it.
pub const EXPIRED: &str = "expired";

impl Conversation {
    /// `None` if the message is deleted already.
    pub(super) fn delete(
        &self,
        command: &Command,
        seq: u64,
        reason: Option<&str>,
    ) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        let is_service = command.actor.scope == Scope::Service;
        if reason.is_some_and(|reason| !is_service || !is_reason(reason)) {
            return Err(Refusal::Reason);
        }
        if reason.is_none() && sent.sender_id != command.actor.user_id {
            return Err(Refusal::NotSender);
        }
        let Some(content) = &sent.content else { return Ok(None) };
        if content.is_for_services && !is_service {
            return Err(Refusal::ServicesOnly);
        }
        if reason.is_none() && command.time.is_later_than(sent.created_at, DELETE_WINDOW) {
            return Err(Refusal::TooLate { hours: DELETE_WINDOW.as_secs() / 3_600 });
        }
        Ok(Some(deletion(sent, reason)))
    }
}

pub(super) fn deletion(sent: &Sent, reason: Option<&str>) -> EventData {
    EventData::MessageDeleted(MessageDeleted {
        conversation_seq: sent.conversation_seq,
        reason: reason.map(str::to_owned),
        of: Some(sent.deleted()),
    })
}

fn is_reason(reason: &str) -> bool {
    let characters = reason.chars().count();
    (1..=MAX_REASON_CHARACTERS).contains(&characters)
        && !reason.chars().any(char::is_control)
        && reason != EXPIRED
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Conversation,
        tests::{command, delete, given, later, react, send, user},
    };
    use super::*;

    fn by_service(reason: &str) -> Command {
        let reason = Some(reason.to_owned());
        let mut delete = command("bob", Action::DeleteMessage { conversation_seq: 1, reason });
        delete.actor.scope = Scope::Service;
        delete
    }

    #[test]
    fn a_deleted_message_keeps_its_place_and_its_name() {
        let state = given(&[send("alice", "c-1", "hi"), react("bob", 1, "👍"), delete("alice", 1)]);
        assert_eq!((state.version, state.last_seq), (3, 1));
        assert_eq!(state.recent.by_seq(1).unwrap().content, None);
        assert_eq!(state.decide(&delete("alice", 1)), Ok(None));
        assert_eq!(
            state.answer(&delete("alice", 1), false),
            Some(Answer::Done { version: 3, changed: false })
        );
        // Nothing is known of its body any more, so any retry is one.
        for text in ["hi", "ho"] {
            let retry = send("alice", "c-1", text);
            assert_eq!(state.decide(&retry), Ok(None));
            assert!(matches!(
                state.answer(&retry, false),
                Some(Answer::Sent { conversation_seq: 1, version: 1, duplicate: true, .. })
            ));
        }
        assert_eq!(state.decide(&delete("bob", 1)), Err(Refusal::NotSender));
    }

    #[test]
    fn only_its_sender_deletes_a_message_and_only_for_two_days() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert_eq!(state.decide(&delete("bob", 1)), Err(Refusal::NotSender));
        assert_eq!(state.decide(&delete("alice", 2)), Err(Refusal::NoMessage));
        assert!(matches!(state.decide(&later(48, 0, delete("alice", 1))), Ok(Some(_))));
        let late = later(48, 1, delete("alice", 1));
        assert_eq!(state.decide(&late), Err(Refusal::TooLate { hours: 48 }));
    }

    #[test]
    fn a_service_deletes_with_a_reason() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert!(matches!(state.decide(&later(1_000, 0, by_service("spam"))), Ok(Some(_))));
        for reason in ["", EXPIRED, "a\nb", &"x".repeat(65)] {
            assert_eq!(state.decide(&by_service(reason)), Err(Refusal::Reason), "{reason}");
        }
        let mut by_person = by_service("spam");
        by_person.actor.scope = Scope::User;
        assert_eq!(state.decide(&by_person), Err(Refusal::Reason));
        let mut without = delete("bob", 1);
        without.actor.scope = Scope::Service;
        assert_eq!(state.decide(&without), Err(Refusal::NotSender));
    }

    #[test]
    fn the_deletion_alone_makes_the_same_state_once_the_message_was_erased() {
        let mut log = Vec::new();
        let mut state = Conversation::default();
        for asked in [send("alice", "c-1", "hi"), send("bob", "c-2", "ho"), delete("alice", 1)] {
            let event = state.decide(&asked).unwrap().unwrap();
            state.evolve(&event);
            log.push(event);
        }
        let mut folded = Conversation::default();
        log.iter().skip(1).for_each(|event| folded.evolve(event));
        assert_eq!(folded, state);
        assert_eq!(folded.cursor(&user("alice")).read, 1);
    }
}
