//! What a client says.
//!
//! Three outcomes: a frame; a frame that is understood but cannot be done (it is answered, with its
//! `ref`, by an `error` frame); and one that is no frame of the contract (the socket is closed).

use std::borrow::Cow;

use parley_domain::{
    Action, Body, ClientMessageId, ConversationId, DeviceId, Emoji, InvalidBody, InvalidId, UserId,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::presence::MAX_WATCHED;

/// The longest `ref`: it is kept until its answer is sent.
pub const MAX_REF_BYTES: usize = 128;

/// A frame that a session acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is read and taken apart at once, never kept")]
pub enum ClientFrame {
    Hello(Hello),
    /// `message.send`, `.edit` and `.delete`, `reaction.add` and `.remove`, `cursor.read` and
    /// `.delivered`.
    Command {
        r#ref: Option<SmolStr>,
        conversation_id: ConversationId,
        action: Action,
    },
    Sync {
        r#ref: Option<SmolStr>,
        since: Option<Box<str>>,
    },
    Typing {
        conversation_id: ConversationId,
        typing: bool,
    },
    /// `presence.watch`: at most [`MAX_WATCHED`].
    Watch {
        r#ref: Option<SmolStr>,
        user_ids: Vec<UserId>,
    },
    Ping,
}

/// The first frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    pub session_token: Option<Box<str>>,
    pub device_id: DeviceId,
    pub since: Option<Box<str>>,
}

/// Without the token.
impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// Understood, but not done: an `error` frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub r#ref: Option<SmolStr>,
    pub code: &'static str,
    pub message: String,
}

/// Not a frame of the contract: the socket is closed with this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("not a JSON object with a type")]
    Json,
    #[error("unknown frame type")]
    UnknownType,
    #[error("ref is a string of at most {MAX_REF_BYTES} bytes")]
    Ref,
    #[error("deviceId is 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
    DeviceId,
    #[error("a field has the wrong type")]
    Field,
}

/// Why a text frame is not acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    Rejected(Rejected),
    Malformed(Malformed),
}

impl From<Malformed> for Unusable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Everything that any frame may carry; each is looked at by the frames that need it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    r#ref: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    client_message_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reply_to: Option<&'a RawValue>,
    #[serde(borrow, default)]
    through_seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation_seq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    emoji: Option<&'a RawValue>,
    #[serde(borrow, default)]
    typing: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_ids: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session_token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    device_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
}

