//! The bodies of commands that create, keep and block conversations.

use parley_domain::{
    Action, Answer, ConversationId, InvalidId, Kind, Role, UserId, conversation::Title,
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::Done;
use crate::problem::{Code, Problem};

/// `POST /v1/conversations`, `dm.cmd.conversation.create`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateConversation {
    /// The client's name for it, so that a retry is the same conversation; else one is made.
    #[serde(default)]
    pub conversation_id: Option<SmolStr>,
    pub kind: Kind,
    pub title: String,
    #[serde(default)]
    pub member_ids: Vec<SmolStr>,
}

/// The body of `PUT …/members/{userId}`, where it may be missing; `dm.cmd.member.add`, with the
/// person.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutMember {
    #[serde(default)]
    pub role: Option<Role>,
}

/// `dm.cmd.member.*`: the person that HTTP has in its path.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedMember {
    pub user_id: SmolStr,
}

/// `dm.cmd.member.role`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRole {
    pub role: Role,
}

/// `PUT …/title`, `dm.cmd.conversation.rename`; without a title it has none any more.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rename {
    #[serde(default)]
    pub title: Option<String>,
}

/// `PUT …/timer`, `dm.cmd.conversation.timer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetTimer {
    pub seconds: u64,
}

/// The conversation that was created, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    pub conversation_id: ConversationId,
}

impl CreateConversation {
    /// Which conversation, and how it begins; `made` names it if the client does not.
    pub fn into_action(self, made: Uuid) -> Result<(ConversationId, Action), Problem> {
        let uuid = match self.conversation_id {
            None => made,
            Some(given) => {
                let given = ConversationId::parse(&given)?;
                let uuid = given.uuid().filter(|_| given.kind() == self.kind);
                uuid.ok_or(InvalidId::New)?
            }
        };
        let id = match self.kind {
            Kind::Direct => {
                return Err(Problem::new(Code::InvalidBody, "kind is group or channel"));
            }
            Kind::Group | Kind::Channel => ConversationId::new(self.kind, uuid)?,
        };
        let members = self.member_ids.iter().map(|id| UserId::parse(id));
        let members = members.collect::<Result<_, _>>()?;
        Ok((id, Action::Create { title: title(&self.title)?, members }))
    }
}

impl Rename {
    pub fn into_action(self) -> Result<Action, Problem> {
        let title = self.title.map(|text| title(&text)).transpose()?;
        Ok(Action::Rename { title })
    }
}

fn title(text: &str) -> Result<Title, Problem> {
    Title::parse(text).map_err(|error| Problem::new(Code::InvalidBody, error.to_string()))
}

impl Done {
    /// From the answer to a command that only does something; `None` for an answer to another.
    pub fn from_answer(answer: &Answer) -> Option<Self> {
        match answer {
            Answer::Done { version, .. } => Some(Self { version: *version }),
            Answer::Sent { .. } | Answer::Cursor { .. } => None,
        }
    }
}
