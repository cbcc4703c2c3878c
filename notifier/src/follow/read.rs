//! What of the log matters here.

use parley_domain::{Subject, Timestamp};
use parley_nats::{subjects::parse_event_subject, tail::LogMessage};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::{channels::ChannelKind, policy::windows::Key};

/// An event that opens or cancels something.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A message waits for everybody in the conversation but its sender, who has read up to it.
    Message {
        conversation: SmolStr,
        from: SmolStr,
        at: Timestamp,
    },
    Read(Key),
    /// A group was made.
    Created {
        group: SmolStr,
        members: Vec<SmolStr>,
    },
    Joined {
        group: SmolStr,
        user: SmolStr,
    },
    Left {
        group: SmolStr,
        user: SmolStr,
    },
    /// An address that is to be verified.
    Endpoint {
        user: SmolStr,
        endpoint_id: SmolStr,
        channel: ChannelKind,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: &'a str,
    actor: SmolStr,
    time: Timestamp,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Whom an event is about: whose cursor moved, who came or went.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Who {
    user_id: SmolStr,
}

#[derive(Deserialize)]
struct Created {
    members: Vec<Who>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added<'a> {
    endpoint_id: SmolStr,
    channel: ChannelKind,
    state: &'a str,
}

/// Reads the type first and then only what is needed of the rest. Types that matter to nobody here,
/// those of later versions among them, are `None`; so is what no version can read, which is a dead
/// letter of the projections.
pub fn read(message: &LogMessage) -> Option<Seen> {
    let (_, subject) = parse_event_subject(&message.subject)?;
    let envelope: Envelope<'_> = serde_json::from_slice(&message.payload).ok()?;
    match subject {
        Subject::Conversation(id) => {
            let conversation = SmolStr::from(id);
            let who = || serde_json::from_str::<Who>(envelope.data.get()).ok();
            match envelope.r#type {
                "message.sent" => {
                    Some(Seen::Message { conversation, from: envelope.actor, at: envelope.time })
                }
                "cursor.read" => Some(Seen::Read(Key { user: who()?.user_id, conversation })),
                // A channel's readers are not called to it, however many they are.
                "conversation.created" if is_group(&conversation) => {
                    let Created { members } = serde_json::from_str(envelope.data.get()).ok()?;
                    let members = members.into_iter().map(|who| who.user_id).collect();
                    Some(Seen::Created { group: conversation, members })
                }
                "member.added" if is_group(&conversation) => {
                    Some(Seen::Joined { group: conversation, user: who()?.user_id })
                }
                "member.removed" | "member.left" if is_group(&conversation) => {
                    Some(Seen::Left { group: conversation, user: who()?.user_id })
                }
                _ => None,
            }
        }
        Subject::Account(_) if envelope.r#type == "endpoint.added" => {
            let Added { endpoint_id, channel, state } =
                serde_json::from_str(envelope.data.get()).ok()?;
            (state == "pending").then_some(Seen::Endpoint {
                user: envelope.actor,
                endpoint_id,
                channel,
            })
        }
        Subject::Account(_) => None,
    }
}

/// Whether its members have to be known.
pub fn is_group(conversation: &str) -> bool {
    conversation.starts_with("g.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GROUP: &str = "g.0193a0c4-0000-7000-8000-000000000001";

    fn seen(subject: &str, r#type: &str, data: &Value) -> Option<Seen> {
        let event = json!({
            "specversion": "1.0", "id": "0193", "source": "parley/commands", "type": r#type,
            "time": "2026-11-21T09:45:00.123Z", "version": 12, "actor": "alice", "data": data,
        });
        let payload = event.to_string().into_bytes().into();
        read(&LogMessage { position: 1, subject: format!("dm.evt.3.{subject}").into(), payload })
    }

    #[test]
    fn only_what_matters_is_read() {
        let conversation = SmolStr::new("d.alice.bob");
        let at = Timestamp::parse("2026-11-21T09:45:00.123Z").unwrap();
        let message = json!({"conversationSeq": 9, "body": {"kind": "later", "x": 1}});
        assert_eq!(
            seen("d.alice.bob", "message.sent", &message),
            Some(Seen::Message { conversation: conversation.clone(), from: "alice".into(), at })
        );
        assert_eq!(
            seen("d.alice.bob", "cursor.read", &json!({"userId": "alice", "throughSeq": 3})),
            Some(Seen::Read(Key { user: "alice".into(), conversation }))
        );
        let added = |state| json!({"endpointId": "e1", "channel": "email", "address": "a@b", "state": state});
        let (user, endpoint_id) = ("alice".into(), "e1".into());
        assert_eq!(
            seen("a.alice", "endpoint.added", &added("pending")),
            Some(Seen::Endpoint { user, endpoint_id, channel: ChannelKind::Email })
        );
        assert_eq!(seen("a.alice", "endpoint.added", &added("verified")), None);
        let (group, user) = (SmolStr::new(GROUP), SmolStr::new("bob"));
        let members = json!({"members": [{"userId": "alice", "role": "owner"}, {"userId": "bob"}]});
        let created =
            Seen::Created { group: group.clone(), members: vec!["alice".into(), "bob".into()] };
        assert_eq!(seen(GROUP, "conversation.created", &members), Some(created));
        let who = json!({"userId": "bob", "lastSeq": 4, "memberCount": 3});
        assert_eq!(
            seen(GROUP, "member.added", &who),
            Some(Seen::Joined { group: group.clone(), user: user.clone() })
        );
        for r#type in ["member.removed", "member.left"] {
            let left = Seen::Left { group: group.clone(), user: user.clone() };
            assert_eq!(seen(GROUP, r#type, &who), Some(left));
        }
        assert_eq!(seen(&GROUP.replace("g.", "c."), "member.added", &who), None);
        assert_eq!(seen("d.alice.bob", "reaction.added", &json!({})), None);
        assert_eq!(seen("d.alice.bob", "cursor.read", &json!({})), None);
        assert_eq!(seen("a.alice", "message.sent", &message), None);
        assert_eq!(seen("nobody", "message.sent", &message), None);
    }
}
