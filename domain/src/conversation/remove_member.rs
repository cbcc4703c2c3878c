//! Remove somebody from a group or channel, or leave it.

use super::{Command, Conversation, Refusal};
use crate::{
    event::{EventData, MemberLeft, MemberRemoved, Role},
    ids::UserId,
};

impl Conversation {
    /// `None` for somebody who has left not long ago: it may be a retry.
    pub(super) fn remove_member(
        &self,
        command: &Command,
        user: &UserId,
    ) -> Result<Option<EventData>, Refusal> {
        self.not_direct(command)?;
        if *user == command.actor.user_id {
            return Ok(Some(self.leave(user)));
        }
        let actor = self.leading(command)?;
        let Some(role) = self.members.role(user) else {
            let is_retry = self.members.departed(user).is_some();
            return if is_retry { Ok(None) } else { Err(Refusal::NotMember(user.clone())) };
        };
        match (actor, role) {
            (Role::Owner, _) | (Role::Admin, Role::Member) => {}
            (Role::Admin, Role::Owner | Role::Admin) | (Role::Member, _) => {
                return Err(Refusal::Forbidden("only the owner removes admins, nobody the owner"));
            }
        }
        Ok(Some(EventData::MemberRemoved(MemberRemoved {
            user_id: user.clone(),
            last_seq: self.last_seq,
            member_count: self.member_count().saturating_sub(1),
        })))
    }

    fn leave(&self, user: &UserId) -> EventData {
        let owns = self.members.role(user) == Some(Role::Owner);
        let heir = self.members.heir(user).filter(|_| owns);
        EventData::MemberLeft(MemberLeft {
            user_id: user.clone(),
            new_owner_id: heir.cloned(),
            last_seq: self.last_seq,
            member_count: self.member_count().saturating_sub(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer,
        tests::{GROUP, command, group, inside, send, user},
    };
    use super::*;

    fn remove(actor: &str, name: &str) -> Command {
        inside(GROUP, command(actor, Action::RemoveMember { user_id: user(name) }))
    }

    #[test]
    fn admins_remove_members_and_the_owner_removes_all_others() {
        let state = group();
        for (actor, name, allowed) in [
            ("olga", "adam", true),
            ("olga", "mia", true),
            ("adam", "mia", true),
            ("adam", "olga", false),
            ("mia", "adam", false),
            ("mia", "olga", false),
        ] {
            match state.decide(&remove(actor, name)) {
                Ok(Some(event)) => {
                    assert!(allowed, "{actor} {name}");
                    assert!(matches!(event.data, EventData::MemberRemoved(_)));
                }
                Err(Refusal::Forbidden(_)) => assert!(!allowed, "{actor} {name}"),
                other => panic!("{actor} {name}: {other:?}"),
            }
        }
        assert_eq!(state.decide(&remove("olga", "eve")), Err(Refusal::NotMember(user("eve"))));
        assert_eq!(state.decide(&remove("eve", "mia")), Err(Refusal::NotFound));
        assert_eq!(state.decide(&remove("eve", "eve")), Err(Refusal::NotFound));
    }

    #[test]
    fn who_left_finds_no_conversation_but_may_leave_again() {
        let mut state = group();
        let leaving = remove("mia", "mia");
        let event = state.decide(&leaving).unwrap().unwrap();
        state.evolve(&event);
        assert_eq!(state.decide(&inside(GROUP, send("mia", "1", "hi"))), Err(Refusal::NotFound));
        let gone = state.version;
        let said = inside(GROUP, send("olga", "1", "hi"));
        let event = state.decide(&said).unwrap().unwrap();
        state.evolve(&event);
        assert_eq!(state.decide(&leaving), Ok(None));
        // Nothing of what came later shows.
        let answer = state.answer(&leaving, false);
        assert_eq!(answer, Some(Answer::Done { version: gone, changed: false }));
        assert_eq!(state.decide(&remove("olga", "mia")), Ok(None));
    }

    #[test]
    fn when_the_owner_leaves_somebody_owns_it_while_anybody_is_there() {
        let mut state = group();
        for (leaver, heir) in [("olga", Some("adam")), ("adam", Some("mia")), ("mia", None)] {
            let event = state.decide(&remove(leaver, leaver)).unwrap().unwrap();
            state.evolve(&event);
            let owners: Vec<_> = state
                .members
                .iter()
                .filter(|(_, membership)| membership.role == Role::Owner)
                .map(|(user, _)| user.clone())
                .collect();
            assert_eq!(owners, heir.map(user).into_iter().collect::<Vec<_>>());
        }
        assert!(state.members.is_empty() && state.cursors.is_empty());
    }
}
