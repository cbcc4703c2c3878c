//! What an event does to a group's members.

use parley_domain::{
    UserId,
    event::{ConversationCreated, MemberAdded, MemberLeft, MemberRemoved},
};
use smol_str::SmolStr;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The first event: these are in it.
    Created(Vec<SmolStr>),
    Joined(SmolStr),
    Left(SmolStr),
}

impl Change {
    /// Who comes or goes.
    pub fn users(&self) -> &[SmolStr] {
        match self {
            Self::Created(users) => users,
            Self::Joined(user) | Self::Left(user) => std::slice::from_ref(user),
        }
    }

    /// Of an event's type and data; `None` if it changes no membership. Errors if it should and
    /// cannot be read.
    pub fn read(kind: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        let name = |user: UserId| SmolStr::new(user.as_str());
        Ok(match kind {
            "conversation.created" => {
                let ConversationCreated { members, .. } = serde_json::from_str(data)?;
                let users = members.into_iter().map(|member| name(member.user_id));
                Some(Self::Created(users.collect()))
            }
            "member.added" => {
                let MemberAdded { user_id, .. } = serde_json::from_str(data)?;
                Some(Self::Joined(name(user_id)))
            }
            "member.removed" => {
                let MemberRemoved { user_id, .. } = serde_json::from_str(data)?;
                Some(Self::Left(name(user_id)))
            }
            "member.left" => {
                let MemberLeft { user_id, .. } = serde_json::from_str(data)?;
                Some(Self::Left(name(user_id)))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_who_is_in_a_group_is_read() {
        let created = r#"{"kind":"group","members":[{"userId":"a","role":"owner"},{"userId":"b","role":"member"}]}"#;
        assert_eq!(
            Change::read("conversation.created", created).unwrap(),
            Some(Change::Created(vec!["a".into(), "b".into()]))
        );
        let named = r#"{"userId":"b","role":"member","lastSeq":4,"memberCount":2}"#;
        let joined = Change::read("member.added", named).unwrap();
        assert_eq!(joined, Some(Change::Joined("b".into())));
        for kind in ["member.removed", "member.left"] {
            assert_eq!(Change::read(kind, named).unwrap(), Some(Change::Left("b".into())));
        }
        for kind in ["member.roleChanged", "message.sent", "member"] {
            assert_eq!(Change::read(kind, named).unwrap(), None);
        }
        assert!(Change::read("member.added", "{}").is_err());
    }
}
