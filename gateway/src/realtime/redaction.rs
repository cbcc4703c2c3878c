//! A message that was deleted is not read out of the recent past either: the frames of what it said
//! are written anew, without it.

use serde_json::Value;

use super::protocol::Frame;

/// Type and subject stand at an event's beginning: so far most frames are told apart unread.
const HEAD_BYTES: usize = 512;
const SENT: &str = "\"message.sent\"";
const EDITED: &str = "\"message.edited\"";

/// The frame of an event that sent or edited this message, with `body:null`; `None` for any other.
pub fn redacted(frame: &Frame, conversation: &str, seq: u64) -> Option<Frame> {
    let text = frame.as_str();
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES)).unwrap_or(text);
    if !(head.contains(SENT) || head.contains(EDITED)) || !head.contains(conversation) {
        return None;
    }
    let mut frame: Value = serde_json::from_str(text).ok()?;
    let event = frame.get_mut("event")?;
    if event.get("subject")?.as_str()? != conversation {
        return None;
    }
    let data = event.get_mut("data")?;
    if data.get("conversationSeq")?.as_u64()? != seq {
        return None;
    }
    *data.get_mut("body")? = Value::Null;
    Some(frame.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::protocol;

    fn frame(kind: &str, subject: &str, seq: u64) -> Frame {
        let event = format!(
            r#"{{"specversion":"1.0","type":"{kind}","subject":"{subject}","version":7,"data":{{"conversationSeq":{seq},"body":{{"kind":"text","text":"secret"}}}}}}"#
        );
        protocol::event(event.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_message_said_is_taken_out_and_nothing_else() {
        for kind in ["message.sent", "message.edited"] {
            let redacted = redacted(&frame(kind, "d.a.b", 3), "d.a.b", 3).unwrap();
            let expected = serde_json::json!({"type": "event", "event": {
                "specversion": "1.0", "type": kind, "subject": "d.a.b", "version": 7,
                "data": {"conversationSeq": 3, "body": null},
            }});
            assert_eq!(serde_json::from_str::<Value>(&redacted).unwrap(), expected);
        }
        for other in [
            frame("message.sent", "d.a.b", 4),
            frame("message.sent", "d.a.bc", 3),
            frame("message.deleted", "d.a.b", 3),
            "".into(),
            "{\"message.sent\" d.a.b".into(),
        ] {
            assert_eq!(redacted(&other, "d.a.b", 3), None, "{other}");
        }
    }
}
