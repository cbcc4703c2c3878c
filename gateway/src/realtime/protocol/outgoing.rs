//! What a client is told.

use parley_domain::{ClientMessageId, ConversationId, DeviceId, Timestamp, UserId};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Frame;
use crate::realtime::sync::Page;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ServerFrame<'a> {
    Ready {
        user_id: &'a UserId,
        device_id: &'a DeviceId,
        heartbeat_seconds: u64,
    },
    Sync {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        token: &'a str,
        more: bool,
        conversations: &'a RawValue,
        account: &'a RawValue,
    },
    CaughtUp {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        token: &'a str,
    },
    #[serde(rename = "message.ack")]
    MessageAck {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        client_message_id: &'a ClientMessageId,
        message_id: Uuid,
        conversation_id: &'a ConversationId,
        conversation_seq: u64,
        version: u64,
        duplicate: bool,
    },
    Ack {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        version: u64,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a str>,
        code: &'a str,
        message: &'a str,
        retry_after_ms: u64,
    },
    Typing {
        conversation_id: &'a ConversationId,
        user_id: &'a UserId,
        typing: bool,
    },
    Presence {
        user_id: &'a UserId,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen_at: Option<Timestamp>,
    },
    Token {
        token: &'a str,
    },
    Draining {
        reconnect_after_ms: u64,
    },
}

impl ServerFrame<'_> {
    fn written(&self) -> Frame {
        // Strings and numbers only: this cannot fail, and an empty frame would be seen at once.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

pub fn ready(user_id: &UserId, device_id: &DeviceId, heartbeat_seconds: u64) -> Frame {
    ServerFrame::Ready { user_id, device_id, heartbeat_seconds }.written()
}

/// One page.
pub fn sync(r#ref: Option<&str>, token: &str, more: bool, page: &Page) -> Frame {
    let Page { conversations, account, .. } = page;
    ServerFrame::Sync { r#ref, token, more, conversations, account }.written()
}

pub fn caught_up(r#ref: Option<&str>, token: &str) -> Frame {
    ServerFrame::CaughtUp { r#ref, token }.written()
}

/// Wraps an event as the log holds it, a JSON object, without reading it; `None` if it is not even
/// UTF-8. Called once an event: all sockets share the frame.
pub fn event(event: &[u8]) -> Option<Frame> {
    let event = std::str::from_utf8(event).ok()?;
    Some([r#"{"type":"event","event":"#, event, "}"].concat().into())
}

/// A command was done: `message.ack` for a message, `ack` for anything else.
pub fn ack(
    r#ref: Option<&str>,
    conversation_id: &ConversationId,
    answer: &parley_domain::Answer,
) -> Frame {
    match answer {
        parley_domain::Answer::Sent {
            client_message_id,
            message_id,
            conversation_seq,
            version,
            duplicate,
        } => ServerFrame::MessageAck {
            r#ref,
            client_message_id,
            message_id: *message_id,
            conversation_id,
            conversation_seq: *conversation_seq,
            version: *version,
            duplicate: *duplicate,
        }
        .written(),
        parley_domain::Answer::Cursor { version, .. }
        | parley_domain::Answer::Done { version, .. } => {
            ServerFrame::Ack { r#ref, version: *version }.written()
        }
    }
}

/// What an `error` frame says.
#[derive(Debug, Clone, Copy)]
pub struct ErrorFrame<'a> {
    pub r#ref: Option<&'a str>,
    pub code: &'a str,
    pub message: &'a str,
    pub retry_after_ms: u64,
}

pub fn error(ErrorFrame { r#ref, code, message, retry_after_ms }: ErrorFrame<'_>) -> Frame {
    ServerFrame::Error { r#ref, code, message, retry_after_ms }.written()
}

pub fn typing(conversation_id: &ConversationId, user_id: &UserId, typing: bool) -> Frame {
    ServerFrame::Typing { conversation_id, user_id, typing }.written()
}

/// `last_seen_at` is for those who are offline.
pub fn presence(user_id: &UserId, is_online: bool, last_seen_at: Option<Timestamp>) -> Frame {
    let state = if is_online { "online" } else { "offline" };
    ServerFrame::Presence { user_id, state, last_seen_at }.written()
}

pub fn token(token: &str) -> Frame {
    ServerFrame::Token { token }.written()
}

pub fn draining(reconnect_after_ms: u64) -> Frame {
    ServerFrame::Draining { reconnect_after_ms }.written()
}

pub fn pong() -> Frame {
    Frame::from_static(r#"{"type":"pong"}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_the_contract_has_them() {
        let (alice, dev) = (UserId::parse("alice").unwrap(), DeviceId::parse("dev_1").unwrap());
        let id = ConversationId::parse("d.alice.bob").unwrap();
        let page = Page {
            checkpoints: [].into(),
            conversations: RawValue::from_string("[]".to_owned()).unwrap(),
            account: RawValue::from_string("{}".to_owned()).unwrap(),
            is_empty: true,
            next: None,
        };
        let sent = parley_domain::Answer::Sent {
            client_message_id: ClientMessageId::parse("c-1").unwrap(),
            message_id: Uuid::nil(),
            conversation_seq: 9,
            version: 12,
            duplicate: false,
        };
        let cursor = parley_domain::Answer::Cursor { version: 13, read_seq: 9, delivered_seq: 9 };
        for (frame, expected) in [
            (
                ready(&alice, &dev, 25),
                r#"{"type":"ready","userId":"alice","deviceId":"dev_1","heartbeatSeconds":25}"#,
            ),
            (
                sync(None, "T", true, &page),
                r#"{"type":"sync","token":"T","more":true,"conversations":[],"account":{}}"#,
            ),
            (caught_up(Some("4"), "T"), r#"{"type":"caughtUp","ref":"4","token":"T"}"#),
            (event(br#"{"version":1}"#).unwrap(), r#"{"type":"event","event":{"version":1}}"#),
            (
                ack(Some("1"), &id, &sent),
                r#"{"type":"message.ack","ref":"1","clientMessageId":"c-1","messageId":"00000000-0000-0000-0000-000000000000","conversationId":"d.alice.bob","conversationSeq":9,"version":12,"duplicate":false}"#,
            ),
            (ack(Some("3"), &id, &cursor), r#"{"type":"ack","ref":"3","version":13}"#),
            (
                error(ErrorFrame {
                    r#ref: Some("1"),
                    code: "blocked",
                    message: "no",
                    retry_after_ms: 0,
                }),
                r#"{"type":"error","ref":"1","code":"blocked","message":"no","retryAfterMs":0}"#,
            ),
            (
                typing(&id, &alice, true),
                r#"{"type":"typing","conversationId":"d.alice.bob","userId":"alice","typing":true}"#,
            ),
            (
                presence(&alice, true, None),
                r#"{"type":"presence","userId":"alice","state":"online"}"#,
            ),
            (
                presence(&alice, false, Timestamp::parse("2026-11-21T09:45:00.123Z")),
                r#"{"type":"presence","userId":"alice","state":"offline","lastSeenAt":"2026-11-21T09:45:00.123Z"}"#,
            ),
            (token("T"), r#"{"type":"token","token":"T"}"#),
            (draining(1_200), r#"{"type":"draining","reconnectAfterMs":1200}"#),
            (pong(), r#"{"type":"pong"}"#),
        ] {
            assert_eq!(frame.as_str(), expected);
        }
        assert_eq!(event(b"\xff"), None);
    }
}
