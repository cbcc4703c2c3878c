//! Give a group or channel another title, or none.

use super::{Command, Conversation, Refusal, Title};
use crate::event::{ConversationRenamed, EventData};

impl Conversation {
    pub(super) fn rename(
        &self,
        command: &Command,
        title: Option<&Title>,
    ) -> Result<Option<EventData>, Refusal> {
        self.leading(command)?;
        let title = title.map(|title| title.as_str().to_owned());
        let changes = title != self.title;
        Ok(changes.then_some(EventData::ConversationRenamed(ConversationRenamed { title })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action,
        tests::{GROUP, command, group, inside},
    };
    use super::*;

    #[test]
    fn owner_and_admins_rename() {
        let rename = |actor, title: Option<&str>| {
            let title = title.map(|title| Title::parse(title).unwrap());
            inside(GROUP, command(actor, Action::Rename { title }))
        };
        let mut state = group();
        assert!(matches!(state.decide(&rename("mia", Some("Mine"))), Err(Refusal::Forbidden(_))));
        for (actor, title) in [("olga", Some("One")), ("adam", Some("Two")), ("adam", None)] {
            let event = state.decide(&rename(actor, title)).unwrap().unwrap();
            state.evolve(&event);
            assert_eq!(state.title.as_deref(), title);
            assert_eq!(state.decide(&rename(actor, title)), Ok(None));
        }
        let direct = command("alice", Action::Rename { title: None });
        assert!(matches!(Conversation::default().decide(&direct), Err(Refusal::Forbidden(_))));
    }
}
