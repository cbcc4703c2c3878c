//! Create a group or channel: the caller owns it.

use std::collections::BTreeSet;

use super::{Command, Conversation, MAX_GROUP_MEMBERS, Refusal, Title};
use crate::{
    event::{ConversationCreated, EventData, Member, Role},
    ids::{Kind, UserId},
};

impl Conversation {
    /// `None` for a retry: the id is made before the conversation, so the same id is the same one.
    pub(super) fn create(
        &self,
        command: &Command,
        title: &Title,
        members: &[UserId],
    ) -> Result<Option<EventData>, Refusal> {
        let (kind, owner) = (command.conversation_id.kind(), &command.actor.user_id);
        match kind {
            Kind::Direct => return Err(Refusal::Forbidden("a direct conversation is not created")),
            Kind::Group | Kind::Channel => {}
        }
        if self.version > 0 {
            let is_retry = self.is_member(&command.conversation_id, owner);
            return if is_retry { Ok(None) } else { Err(Refusal::NotFound) };
        }
        let others: BTreeSet<&UserId> = members.iter().filter(|user| *user != owner).collect();
        if others.len() >= MAX_GROUP_MEMBERS {
            return Err(match kind {
                Kind::Group => Refusal::GroupFull,
                Kind::Direct | Kind::Channel => Refusal::Invalid(
                    "a channel begins with 500 members at most; any number may join it then",
                ),
            });
        }
        let first = Member { user_id: owner.clone(), role: Role::Owner };
        let others =
            others.into_iter().map(|user| Member { user_id: user.clone(), role: Role::Member });
        Ok(Some(EventData::ConversationCreated(ConversationCreated {
            kind,
            title: Some(title.as_str().to_owned()),
            members: std::iter::once(first).chain(others).collect(),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Answer,
        tests::{CHANNEL, GROUP, create, given, send, user},
    };
    use super::*;

    #[test]
    fn the_creator_owns_it_and_everybody_named_is_in_it_once() {
        let state = given(&[create(GROUP, "alice", &["bob", "alice", "bob"])]);
        assert_eq!(state.members.len(), 2);
        assert_eq!(state.members.role(&user("alice")), Some(Role::Owner));
        assert_eq!(state.members.role(&user("bob")), Some(Role::Member));
        assert_eq!((state.version, state.title.as_deref()), (1, Some("Market")));
    }

    #[test]
    fn a_retry_is_the_same_conversation_and_the_id_is_nobody_elses() {
        let first = create(GROUP, "alice", &["bob"]);
        let state = given(std::slice::from_ref(&first));
        assert_eq!(state.decide(&first), Ok(None));
        assert_eq!(state.answer(&first, false), Some(Answer::Done { version: 1, changed: false }));
        assert_eq!(state.decide(&create(GROUP, "eve", &[])), Err(Refusal::NotFound));
    }

    #[test]
    fn a_group_begins_with_500_at_most() {
        let names: Vec<String> = (0..MAX_GROUP_MEMBERS).map(|n| format!("u{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let empty = Conversation::default();
        assert!(matches!(empty.decide(&create(GROUP, "alice", &names[1..])), Ok(Some(_))));
        assert_eq!(empty.decide(&create(GROUP, "alice", &names)), Err(Refusal::GroupFull));
        assert!(matches!(
            empty.decide(&create(CHANNEL, "alice", &names)),
            Err(Refusal::Invalid(_))
        ));
    }

    #[test]
    fn a_direct_conversation_is_not_created_nor_a_group_there_before_it_is() {
        let empty = Conversation::default();
        assert!(matches!(
            empty.decide(&create("d.alice.bob", "alice", &[])),
            Err(Refusal::Forbidden(_))
        ));
        let mut early = send("alice", "c-1", "hi");
        early.conversation_id = create(GROUP, "alice", &[]).conversation_id;
        assert_eq!(empty.decide(&early), Err(Refusal::NotFound));
    }
}
