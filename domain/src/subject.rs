//! What an event is about: a conversation, or a person's own account.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::ids::{ConversationId, InvalidId, UserId, is_name};

/// An id under which the log keeps events: it names a subject and, by its tokens, a shard.
pub trait LogId: fmt::Display {
    fn as_str(&self) -> &str;
}

/// A person's own log, seen only by that person's devices: `a.<userId>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct AccountId(SmolStr);

impl AccountId {
    pub fn of(user: &UserId) -> Self {
        Self(smol_str::format_smolstr!("a.{user}"))
    }

    /// Checks the form; errors with [`InvalidId`].
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check(text)?;
        Ok(Self(SmolStr::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose account it is.
    pub fn user_name(&self) -> &str {
        // Every account id begins so.
        self.0.strip_prefix("a.").unwrap_or_default()
    }

    pub fn is_of(&self, user: &UserId) -> bool {
        self.user_name() == user.as_str()
    }
}

fn check(text: &str) -> Result<(), InvalidId> {
    let user = text.strip_prefix("a.").ok_or(InvalidId::Account)?;
    if is_name(user) { Ok(()) } else { Err(InvalidId::Account) }
}

impl TryFrom<SmolStr> for AccountId {
    type Error = InvalidId;

    fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl From<AccountId> for SmolStr {
    fn from(id: AccountId) -> SmolStr {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an event is about; in JSON the id itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub enum Subject {
    Conversation(ConversationId),
    Account(AccountId),
}

impl Subject {
    /// Checks the form; errors with [`InvalidId`].
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(SmolStr::new(text))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Conversation(id) => id.as_str(),
            Self::Account(id) => id.as_str(),
        }
    }

    pub fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Conversation(id) => Some(id),
            Self::Account(_) => None,
        }
    }

    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Conversation(_) => None,
            Self::Account(id) => Some(id),
        }
    }
}

impl TryFrom<SmolStr> for Subject {
    type Error = InvalidId;

    fn try_from(text: SmolStr) -> Result<Self, InvalidId> {
        if text.starts_with("a.") {
            AccountId::try_from(text).map(Self::Account)
        } else {
            ConversationId::try_from(text).map(Self::Conversation)
        }
    }
}

impl From<Subject> for SmolStr {
    fn from(subject: Subject) -> SmolStr {
        match subject {
            Subject::Conversation(id) => id.into(),
            Subject::Account(id) => id.into(),
        }
    }
}

impl From<ConversationId> for Subject {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

impl From<AccountId> for Subject {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LogId for Subject {
    fn as_str(&self) -> &str {
        self.as_str()
    }
}

impl LogId for ConversationId {
    fn as_str(&self) -> &str {
        self.as_str()
    }
}

impl LogId for AccountId {
    fn as_str(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_was_written() {
        let alice = AccountId::of(&UserId::parse("alice").unwrap());
        assert_eq!((alice.as_str(), alice.user_name()), ("a.alice", "alice"));
        let direct = ConversationId::parse("d.alice.bob").unwrap();
        for subject in [Subject::from(alice.clone()), Subject::from(direct.clone())] {
            assert_eq!(Subject::parse(&subject.to_string()), Ok(subject.clone()));
            let json = serde_json::to_string(&subject).unwrap();
            assert_eq!(json, format!("\"{subject}\""));
            assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), subject);
        }
        assert_eq!(Subject::from(alice.clone()).account(), Some(&alice));
        assert_eq!(Subject::from(direct.clone()).conversation(), Some(&direct));
        // A person may be called like a prefix.
        assert_eq!(Subject::parse("a.a").unwrap().as_str(), "a.a");
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in ["a.", "a.b.c", "a.b*", "a. b", "a.ä"] {
            assert_eq!(Subject::parse(text), Err(InvalidId::Account), "{text}");
        }
        assert_eq!(Subject::parse("a.alice.x"), Err(InvalidId::Account));
        assert_eq!(AccountId::parse("d.alice.bob"), Err(InvalidId::Account));
        for text in ["", "a", "x.alice", "d.b.a", "alice"] {
            assert!(Subject::parse(text).is_err(), "{text}");
        }
    }
}
