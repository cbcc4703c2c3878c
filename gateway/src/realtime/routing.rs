//! An event of the log as the gateway reads it: for whom it is, and as what frame.

use std::borrow::Cow;

use parley_domain::ConversationId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    members::Change,
    protocol::{self, Frame},
};

/// A message of the log, as far as the hub needs it.
#[derive(Debug, Clone, Copy)]
pub struct Logged<'a> {
    pub position: u64,
    /// The NATS subject, `dm.evt.<shard>.<conversation or account>`.
    pub subject: &'a str,
    pub payload: &'a [u8],
}

/// An event on its way to its audience.
#[derive(Debug)]
pub struct Routed<'a> {
    pub audience: Audience<'a>,
    /// The number of the event in its conversation.
    pub version: u64,
    pub frame: Frame,
    /// What one of two people is shown instead.
    pub masked: Option<Masked<'a>>,
    /// Of a group: how it changes who is in it.
    pub change: Option<Change>,
    /// Of two people: what it changes between them.
    pub tie: Option<Tie>,
    /// The number of the message that it deletes.
    pub deletes: Option<u64>,
    /// Of a group's message that it edits: the version of the event that sent it.
    pub edits: Option<u64>,
}

/// Whose sessions an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The people of a direct conversation.
    Both { conversation: &'a str, users: [&'a str; 2] },
    /// The owner of an account.
    One(&'a str),
    /// The members of this group or channel.
    Members(&'a str),
}

/// Of an event that one of two people must not learn.
#[derive(Debug)]
pub struct Masked<'a> {
    pub from: &'a str,
    /// The event with what it says taken out: it moves nothing, but versions go on without a gap.
    pub frame: Frame,
}

/// What an event changes between two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// They have talked. `is_free`: as nobody can while one blocks the other.
    Talked { is_free: bool },
    /// One blocks the other, or does so no more.
    Blocking { begins: bool },
}

/// Why there is nothing to route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRouted {
    /// No event at all: nothing of it is ever put into a frame.
    Poison,
    /// About something that this version does not know.
    Unknown,
}

/// Reading it checks that the whole payload is one JSON object, so that nothing else is ever put
/// into a frame.
#[derive(Deserialize)]
struct Envelope<'a> {
    version: u64,
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Of an event about a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfMessage {
    conversation_seq: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfSent {
    sent_version: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(default)]
    hidden: bool,
}

/// Reads a message of the log.
pub fn read<'a>(message: &Logged<'a>) -> Result<Routed<'a>, NotRouted> {
    let event: Envelope<'_> =
        serde_json::from_slice(message.payload).map_err(|_| NotRouted::Poison)?;
    let frame = protocol::event(message.payload).ok_or(NotRouted::Poison)?;
    let audience = audience(message.subject).ok_or(NotRouted::Unknown)?;
    let data = event.data.map_or("null", RawValue::get);
    let deletes = match &*event.r#type {
        "message.deleted" => {
            let of = serde_json::from_str::<OfMessage>(data).map_err(|_| NotRouted::Poison)?;
            Some(of.conversation_seq)
        }
        _ => None,
    };
    let edits = match (&*event.r#type, audience) {
        ("message.edited", Audience::Members(_)) => {
            let of = serde_json::from_str::<OfSent>(data).map_err(|_| NotRouted::Poison)?;
            of.sent_version
        }
        _ => None,
    };
    let version = event.version;
    let mut routed =
        Routed { audience, version, frame, masked: None, change: None, tie: None, deletes, edits };
    match audience {
        Audience::Both { users, .. } => match &*event.r#type {
            "message.sent" => routed.tie = Some(Tie::Talked { is_free: is_free(data) }),
            "conversation.blocked" => routed.tie = Some(Tie::Blocking { begins: true }),
            "conversation.unblocked" => routed.tie = Some(Tie::Blocking { begins: false }),
            "cursor.read" | "cursor.delivered" => {
                routed.masked = masked(users, data, message.payload)?;
            }
            _ => {}
        },
        Audience::One(_) => {}
        Audience::Members(_) => {
            let change = Change::read(&event.r#type, data);
            routed.change = change.map_err(|_| NotRouted::Poison)?;
        }
    }
    Ok(routed)
}

/// Whether this message could not have been sent while one of the two blocks the other: those of
/// services can.
fn is_free(data: &str) -> bool {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        body: Option<Kinded<'a>>,
    }
    #[derive(Deserialize)]
    struct Kinded<'a> {
        #[serde(borrow)]
        kind: Cow<'a, str>,
    }
    let kind = serde_json::from_str::<Sent<'_>>(data).ok().and_then(|sent| sent.body);
    kind.is_some_and(|body| matches!(&*body.kind, "text" | "attachment" | "encrypted"))
}

