//! What a device knows: the state of a sync, kept up to date by events as the contract says.
//!
//! States are JSON as it came, so that whatever a server tells is compared. What an event does to
//! one is a match without a catch-all: a new type of event has to say it here.

use std::collections::BTreeMap;

use parley_domain::{AccountEvent, Event, EventData};
use serde_json::{Value, json};

/// A person's device.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    me: String,
    pub conversations: BTreeMap<String, Conversation>,
    /// Section 5's `Account`.
    pub account: Value,
}

/// A conversation with all its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Section 3's `Summary`.
    pub summary: Value,
    /// Section 3's `Message`, by conversationSeq.
    pub messages: BTreeMap<u64, Value>,
}

impl Model {
    /// Before its first sync.
    pub fn new(me: &str) -> Self {
        Self { me: me.to_owned(), conversations: BTreeMap::new(), account: Value::Null }
    }

    /// The version of a conversation or of the account, by an event's `subject`; 0 for none.
    pub fn version(&self, subject: &str) -> u64 {
        let known = self.conversations.get(subject).map(|conversation| &conversation.summary);
        let known = if subject.starts_with("a.") { Some(&self.account) } else { known };
        known.and_then(|known| known["version"].as_u64()).unwrap_or_default()
    }

    /// Takes a page of a sync: what is in it is as new as the page says, or newer than what is
    /// held here already.
    pub fn page(&mut self, sync: &Value) {
        for changed in sync["conversations"].as_array().unwrap() {
            let summary = &changed["conversation"];
            let id = summary["conversationId"].as_str().unwrap();
            let is_newer = summary["version"].as_u64() >= Some(self.version(id));
            let held = self.conversations.entry(id.to_owned()).or_insert_with(|| Conversation {
                summary: Value::Null,
                messages: BTreeMap::new(),
            });
            if is_newer {
                held.summary = summary.clone();
                held.take(changed["messages"].as_array().unwrap());
            }
        }
        if sync["account"]["version"].as_u64() >= Some(self.version("a.")) {
            self.account = sync["account"].clone();
        }
    }

    /// Takes an `event` frame: drops what is known, applies the next version, fails at a jump.
    pub fn event(&mut self, json: &Value) {
        let event = Event::from_json(json.to_string().as_bytes()).unwrap();
        let subject = json["subject"].as_str().unwrap();
        let known = self.version(subject);
        if event.version <= known {
            return;
        }
        assert_eq!(event.version, known + 1, "a jump: {json}");
        let me = self.me.clone();
        let data = &json["data"];
        match &event.data {
            EventData::MessageSent(_) => self.conversation(json).sent(&me, json),
            EventData::CursorDelivered(_) => {
                let through = &data["throughSeq"];
                self.conversation(json).reached(&me, &data["userId"], through, false);
            }
            EventData::CursorRead(_) => {
                let through = &data["throughSeq"];
                self.conversation(json).reached(&me, &data["userId"], through, true);
            }
            EventData::Account(AccountEvent::DeviceRegistered(_)) => {
                let device = json!({
                    "deviceId": data["deviceId"],
                    "platform": data["platform"],
                    "registeredAt": json["time"],
                });
                self.devices().insert(0, device);
            }
            EventData::Account(AccountEvent::DeviceUnlinked(_)) => {
                self.devices().retain(|device| device["deviceId"] != data["deviceId"]);
            }
            // Whoever this is compared with does nothing else to their account.
            EventData::Account(_) => {}
        }
        match self.conversations.get_mut(subject) {
            Some(conversation) => {
                conversation.summary["version"] = json["version"].clone();
                conversation.summary["updatedAt"] = json["time"].clone();
                conversation.count_unread(&me);
            }
            None => self.account["version"] = json["version"].clone(),
        }
    }

    /// The conversation of an event, which may be its first.
    fn conversation(&mut self, event: &Value) -> &mut Conversation {
        let id = event["subject"].as_str().unwrap();
        self.conversations.entry(id.to_owned()).or_insert_with(|| Conversation {
            summary: direct(id, &event["time"]),
            messages: BTreeMap::new(),
        })
    }

    fn devices(&mut self) -> &mut Vec<Value> {
        self.account["devices"].as_array_mut().unwrap()
    }
}

/// A direct conversation exists without being created: what it is before its first event.
fn direct(id: &str, time: &Value) -> Value {
    let members = id.split('.').skip(1).map(|user| json!({"userId": user, "role": "member"}));
    json!({
        "conversationId": id, "kind": "direct", "memberCount": 2,
        "members": members.collect::<Vec<_>>(),
        "lastSeq": 0, "version": 0, "unread": 0, "readSeq": 0, "deliveredSeq": 0,
        "peerReadSeq": 0, "peerDeliveredSeq": 0,
        "muted": false, "pinned": false, "archived": false, "blockedByMe": false,
        "canSend": true, "timerSeconds": 0, "createdAt": time, "updatedAt": time,
    })
}

impl Conversation {
    /// Messages as a sync or history has them.
    pub fn take(&mut self, messages: &[Value]) {
        for message in messages {
            let seq = message["conversationSeq"].as_u64().unwrap();
            self.messages.insert(seq, message.clone());
        }
    }

    fn sent(&mut self, me: &str, event: &Value) {
        let data = &event["data"];
        let seq = data["conversationSeq"].as_u64().unwrap();
        let mut message = data.clone();
        message["conversationId"] = event["subject"].clone();
        message["senderId"] = event["actor"].clone();
        message["createdAt"] = event["time"].clone();
        message["version"] = event["version"].clone();
        self.summary["lastSeq"] = json!(seq);
        self.summary["lastMessage"] = message.clone();
        self.messages.insert(seq, message);
        // Whoever writes has read.
        self.reached(me, &event["actor"], &json!(seq), true);
    }

    /// Somebody's cursors, which only go forward; read implies delivered.
    fn reached(&mut self, me: &str, user: &Value, through: &Value, is_read: bool) {
        let (read, delivered) = if user == me {
            ("readSeq", "deliveredSeq")
        } else {
            ("peerReadSeq", "peerDeliveredSeq")
        };
        let mut raise = |cursor: &str| {
            if through.as_u64() > self.summary[cursor].as_u64() {
                self.summary[cursor] = through.clone();
            }
        };
        raise(delivered);
        if is_read {
            raise(read);
        }
    }

    fn count_unread(&mut self, me: &str) {
        let read = self.summary["readSeq"].as_u64().unwrap();
        let foreign = self
            .messages
            .range(read + 1..)
            .filter(|(_, message)| message["senderId"] != me && message.get("deletedAt").is_none());
        self.summary["unread"] = json!(foreign.count());
    }
}
