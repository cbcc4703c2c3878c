//! Add a person to one's contacts, or remove them.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, ContactChanged},
    ids::UserId,
};

/// How many contacts an account has at most.
pub const MAX_CONTACTS: usize = 2_000;

impl Account {
    /// `None` for one that is a contact already.
    pub(super) fn add_contact(
        &self,
        owner: &UserId,
        user_id: &UserId,
    ) -> Result<Option<AccountEvent>, Refusal> {
        if user_id == owner {
            return Err(Refusal::Oneself);
        }
        if self.contacts.contains(user_id) {
            return Ok(None);
        }
        if self.contacts.len() >= MAX_CONTACTS {
            return Err(Refusal::TooManyContacts);
        }
        Ok(Some(AccountEvent::ContactAdded(ContactChanged { user_id: user_id.clone() })))
    }

    /// `None` for one that is none.
    pub(super) fn remove_contact(&self, user_id: &UserId) -> Option<AccountEvent> {
        let changed = ContactChanged { user_id: user_id.clone() };
        self.contacts.contains(user_id).then_some(AccountEvent::ContactRemoved(changed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        tests::{command, given, user},
    };
    use super::*;

    fn add(id: &str) -> Command {
        command("alice", Action::AddContact { user_id: user(id) })
    }

    fn remove(id: &str) -> Command {
        command("alice", Action::RemoveContact { user_id: user(id) })
    }

    #[test]
    fn a_contact_is_added_once_and_removed_once() {
        let mut state = given(&[add("bob"), add("carol")]);
        assert_eq!(state.decide(&add("bob")), Ok(None));
        assert_eq!(state.contacts.iter().map(UserId::as_str).collect::<Vec<_>>(), ["bob", "carol"]);
        state = given(&[add("bob"), remove("bob")]);
        assert!(state.contacts.is_empty());
        assert_eq!(state.decide(&remove("bob")), Ok(None));
        assert_eq!(state.decide(&remove("nobody")), Ok(None));
    }

    #[test]
    fn nobody_is_their_own_contact() {
        assert_eq!(given(&[]).decide(&add("alice")), Err(Refusal::Oneself));
    }

    #[test]
    fn contacts_are_bounded() {
        let mut state = Account::default();
        state.contacts.extend((0..MAX_CONTACTS).map(|n| user(&format!("u{n}"))));
        assert_eq!(state.decide(&add("one-more")), Err(Refusal::TooManyContacts));
        assert_eq!(state.decide(&add("u0")), Ok(None));
    }
}