/// A cursor that only its own user may learn of is for the other one a cursor that does not move.
fn masked<'a>(
    users: [&'a str; 2],
    data: &str,
    payload: &[u8],
) -> Result<Option<Masked<'a>>, NotRouted> {
    if !data.contains("\"hidden\"") {
        return Ok(None);
    }
    let cursor: Cursor<'_> = serde_json::from_str(data).map_err(|_| NotRouted::Poison)?;
    if !cursor.hidden {
        return Ok(None);
    }
    let poison = |_| NotRouted::Poison;
    let mut event: serde_json::Value = serde_json::from_slice(payload).map_err(poison)?;
    if let Some(data) = event.get_mut("data").and_then(serde_json::Value::as_object_mut) {
        data.insert("throughSeq".to_owned(), 0.into());
        data.remove("hidden");
    }
    let payload = serde_json::to_vec(&event).map_err(poison)?;
    let frame = protocol::event(&payload).ok_or(NotRouted::Poison)?;
    let other = users.into_iter().find(|user| *user != cursor.user_id);
    Ok(other.map(|from| Masked { from, frame }))
}

/// The two people of `dm.evt.<shard>.d.<lo>.<hi>`, the one of `dm.evt.<shard>.a.<userId>`, or the
/// members of `dm.evt.<shard>.g.<id>` and `dm.evt.<shard>.c.<id>`. Only Parley writes there, and
/// what is no id names no session.
fn audience(subject: &str) -> Option<Audience<'_>> {
    let (_shard, about) = subject.strip_prefix("dm.evt.")?.split_once('.')?;
    match about.split_once('.')? {
        ("a", user) => Some(Audience::One(user)),
        ("d", users) => {
            let (lo, hi) = users.split_once('.')?;
            Some(Audience::Both { conversation: about, users: [lo, hi] })
        }
        ("g" | "c", _) => Some(Audience::Members(about)),
        _ => None,
    }
}

/// Who is told that `by` types in this direct conversation.
pub fn listener<'a>(conversation: &'a ConversationId, by: &str) -> Option<&'a str> {
    let (lo, hi) = conversation.direct_names()?;
    if lo == by {
        Some(hi)
    } else if hi == by {
        Some(lo)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(subject: &'a str, payload: &'a str) -> Result<Routed<'a>, NotRouted> {
        read(&Logged { position: 1, subject, payload: payload.as_bytes() })
    }

    #[test]
    fn an_events_audience_is_in_its_subject() {
        let audience = |subject| of(subject, r#"{"version":1}"#).map(|routed| routed.audience);
        let both = Audience::Both { conversation: "d.a.b", users: ["a", "b"] };
        assert_eq!(audience("dm.evt.0.d.a.b"), Ok(both));
        assert_eq!(audience("dm.evt.1.a.a"), Ok(Audience::One("a")));
        assert_eq!(audience("dm.evt.1.g.0193"), Ok(Audience::Members("g.0193")));
        assert_eq!(audience("dm.evt.1.c.0193"), Ok(Audience::Members("c.0193")));
        for subject in ["dm.evt.1.x.a", "dm.evt.1", "dm.cmd.1.d.a.b"] {
            assert_eq!(audience(subject), Err(NotRouted::Unknown), "{subject}");
        }
    }

    #[test]
    fn what_is_no_event_is_never_a_frame() {
        for payload in ["\u{1}", "[]", r#"{"version":1}}"#, "{}"] {
            assert_eq!(of("dm.evt.0.d.a.b", payload).unwrap_err(), NotRouted::Poison);
        }
        let unreadable = r#"{"version":2,"type":"member.added","data":{}}"#;
        assert_eq!(of("dm.evt.0.g.1", unreadable).unwrap_err(), NotRouted::Poison);
    }

    #[test]
    fn a_hidden_cursor_tells_the_other_nothing() {
        let read = r#"{"version":3,"type":"cursor.read","data":{"userId":"b","throughSeq":9,"hidden":true}}"#;
        let routed = of("dm.evt.0.d.a.b", read).unwrap();
        assert!(routed.frame.contains(r#""throughSeq":9"#));
        let masked = routed.masked.unwrap();
        assert_eq!(masked.from, "a");
        let frame: serde_json::Value = serde_json::from_str(&masked.frame).unwrap();
        let data = serde_json::json!({"userId": "b", "throughSeq": 0});
        assert_eq!((&frame["event"]["data"], &frame["event"]["version"]), (&data, &3.into()));
        let shown = r#"{"version":3,"type":"cursor.read","data":{"userId":"b","throughSeq":9}}"#;
        assert!(of("dm.evt.0.d.a.b", shown).unwrap().masked.is_none());
    }
}
