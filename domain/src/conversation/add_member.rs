//! Add somebody to a group or channel; in a channel, everybody may add themselves.

use super::{Command, Conversation, MAX_GROUP_MEMBERS, Refusal};
use crate::{
    event::{EventData, MemberAdded, Role},
    ids::{Kind, UserId},
};

impl Conversation {
    /// Of a member, changes the role if one is given.
    pub(super) fn add_member(
        &self,
        command: &Command,
        user: &UserId,
        role: Option<Role>,
    ) -> Result<Option<EventData>, Refusal> {
        self.not_direct(command)?;
        if let Some(known) = self.members.role(user) {
            return self.change_role(command, user, role.unwrap_or(known));
        }
        let actor = self.leading(command)?;
        let role = role.unwrap_or(Role::Member);
        match (actor, role) {
            (_, Role::Owner) => {
                return Err(Refusal::Invalid("ownership passes to a member; add them first"));
            }
            (Role::Admin, Role::Admin) | (Role::Member, _) => return Err(NOT_YOURS),
            (Role::Owner, Role::Admin | Role::Member) | (Role::Admin, Role::Member) => {}
        }
        self.joined(command, user, role)
    }

    /// Joins a channel oneself, as a reader.
    pub(super) fn subscribe(&self, command: &Command) -> Result<Option<EventData>, Refusal> {
        self.joined(command, &command.actor.user_id, Role::Member)
    }

    fn joined(
        &self,
        command: &Command,
        user: &UserId,
        role: Role,
    ) -> Result<Option<EventData>, Refusal> {
        match command.conversation_id.kind() {
            Kind::Group if self.members.len() >= MAX_GROUP_MEMBERS => {
                return Err(Refusal::GroupFull);
            }
            Kind::Direct | Kind::Group | Kind::Channel => {}
        }
        Ok(Some(EventData::MemberAdded(MemberAdded {
            user_id: user.clone(),
            role,
            last_seq: self.last_seq,
            member_count: self.member_count().saturating_add(1),
        })))
    }
}

const NOT_YOURS: Refusal = Refusal::Forbidden("only the owner says who is an admin");

#[cfg(test)]
mod tests {
    use super::super::{
        Cursor,
        tests::{CHANNEL, GROUP, add, create, given, group, inside, send, user},
    };
    use super::*;

    #[test]
    fn owner_and_admins_add_and_only_the_owner_adds_admins() {
        let state = group();
        for (actor, role, allowed) in [
            ("olga", None, true),
            ("olga", Some(Role::Admin), true),
            ("adam", None, true),
            ("adam", Some(Role::Member), true),
            ("adam", Some(Role::Admin), false),
            ("mia", None, false),
            ("mia", Some(Role::Admin), false),
        ] {
            let decided = state.decide(&add(GROUP, actor, "new", role));
            match decided {
                Ok(Some(_)) => assert!(allowed, "{actor} {role:?}"),
                Err(Refusal::Forbidden(_)) => assert!(!allowed, "{actor} {role:?}"),
                other => panic!("{actor} {role:?}: {other:?}"),
            }
        }
        assert!(matches!(
            state.decide(&add(GROUP, "olga", "new", Some(Role::Owner))),
            Err(Refusal::Invalid(_))
        ));
        assert_eq!(state.decide(&add(GROUP, "eve", "new", None)), Err(Refusal::NotFound));
        assert_eq!(state.decide(&add(GROUP, "eve", "eve", None)), Err(Refusal::NotFound));
        assert_eq!(state.decide(&add(GROUP, "olga", "mia", None)), Ok(None));
    }

    #[test]
    fn who_joins_has_nothing_unread() {
        let mut state = group();
        for command in [send("mia", "1", "a"), send("mia", "2", "b")] {
            let event = state.decide(&inside(GROUP, command)).unwrap().unwrap();
            state.evolve(&event);
        }
        let event = state.decide(&add(GROUP, "adam", "new", None)).unwrap().unwrap();
        assert!(matches!(
            &event.data,
            EventData::MemberAdded(MemberAdded { last_seq: 2, member_count: 4, .. })
        ));
        state.evolve(&event);
        assert_eq!(state.cursor(&user("new")), Cursor { read: 2, delivered: 2 });
    }

    #[test]
    fn the_501st_member_is_refused_in_a_group_and_not_in_a_channel() {
        let names: Vec<String> = (1..MAX_GROUP_MEMBERS).map(|n| format!("u{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let full = given(&[create(GROUP, "olga", &names)]);
        assert_eq!(full.members.len(), MAX_GROUP_MEMBERS);
        assert_eq!(full.decide(&add(GROUP, "olga", "new", None)), Err(Refusal::GroupFull));
        assert_eq!(full.decide(&add(GROUP, "olga", "u1", None)), Ok(None));
        let channel = given(&[create(CHANNEL, "olga", &names)]);
        assert!(matches!(channel.decide(&add(CHANNEL, "olga", "new", None)), Ok(Some(_))));
    }

    #[test]
    fn anybody_joins_a_channel_themselves_as_a_reader() {
        let channel = given(&[create(CHANNEL, "olga", &[])]);
        for role in [None, Some(Role::Member)] {
            let decided = channel.decide(&add(CHANNEL, "eve", "eve", role));
            assert!(matches!(decided, Ok(Some(_))), "{decided:?}");
        }
        for refused in
            [add(CHANNEL, "eve", "eve", Some(Role::Admin)), add(CHANNEL, "eve", "bob", None)]
        {
            assert_eq!(channel.decide(&refused), Err(Refusal::NotFound));
        }
        let nowhere = Conversation::default().decide(&add(CHANNEL, "eve", "eve", None));
        assert_eq!(nowhere, Err(Refusal::NotFound));
        let joined = given(&[create(CHANNEL, "olga", &[]), add(CHANNEL, "eve", "eve", None)]);
        assert_eq!(joined.decide(&add(CHANNEL, "eve", "eve", None)), Ok(None));
        // What readers have read is not in the channel's log.
        assert!(joined.cursors.is_empty());
    }
}