/// Reads one text frame; never panics, whatever it holds.
pub fn parse(text: &str) -> Result<ClientFrame, Unusable> {
    // serde would also read a struct from an array.
    if !text.trim_start().starts_with('{') {
        return Err(Malformed::Json.into());
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| Malformed::Json)?;
    let r#ref = reference(fields.r#ref)?;
    match &*fields.r#type {
        "message.send" => command(&fields, r#ref, send),
        "message.edit" => command(&fields, r#ref, |fields| {
            Ok(Action::EditMessage { conversation_seq: message(fields)?, body: body(fields)? })
        }),
        "message.delete" => command(&fields, r#ref, |fields| {
            Ok(Action::DeleteMessage { conversation_seq: message(fields)?, reason: None })
        }),
        "reaction.add" => command(&fields, r#ref, |fields| {
            Ok(Action::AddReaction { conversation_seq: message(fields)?, emoji: emoji(fields)? })
        }),
        "reaction.remove" => command(&fields, r#ref, |fields| {
            Ok(Action::RemoveReaction { conversation_seq: message(fields)?, emoji: emoji(fields)? })
        }),
        "cursor.read" => command(&fields, r#ref, |fields| {
            Ok(Action::MarkRead { through_seq: number("throughSeq", fields.through_seq)? })
        }),
        "cursor.delivered" => command(&fields, r#ref, |fields| {
            Ok(Action::MarkDelivered { through_seq: number("throughSeq", fields.through_seq)? })
        }),
        "sync" => Ok(ClientFrame::Sync { r#ref, since: text_field(fields.since)? }),
        "typing" => {
            let typing = json(fields.typing).ok_or(Malformed::Field)?;
            match conversation(&fields) {
                Ok(conversation_id) => Ok(ClientFrame::Typing { conversation_id, typing }),
                Err(reason) => Err(reason.rejected(r#ref)),
            }
        }
        "presence.watch" => watch(&fields, r#ref),
        "ping" => Ok(ClientFrame::Ping),
        "hello" => Ok(ClientFrame::Hello(hello(&fields)?)),
        _ => Err(Malformed::UnknownType.into()),
    }
}

fn hello(fields: &Fields<'_>) -> Result<Hello, Malformed> {
    let device: Cow<'_, str> = json(fields.device_id).ok_or(Malformed::DeviceId)?;
    Ok(Hello {
        session_token: text_field(fields.session_token)?,
        device_id: DeviceId::parse(&device).map_err(|_| Malformed::DeviceId)?,
        since: text_field(fields.since)?,
    })
}

fn watch(fields: &Fields<'_>, r#ref: Option<SmolStr>) -> Result<ClientFrame, Unusable> {
    let names: Vec<Cow<'_, str>> = json(fields.user_ids).ok_or(Malformed::Field)?;
    if names.len() > MAX_WATCHED {
        let most = Reason::Field("userIds", "it names at most 100 people");
        return Err(most.rejected(r#ref));
    }
    let user_ids: Result<Vec<UserId>, InvalidId> =
        names.iter().map(|name| UserId::parse(name)).collect();
    match user_ids {
        Ok(user_ids) => Ok(ClientFrame::Watch { r#ref, user_ids }),
        Err(invalid) => Err(Reason::from(invalid).rejected(r#ref)),
    }
}

fn command(
    fields: &Fields<'_>,
    r#ref: Option<SmolStr>,
    action: impl Fn(&Fields<'_>) -> Result<Action, Reason>,
) -> Result<ClientFrame, Unusable> {
    let read = conversation(fields).and_then(|id| Ok((id, action(fields)?)));
    match read {
        Ok((conversation_id, action)) => {
            Ok(ClientFrame::Command { r#ref, conversation_id, action })
        }
        Err(reason) => Err(reason.rejected(r#ref)),
    }
}

fn send(fields: &Fields<'_>) -> Result<Action, Reason> {
    let id: Cow<'_, str> = json(fields.client_message_id).ok_or(InvalidId::ClientMessage)?;
    let client_message_id = ClientMessageId::parse(&id)?;
    let reply_to = match fields.reply_to {
        None => None,
        Some(seq) => Some(number("replyTo", Some(seq))?),
    };
    Ok(Action::SendMessage { client_message_id, body: body(fields)?, reply_to })
}

fn body(fields: &Fields<'_>) -> Result<Body, Reason> {
    let body = fields.body.ok_or(Reason::Field("body", "it is missing"))?;
    let body: Body = serde_json::from_str(body.get())
        .map_err(|error| InvalidBody::Malformed(without_place(&error)))?;
    Ok(body.validated()?)
}

fn message(fields: &Fields<'_>) -> Result<u64, Reason> {
    number("conversationSeq", fields.conversation_seq)
}

fn emoji(fields: &Fields<'_>) -> Result<Emoji, Reason> {
    let text: Option<Cow<'_, str>> = json(fields.emoji);
    let emoji = text.and_then(|text| Emoji::parse(&text).ok());
    emoji.ok_or(Reason::Field("emoji", "it is one emoji of at most 64 bytes"))
}

/// What serde says, without "at line 1 column 7", which would be the body's and not the frame's.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn conversation(fields: &Fields<'_>) -> Result<ConversationId, Reason> {
    let id: Cow<'_, str> = json(fields.conversation_id).ok_or(InvalidId::Conversation)?;
    Ok(ConversationId::parse(&id)?)
}

fn number(name: &'static str, raw: Option<&RawValue>) -> Result<u64, Reason> {
    json(raw).ok_or(Reason::Field(name, "it is an integer from 0"))
}

fn reference(raw: Option<&RawValue>) -> Result<Option<SmolStr>, Malformed> {
    let Some(raw) = raw else { return Ok(None) };
    let text: Cow<'_, str> = json(Some(raw)).ok_or(Malformed::Ref)?;
    if text.len() > MAX_REF_BYTES {
        return Err(Malformed::Ref);
    }
    Ok(Some(SmolStr::new(&*text)))
}

fn text_field(raw: Option<&RawValue>) -> Result<Option<Box<str>>, Malformed> {
    match raw {
        None => Ok(None),
        Some(raw) => json(Some(raw)).map(Some).ok_or(Malformed::Field),
    }
}

fn json<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

enum Reason {
    Id(InvalidId),
    Body(InvalidBody),
    Field(&'static str, &'static str),
}

impl From<InvalidId> for Reason {
    fn from(invalid: InvalidId) -> Self {
        Self::Id(invalid)
    }
}

impl From<InvalidBody> for Reason {
    fn from(invalid: InvalidBody) -> Self {
        Self::Body(invalid)
    }
}

impl Reason {
    fn rejected(self, r#ref: Option<SmolStr>) -> Unusable {
        let (code, message) = match self {
            Self::Id(invalid) => ("invalid_id", invalid.to_string()),
            Self::Body(invalid @ InvalidBody::TooLong { .. }) => {
                ("body_too_large", invalid.to_string())
            }
            Self::Body(invalid) => ("invalid_body", invalid.to_string()),
            Self::Field(name, why) => ("invalid_body", format!("{name} is not allowed: {why}")),
        };
        Unusable::Rejected(Rejected { r#ref, code, message })
    }
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
