//! A message whose time is over is deleted, by the system in its sender's name.

use super::{Command, Conversation, Refusal, delete};
use crate::event::EventData;

impl Conversation {
    /// `None` if the message is deleted already. Whoever asks, and whether they are still a member:
    /// the message itself says that it is due.
    pub(super) fn expire(&self, command: &Command, seq: u64) -> Result<Option<EventData>, Refusal> {
        let sent = self.message(command, seq)?;
        if sent.sender_id != command.actor.user_id {
            return Err(Refusal::NotSender);
        }
        if sent.expires_at.is_none_or(|at| command.time < at) {
            return Err(Refusal::NotExpired);
        }
        let is_deleted = sent.content.is_none();
        Ok((!is_deleted).then(|| delete::deletion(sent, Some(delete::EXPIRED))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Conversation,
        tests::{command, delete, edit, later, react, send},
    };
    use super::*;
    use crate::{Event, Timestamp};

    fn expire(actor: &str) -> Command {
        command(actor, Action::ExpireMessage { conversation_seq: 1 })
    }

    /// A message that has a day.
    fn mortal() -> Conversation {
        let asked = send("alice", "c-1", "hi");
        let mut state = Conversation::default();
        let mut event: Event = state.decide(&asked).unwrap().unwrap();
        if let EventData::MessageSent(sent) = &mut event.data {
            let day = 24 * 60 * 60 * 1_000;
            sent.expires_at = Some(Timestamp::from_unix_millis(asked.time.unix_millis() + day));
        }
        state.evolve(&event);
        state
    }

    #[test]
    fn it_is_deleted_once_its_time_is_over_and_not_before() {
        let mut state = mortal();
        assert_eq!(state.decide(&expire("alice")), Err(Refusal::NotExpired));
        assert_eq!(state.decide(&later(24, 0, expire("bob"))), Err(Refusal::NotSender));
        let due = later(24, 0, expire("alice"));
        let event = state.decide(&due).unwrap().unwrap();
        let EventData::MessageDeleted(deleted) = &event.data else { panic!("{event:?}") };
        assert_eq!(deleted.reason.as_deref(), Some("expired"));
        assert!(deleted.of.as_ref().unwrap().expires_at.is_some());
        state.evolve(&event);
        assert_eq!(state.decide(&due), Ok(None));
    }

    #[test]
    fn what_has_no_time_does_not_expire() {
        let mut state = Conversation::default();
        let event = state.decide(&send("alice", "c-1", "hi")).unwrap().unwrap();
        state.evolve(&event);
        assert_eq!(state.decide(&later(9_999, 0, expire("alice"))), Err(Refusal::NotExpired));
    }

    #[test]
    fn from_then_on_it_counts_as_deleted_whoever_is_late() {
        let state = mortal();
        for asked in [edit("alice", 1, "ho"), react("bob", 1, "👍")] {
            assert_eq!(state.decide(&later(24, 0, asked)), Err(Refusal::Deleted));
        }
        assert!(matches!(state.decide(&later(24, 0, delete("alice", 1))), Ok(Some(_))));
    }
}
