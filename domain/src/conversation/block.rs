//! Block the other of a direct conversation, or block them no more.

use super::{Command, Conversation, Refusal};
use crate::{
    event::{ConversationBlocked, ConversationUnblocked, EventData},
    ids::Kind,
};

impl Conversation {
    pub(super) fn block(
        &self,
        command: &Command,
        block: bool,
    ) -> Result<Option<EventData>, Refusal> {
        match command.conversation_id.kind() {
            Kind::Direct => {}
            Kind::Group | Kind::Channel => {
                return Err(Refusal::Forbidden("people are blocked in direct conversations"));
            }
        }
        let actor = &command.actor.user_id;
        let still_blocked = self.blocked_by.iter().any(|user| user != actor);
        Ok(match (self.blocked_by.contains(actor), block) {
            (true, true) | (false, false) => None,
            (false, true) => Some(EventData::ConversationBlocked(ConversationBlocked {})),
            (true, false) => {
                Some(EventData::ConversationUnblocked(ConversationUnblocked { still_blocked }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Scope,
        tests::{GROUP, command, given, group, inside, send, user},
    };
    use super::*;
    use crate::{body::Body, event::CursorMoved, ids::ClientMessageId};

    #[test]
    fn while_either_blocks_neither_sends() {
        let (block, unblock) = (command("bob", Action::Block), command("bob", Action::Unblock));
        let first = send("alice", "1", "hi");
        let state = given(&[first.clone(), block.clone()]);
        for sender in ["alice", "bob"] {
            assert_eq!(state.decide(&send(sender, "2", "hi")), Err(Refusal::Blocked));
        }
        assert_eq!(state.decide(&first), Ok(None), "a retry of what was sent before is known");
        assert_eq!(state.decide(&block), Ok(None));
        // Only who blocks may stop it.
        assert_eq!(state.decide(&command("alice", Action::Unblock)), Ok(None));
        let state = given(&[first, block, unblock]);
        assert!(matches!(state.decide(&send("alice", "2", "hi")), Ok(Some(_))));
    }

    #[test]
    fn an_unblocking_says_whether_the_other_still_blocks() {
        let unblocked = |state: &Conversation, user| {
            let event = state.decide(&command(user, Action::Unblock)).unwrap().unwrap();
            let EventData::ConversationUnblocked(unblocked) = event.data else {
                panic!("{event:?}")
            };
            unblocked.still_blocked
        };
        let one = given(&[command("alice", Action::Block)]);
        assert!(!unblocked(&one, "alice"));
        let both = given(&[command("alice", Action::Block), command("bob", Action::Block)]);
        assert!(unblocked(&both, "alice") && unblocked(&both, "bob"));
    }

    #[test]
    fn system_messages_and_cards_of_services_pass() {
        let state = given(&[command("bob", Action::Block)]);
        let card = serde_json::from_str(r#"{"kind":"order","refId":"o-1","title":"Lamp"}"#);
        for (body, passes) in [
            (Body::System { text: "shipped".to_owned() }, true),
            (card.unwrap(), true),
            (Body::Text { text: "hi".to_owned() }, false),
        ] {
            let client_message_id = ClientMessageId::parse("s").unwrap();
            let action = Action::SendMessage { client_message_id, body, reply_to: None };
            let mut sent = command("alice", action);
            sent.actor.scope = Scope::Service;
            assert_eq!(state.decide(&sent).is_ok(), passes);
        }
    }

    #[test]
    fn cursors_move_hidden_while_blocked() {
        let state = given(&[send("alice", "1", "hi"), command("alice", Action::Block)]);
        let event = state.decide(&command("bob", Action::MarkRead { through_seq: 1 }));
        assert_eq!(
            event.unwrap().unwrap().data,
            EventData::CursorRead(CursorMoved {
                user_id: user("bob"),
                through_seq: 1,
                hidden: true
            })
        );
    }

    #[test]
    fn nobody_is_blocked_in_a_group() {
        let decided = group().decide(&inside(GROUP, command("mia", Action::Block)));
        assert!(matches!(decided, Err(Refusal::Forbidden(_))));
    }
}
