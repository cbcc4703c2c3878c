//! What a caller is told when the answer is no: RFC 9457 problem details with a stable code.

use std::fmt;

use parley_domain::{InvalidBody, InvalidEmoji, InvalidId, Refusal, account};
use parley_nats::Failure;
use serde::{Deserialize, Serialize};

/// The stable codes of the contract; clients branch on these and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    InvalidId,
    InvalidBody,
    BodyTooLarge,
    InvalidAttachment,
    BeyondLastMessage,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotMember,
    Blocked,
    GroupFull,
    MethodNotAllowed,
    UnsupportedMediaType,
    NotSender,
    TooLate,
    TooManyReactions,
    ClientMessageIdReused,
    TooManyDevices,
    LimitReached,
    RateLimited,
    NewAccountLimit,
    Unavailable,
    Conflict,
    Internal,
}

impl Code {
    /// As it is written on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidId => "invalid_id",
            Self::InvalidBody => "invalid_body",
            Self::BodyTooLarge => "body_too_large",
            Self::InvalidAttachment => "invalid_attachment",
            Self::BeyondLastMessage => "beyond_last_message",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotMember => "not_member",
            Self::Blocked => "blocked",
            Self::GroupFull => "group_full",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotSender => "not_sender",
            Self::TooLate => "too_late",
            Self::TooManyReactions => "too_many_reactions",
            Self::ClientMessageIdReused => "client_message_id_reused",
            Self::TooManyDevices => "too_many_devices",
            Self::LimitReached => "limit_reached",
            Self::RateLimited => "rate_limited",
            Self::NewAccountLimit => "new_account_limit",
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status, and the `Nats-Service-Error-Code`.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidId => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::Blocked | Self::NotSender => 403,
            Self::NotFound | Self::NotMember => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLate
            | Self::TooManyReactions
            | Self::ClientMessageIdReused
            | Self::GroupFull
            | Self::TooManyDevices
            | Self::LimitReached
            | Self::Conflict => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::InvalidBody | Self::InvalidAttachment | Self::BeyondLastMessage => 422,
            Self::RateLimited | Self::NewAccountLimit => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidId => "An id does not have its form",
            Self::InvalidBody => "The body is not one of the contract",
            Self::BodyTooLarge => "The body is too large",
            Self::InvalidAttachment => "The files cannot be sent",
            Self::BeyondLastMessage => "There is no such message yet",
            Self::Unauthenticated => "Sign in first",
            Self::Forbidden => "This is not yours to do",
            Self::NotFound => "There is no such thing",
            Self::NotMember => "There is no such member",
            Self::Blocked => "One of the two blocks the other",
            Self::GroupFull => "The group is full",
            Self::MethodNotAllowed => "This cannot be done here",
            Self::UnsupportedMediaType => "Send JSON",
            Self::NotSender => "The message is somebody else's",
            Self::TooLate => "It is too late for that",
            Self::TooManyReactions => "The message has too many reactions",
            Self::ClientMessageIdReused => "The clientMessageId names another message",
            Self::TooManyDevices => "The account has too many devices",
            Self::LimitReached => "The account holds as many of these as it may",
            Self::RateLimited => "Too many requests",
            Self::NewAccountLimit => "The account is too new for so many conversations",
            Self::Unavailable => "Try again in a moment",
            Self::Conflict => "Somebody else was faster",
            Self::Internal => "Something broke here",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The problem object, the same over HTTP, WebSocket (as an `error` frame) and NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {detail}")]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub code: Code,
    pub detail: String,
    /// When it is worth trying again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            retry_after_ms: None,
        }
    }

    /// A failure of a server that may be over soon.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after_ms: Some(1_000), ..Self::new(Code::Unavailable, detail) }
    }

    /// Text that is not JSON of the right shape: 400, unlike a well-formed body that is wrong.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self { status: 400, ..Self::new(Code::InvalidBody, detail) }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::NotFound | Refusal::NoMessage => Code::NotFound,
            Refusal::NotSender => Code::NotSender,
            Refusal::TooLate { .. } | Refusal::Deleted => Code::TooLate,
            Refusal::NotExpired => Code::Conflict,
            Refusal::Reason => Code::InvalidBody,
            Refusal::NoAttachment(_) | Refusal::AttachmentsChanged => Code::InvalidAttachment,
            Refusal::TooManyReactions => Code::TooManyReactions,
            Refusal::ServicesOnly => Code::Forbidden,
            Refusal::ClientMessageIdReused(_) => Code::ClientMessageIdReused,
            Refusal::ReplyBeyondLast { .. } | Refusal::CursorBeyondLast { .. } => {
                Code::BeyondLastMessage
            }
            Refusal::Forbidden(_) => Code::Forbidden,
            Refusal::Blocked => Code::Blocked,
            Refusal::NotMember(_) => Code::NotMember,
            Refusal::GroupFull => Code::GroupFull,
            Refusal::Invalid(_) => Code::InvalidBody,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<account::Refusal> for Problem {
    fn from(refusal: account::Refusal) -> Self {
        let code = match &refusal {
            // As with a conversation: what is another person's does not exist.
            account::Refusal::NotYours
            | account::Refusal::NoDevice
            | account::Refusal::NotAMember
            | account::Refusal::NoEndpoint => Code::NotFound,
            account::Refusal::Oneself => Code::InvalidId,
            account::Refusal::TooManyContacts
            | account::Refusal::TooManyMarks
            | account::Refusal::TooManyDrafts
            | account::Refusal::TooManyEndpoints => Code::LimitReached,
            account::Refusal::Unlinked => Code::Unauthenticated,
            account::Refusal::TooManyDevices => Code::TooManyDevices,
            account::Refusal::Platform
            | account::Refusal::MuteOver
            | account::Refusal::Draft
            | account::Refusal::NotAChannel
            | account::Refusal::Settings(_)
            | account::Refusal::Address(_) => Code::InvalidBody,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<InvalidBody> for Problem {
    fn from(invalid: InvalidBody) -> Self {
        let code = match &invalid {
            InvalidBody::TooLong { .. } | InvalidBody::FileTooLarge { .. } => Code::BodyTooLarge,
            InvalidBody::Malformed(_) | InvalidBody::Blank | InvalidBody::Field { .. } => {
                Code::InvalidBody
            }
        };
        Self::new(code, invalid.to_string())
    }
}

impl From<InvalidEmoji> for Problem {
    fn from(invalid: InvalidEmoji) -> Self {
        Self::new(Code::InvalidBody, invalid.to_string())
    }
}

impl From<InvalidId> for Problem {
    fn from(invalid: InvalidId) -> Self {
        Self::new(Code::InvalidId, invalid.to_string())
    }
}

impl From<Failure> for Problem {
    /// Says what is away, not why: addresses and server texts are for the log.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded(why) => Self::unavailable(why),
            Failure::Views(_) => Self::unavailable("the database is away"),
            Failure::Unreachable { .. }
            | Failure::JetStream { .. }
            | Failure::ShardsDiffer { .. }
            | Failure::Deployment(_) => Self::unavailable("the log is away"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_rfc_9457_with_a_code() {
        let problem = Problem::from(Refusal::CursorBeyondLast { last_seq: 3 });
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "type": "about:blank", "title": "There is no such message yet", "status": 422,
                "code": "beyond_last_message", "detail": "the last message is 3"
            })
        );
        assert_eq!(
            serde_json::to_value(Code::ClientMessageIdReused).unwrap(),
            "client_message_id_reused"
        );
    }

    #[test]
    fn a_failure_does_not_tell_addresses() {
        let failure = Failure::Unreachable { url: "nats://10.0.0.1".into(), why: "refused".into() };
        let problem = Problem::from(failure);
        assert_eq!(problem.status, 503);
        assert!(!problem.detail.contains("10.0.0.1"));
    }
}
