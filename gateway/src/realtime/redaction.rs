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

/// The frame of an edit as somebody gets it who came into the group with event `since`, if the
/// message was sent before: with `body:null`. `None` if they may see all of it, or it is no edit.
pub fn edit_for(frame: &Frame, since: u64) -> Option<Frame> {
    let text = frame.as_str();
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES)).unwrap_or(text);
    if since == 0 || !head.contains(EDITED) {
        return None;
    }
    let mut frame: Value = serde_json::from_str(text).ok()?;
    let event = frame.get_mut("event")?;
    if event.get("type")? != "message.edited" {
        return None;
    }
    let data = event.get_mut("data")?;
    if data.get("sentVersion")?.as_u64()? > since {
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

    #[test]
    fn an_edit_says_nothing_to_whoever_came_after_the_message() {
        let edited = |kind: &str| -> Frame {
            let event = format!(
                r#"{{"type":"{kind}","subject":"g.1","version":9,"data":{{"conversationSeq":3,"sentVersion":5,"body":{{"kind":"text","text":"secret"}}}}}}"#
            );
            protocol::event(event.as_bytes()).unwrap()
        };
        for (since, is_told) in [(0, true), (4, true), (6, false), (u64::MAX, false)] {
            let masked = edit_for(&edited("message.edited"), since);
            assert_eq!(masked.is_none(), is_told, "{since}");
            if let Some(masked) = masked {
                let masked: Value = serde_json::from_str(&masked).unwrap();
                assert_eq!(masked["event"]["data"]["body"], Value::Null);
                assert_eq!(masked["event"]["version"], 9);
            }
        }
        assert_eq!(edit_for(&edited("message.sent"), 6), None);
        assert_eq!(edit_for(&frame("message.edited", "g.1", 3), 6), None);
    }
}
