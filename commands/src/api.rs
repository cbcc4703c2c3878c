//! The bodies of commands and their answers, the same over HTTP and NATS (there with a
//! `conversationId`).

use parley_domain::{
    Action, Answer, Body, ClientMessageId, ConversationId, DeviceId, InvalidId, Kind, Role, UserId,
    account, conversation::Title,
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// `POST /v1/conversations/{id}/messages`, `dm.cmd.message.send`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    pub client_message_id: SmolStr,
    /// If given, it must be the caller.
    #[serde(default)]
    pub sender_id: Option<SmolStr>,
    pub body: Body,
    #[serde(default)]
    pub reply_to: Option<u64>,
}

/// `POST …/read-cursors`, `dm.cmd.cursor.read`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadCursor {
    #[serde(default)]
    pub device_id: Option<SmolStr>,
    pub read_through_seq: u64,
}

/// `POST …/delivery-cursors`, `dm.cmd.cursor.delivered`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCursor {
    #[serde(default)]
    pub device_id: Option<SmolStr>,
    pub delivered_through_seq: u64,
}

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

/// `dm.cmd.device.register`; over HTTP a part of the bootstrap.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterDevice {
    pub device_id: SmolStr,
    pub platform: String,
}

/// `dm.cmd.device.unlink`; over HTTP a path.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlinkDevice {
    pub device_id: SmolStr,
}

/// Something was done, now or before: the version that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub version: u64,
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

impl From<account::Answer> for Done {
    fn from(answer: account::Answer) -> Self {
        Self { version: answer.version() }
    }
}

impl SendMessage {
    /// The action, for this caller; everything is checked that needs no conversation.
    pub fn into_action(self, caller: &str) -> Result<Action, Problem> {
        if self.sender_id.is_some_and(|sender| sender != caller) {
            return Err(Problem::new(Code::Forbidden, "senderId is not the caller"));
        }
        Ok(Action::SendMessage {
            client_message_id: ClientMessageId::parse(&self.client_message_id)?,
            body: self.body.validated()?,
            reply_to: self.reply_to,
        })
    }
}

/// Checks an optional device id.
pub fn device(id: Option<SmolStr>) -> Result<Option<DeviceId>, InvalidId> {
    id.map(|id| DeviceId::parse(&id)).transpose()
}

/// What a sender is told: the message is durable, under these numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAccepted {
    pub message_id: Uuid,
    pub conversation_seq: u64,
    pub version: u64,
    /// Always `accepted`.
    pub status: String,
    /// Only on a retry, whose numbers are those of the first time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// Where the caller's read cursor is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadCursorMoved {
    pub read_seq: u64,
}

/// Where the caller's delivered cursor is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCursorMoved {
    pub delivered_seq: u64,
}

impl MessageAccepted {
    /// From the answer to a send; `None` for an answer to something else.
    pub fn from_answer(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Sent { message_id, conversation_seq, version, duplicate, .. } => Some(Self {
                message_id,
                conversation_seq,
                version,
                status: "accepted".to_owned(),
                duplicate,
            }),
            Answer::Cursor { .. } | Answer::Done { .. } => None,
        }
    }
}
