//! What an event does to a group's members.

use serde::Deserialize;
use smol_str::SmolStr;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The first event: these are in it.
    Created(Vec<SmolStr>),
    Joined(SmolStr),
    Left(SmolStr),
}

#[derive(Deserialize)]
struct Created {
    members: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    user_id: SmolStr,
}

impl Change {
    /// Of an event's type and data; `None` if it changes no membership. Errors if it should and
    /// cannot be read.
    pub fn read(kind: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        let named = || serde_json::from_str(data).map(|Named { user_id }| user_id);
        Ok(match kind {
            "conversation.created" => {
                let Created { members } = serde_json::from_str(data)?;
                Some(Self::Created(members.into_iter().map(|named| named.user_id).collect()))
            }
            "member.added" => Some(Self::Joined(named()?)),
            "member.removed" | "member.left" => Some(Self::Left(named()?)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_who_is_in_a_group_is_read() {
        let created =
            r#"{"kind":"group","members":[{"userId":"a","role":"owner"},{"userId":"b"}]}"#;
        assert_eq!(
            Change::read("conversation.created", created).unwrap(),
            Some(Change::Created(vec!["a".into(), "b".into()]))
        );
        let named = r#"{"userId":"b","role":"member"}"#;
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
