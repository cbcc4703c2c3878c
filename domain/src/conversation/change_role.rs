//! Change a member's role, or pass the ownership on.

use super::{Command, Conversation, Refusal};
use crate::{
    event::{EventData, MemberRoleChanged, Role},
    ids::UserId,
};

impl Conversation {
    pub(super) fn change_role(
        &self,
        command: &Command,
        user: &UserId,
        role: Role,
    ) -> Result<Option<EventData>, Refusal> {
        self.not_direct(command)?;
        // Before the question of rights: who passes the ownership on and asks again is no owner.
        match self.members.role(user) {
            None => return Err(Refusal::NotMember(user.clone())),
            Some(known) if known == role => return Ok(None),
            Some(Role::Owner | Role::Admin | Role::Member) => {}
        }
        if self.members.role(&command.actor.user_id) != Some(Role::Owner) {
            return Err(Refusal::Forbidden("only the owner changes roles"));
        }
        if *user == command.actor.user_id {
            return Err(Refusal::Forbidden("pass the ownership to another member instead"));
        }
        Ok(Some(EventData::MemberRoleChanged(MemberRoleChanged { user_id: user.clone(), role })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action,
        tests::{GROUP, command, group, inside, user},
    };
    use super::*;

    fn role(actor: &str, name: &str, role: Role) -> Command {
        inside(GROUP, command(actor, Action::ChangeRole { user_id: user(name), role }))
    }

    #[test]
    fn only_the_owner_changes_roles() {
        let state = group();
        assert!(matches!(state.decide(&role("olga", "mia", Role::Admin)), Ok(Some(_))));
        assert!(matches!(state.decide(&role("olga", "adam", Role::Member)), Ok(Some(_))));
        for actor in ["adam", "mia"] {
            assert!(matches!(
                state.decide(&role(actor, "mia", Role::Admin)),
                Err(Refusal::Forbidden(_))
            ));
        }
        assert!(matches!(
            state.decide(&role("olga", "olga", Role::Admin)),
            Err(Refusal::Forbidden(_))
        ));
        let nobody = state.decide(&role("olga", "eve", Role::Admin));
        assert_eq!(nobody, Err(Refusal::NotMember(user("eve"))));
        assert_eq!(state.decide(&role("eve", "mia", Role::Admin)), Err(Refusal::NotFound));
    }

    #[test]
    fn ownership_passes_on_and_there_is_one_owner_always() {
        let mut state = group();
        let transfer = role("olga", "mia", Role::Owner);
        let event = state.decide(&transfer).unwrap().unwrap();
        state.evolve(&event);
        assert_eq!(state.members.role(&user("mia")), Some(Role::Owner));
        assert_eq!(state.members.role(&user("olga")), Some(Role::Admin));
        // A retry, by somebody who may not do it any more.
        assert_eq!(state.decide(&transfer), Ok(None));
        assert!(matches!(
            state.decide(&role("olga", "adam", Role::Owner)),
            Err(Refusal::Forbidden(_))
        ));
    }
}
