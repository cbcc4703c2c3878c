//! What a device knows: the state of a sync, kept up to date by events as the contract says.
//!
//! States are JSON as it came, so that whatever a server tells is compared. What an event does to
//! one is a match without a catch-all: a new type of event has to say it here.

use std::collections::BTreeMap;

use parley_domain::{AccountEvent, Event, EventData};
use serde_json::{Value, json};

use crate::harness::Client;

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

    /// What a device that is new knows, with all of its history.
    pub async fn fresh(me: &str, client: &Client) -> Self {
        let mut fresh = Self::new(me);
        let mut since = String::new();
        loop {
            let page = client.get(&format!("/v1/sync{since}")).await.expect(200);
            fresh.page(&page);
            if page["more"] == false {
                break;
            }
            since = format!("?since={}", page["token"].as_str().unwrap());
        }
        for (id, conversation) in &mut fresh.conversations {
            let mut after = json!(0);
            while !after.is_null() {
                let path = format!("/v1/conversations/{id}/messages?afterSeq={after}&limit=200");
                let history = client.get(&path).await.expect(200);
                conversation.take(history["messages"].as_array().unwrap());
                after = history["nextAfterSeq"].clone();
            }
        }
        fresh
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
            let known = std::mem::replace(&mut self.account, sync["account"].clone());
            // Of the marks, a page has those that changed.
            let changed = std::mem::replace(&mut self.account["marks"], known["marks"].clone());
            if self.account["marks"].is_null() {
                self.account["marks"] = json!([]);
            }
            for mark in changed.as_array().unwrap() {
                *self.mark(&mark["conversationId"]) = mark.clone();
                self.marked(&mark["conversationId"]);
            }
        }
    }

    /// The marks of a conversation, which may be its first.
    fn mark(&mut self, id: &Value) -> &mut Value {
        let marks = self.account["marks"].as_array_mut().unwrap();
        let place = marks.iter().position(|mark| mark["conversationId"] == *id);
        let place = place.unwrap_or_else(|| {
            marks.push(json!({"conversationId": id, "muted": false, "pinned": false}));
            marks.len() - 1
        });
        &mut marks[place]
    }

    /// The conversation shows its marks; those that say nothing are forgotten.
    fn marked(&mut self, id: &Value) {
        let mark = self.mark(id).clone();
        if let Some(conversation) = self.conversations.get_mut(id.as_str().unwrap()) {
            conversation.show(&mark);
            if let Some(through) = mark.get("readThroughSeq") {
                conversation.read_channel(&self.me, through);
            }
        }
        let says = |mark: &Value| {
            mark["muted"] == true
                || mark["pinned"] == true
                || ["archivedThroughSeq", "readThroughSeq", "draft"]
                    .iter()
                    .any(|field| mark.get(field).is_some())
        };
        let marks = self.account["marks"].as_array_mut().unwrap();
        marks.retain(says);
        marks.sort_by_key(|mark| mark["conversationId"].as_str().unwrap().to_owned());
    }

    /// An account event about one conversation.
    fn change_mark(&mut self, data: &Value, change: impl FnOnce(&mut Value)) {
        let id = &data["conversationId"];
        change(self.mark(id));
        self.marked(id);
    }

    fn account_list(&mut self, name: &str) -> &mut Vec<Value> {
        self.account[name].as_array_mut().unwrap()
    }

    /// Takes an `event` frame: drops what is known, applies the next version, fails at a jump.
    pub fn event(&mut self, json: &Value) {
        let mut readable = json.clone();
        // Of a message that was deleted meanwhile, as a later event says.
        if readable["data"].get("body") == Some(&Value::Null) {
            readable["data"]["body"] = json!({"kind": "text", "text": "gone"});
        }
        let event = Event::from_json(readable.to_string().as_bytes()).unwrap();
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
            EventData::MessageEdited(_) => self.conversation(json).changed(json, |message| {
                message["body"] = data["body"].clone();
                message["editedAt"] = json["time"].clone();
            }),
            EventData::MessageDeleted(_) => self.conversation(json).changed(json, |message| {
                message["body"] = Value::Null;
                message["deletedAt"] = json["time"].clone();
                let message = message.as_object_mut().unwrap();
                message.retain(|name, _| name != "editedAt" && name != "reactions");
            }),
            EventData::ReactionAdded(_) => self.conversation(json).changed(json, |message| {
                react(message, &data["emoji"], &json["actor"]);
            }),
            EventData::ReactionRemoved(_) => self.conversation(json).changed(json, |message| {
                take_back(message, &data["emoji"], &json["actor"]);
            }),
            EventData::CursorDelivered(_) => {
                let through = &data["throughSeq"];
                self.conversation(json).reached(&me, &data["userId"], through, false);
            }
            EventData::CursorRead(_) => {
                let through = &data["throughSeq"];
                self.conversation(json).reached(&me, &data["userId"], through, true);
            }
            EventData::ConversationCreated(_) => self.conversation(json).created(&me, data),
            EventData::MemberAdded(_) => {
                self.conversation(json).summary["memberCount"] = data["memberCount"].clone();
            }
            EventData::MemberRemoved(_) | EventData::MemberLeft(_) => {
                let summary = &mut self.conversation(json).summary;
                summary["memberCount"] = data["memberCount"].clone();
                if data["userId"] == me {
                    summary["canSend"] = json!(false);
                    summary["timerSeconds"] = json!(0);
                } else if data["newOwnerId"] == me {
                    summary["canSend"] = json!(true);
                }
            }
            EventData::MemberRoleChanged(_) => {
                let summary = &mut self.conversation(json).summary;
                if summary["kind"] == "channel" && data["userId"] == me {
                    summary["canSend"] = json!(data["role"] != "member");
                }
            }
            EventData::ConversationRenamed(_) => {
                put(&mut self.conversation(json).summary, "title", data.get("title"));
            }
            EventData::ConversationTimerSet(_) => {
                self.conversation(json).summary["timerSeconds"] = data["seconds"].clone();
            }
            EventData::ConversationBlocked(_) => {
                let summary = &mut self.conversation(json).summary;
                summary["canSend"] = json!(false);
                if json["actor"] == me {
                    summary["blockedByMe"] = json!(true);
                }
            }
            EventData::ConversationUnblocked(_) => {
                let summary = &mut self.conversation(json).summary;
                summary["canSend"] = json!(data["stillBlocked"] != true);
                if json["actor"] == me {
                    summary["blockedByMe"] = json!(false);
                }
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
            EventData::Account(AccountEvent::ContactAdded(_)) => {
                let contacts = self.account_list("contacts");
                contacts.push(json!({"userId": data["userId"], "addedAt": json["time"]}));
                contacts.sort_by_key(|contact| contact["userId"].as_str().unwrap().to_owned());
            }
            EventData::Account(AccountEvent::ContactRemoved(_)) => {
                let is_other = |contact: &Value| contact["userId"] != data["userId"];
                self.account_list("contacts").retain(is_other);
            }
            EventData::Account(AccountEvent::ConversationMuted(_)) => {
                self.change_mark(data, |mark| {
                    mark["muted"] = json!(true);
                    put(mark, "mutedUntil", data.get("until"));
                });
            }
            EventData::Account(AccountEvent::ConversationUnmuted(_)) => {
                self.change_mark(data, |mark| {
                    mark["muted"] = json!(false);
                    put(mark, "mutedUntil", None);
                });
            }
            EventData::Account(AccountEvent::ConversationPinned(_)) => {
                self.change_mark(data, |mark| mark["pinned"] = json!(true));
            }
            EventData::Account(AccountEvent::ConversationUnpinned(_)) => {
                self.change_mark(data, |mark| mark["pinned"] = json!(false));
            }
            EventData::Account(AccountEvent::ConversationArchived(_)) => {
                self.change_mark(data, |mark| {
                    put(mark, "archivedThroughSeq", data.get("throughSeq"));
                });
            }
            EventData::Account(AccountEvent::ConversationUnarchived(_)) => {
                self.change_mark(data, |mark| put(mark, "archivedThroughSeq", None));
            }
            EventData::Account(AccountEvent::DraftSaved(_) | AccountEvent::DraftCleared(_)) => {
                self.change_mark(data, |mark| {
                    put(mark, "draft", data.get("text"));
                    put(mark, "draftSavedAt", data.get("savedAt"));
                });
            }
            EventData::Account(AccountEvent::ChannelRead(_)) => {
                self.change_mark(data, |mark| put(mark, "readThroughSeq", data.get("throughSeq")));
            }
            EventData::Account(AccountEvent::PreferencesSet(_)) => {
                self.account["settings"] = data.clone();
            }
            EventData::Account(AccountEvent::EndpointAdded(_)) => {
                let endpoints = self.account_list("endpoints");
                let known =
                    endpoints.iter_mut().find(|known| known["endpointId"] == data["endpointId"]);
                match known {
                    Some(known) => known["state"] = data["state"].clone(),
                    None => {
                        let mut endpoint = data.clone();
                        endpoint["addedAt"] = json["time"].clone();
                        endpoints.push(endpoint);
                    }
                }
            }
            EventData::Account(AccountEvent::EndpointRemoved(_)) => {
                let is_other = |endpoint: &Value| endpoint["endpointId"] != data["endpointId"];
                self.account_list("endpoints").retain(is_other);
            }
        }
        match self.conversations.get_mut(subject) {
            Some(conversation) => {
                conversation.summary["version"] = json["version"].clone();
                let marks = self.account["marks"].as_array().unwrap();
                let mark = marks.iter().find(|mark| mark["conversationId"] == subject);
                if let Some(mark) = mark {
                    // A new message ends an archiving. What was read in a channel may have been told
                    // before the channel: they have no common order.
                    conversation.show(mark);
                    if let Some(through) = mark.get("readThroughSeq") {
                        conversation.read_channel(&me, through);
                    }
                }
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

impl Conversation {
    /// A group or channel begins.
    fn created(&mut self, me: &str, data: &Value) {
        let members = data["members"].as_array().unwrap();
        let mine = members.iter().find(|member| member["userId"] == me);
        let leads = mine.is_some_and(|member| member["role"] != "member");
        let summary = &mut self.summary;
        summary["kind"] = data["kind"].clone();
        summary["memberCount"] = json!(members.len());
        summary["canSend"] = json!(leads || data["kind"] == "group");
        put(summary, "title", data.get("title"));
        for field in ["members", "peerReadSeq", "peerDeliveredSeq"] {
            put(summary, field, None);
        }
    }
}

/// Sets a field, or takes it away.
pub fn put(object: &mut Value, field: &str, value: Option<&Value>) {
    let object = object.as_object_mut().unwrap();
    match value {
        Some(value) => drop(object.insert(field.to_owned(), value.clone())),
        None => drop(object.remove(field)),
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

fn react(message: &mut Value, emoji: &Value, user: &Value) {
    if message.get("reactions").is_none() {
        message["reactions"] = json!([]);
    }
    let reactions = message["reactions"].as_array_mut().unwrap();
    match reactions.iter_mut().find(|reaction| reaction["emoji"] == *emoji) {
        Some(reaction) => reaction["userIds"].as_array_mut().unwrap().push(user.clone()),
        None => reactions.push(json!({"emoji": emoji, "userIds": [user]})),
    }
    reactions.sort_by_key(|reaction| reaction["emoji"].as_str().unwrap().to_owned());
}

fn take_back(message: &mut Value, emoji: &Value, user: &Value) {
    let reactions = message["reactions"].as_array_mut().unwrap();
    for reaction in reactions.iter_mut().filter(|reaction| reaction["emoji"] == *emoji) {
        reaction["userIds"].as_array_mut().unwrap().retain(|one| one != user);
    }
    reactions.retain(|reaction| reaction["userIds"] != json!([]));
    if reactions.is_empty() {
        message.as_object_mut().unwrap().remove("reactions");
    }
}

impl Conversation {
    /// One's own marks, as the summary has them.
    fn show(&mut self, mark: &Value) {
        self.summary["muted"] = mark["muted"].clone();
        self.summary["pinned"] = mark["pinned"].clone();
        put(&mut self.summary, "mutedUntil", mark.get("mutedUntil"));
        put(&mut self.summary, "draft", mark.get("draft"));
        let through = mark.get("archivedThroughSeq").and_then(Value::as_u64);
        let last = self.summary["lastSeq"].as_u64();
        self.summary["archived"] = json!(through.is_some() && through >= last);
    }

    /// In a channel one's cursors are not in the log, but in one's marks.
    fn read_channel(&mut self, me: &str, through: &Value) {
        if through.as_u64() > self.summary["readSeq"].as_u64() {
            self.reached(me, &json!(me), through, true);
            self.count_unread(me);
        }
    }

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

    /// Something happens to a message; nothing, if it was before one's time.
    fn changed(&mut self, event: &Value, change: impl FnOnce(&mut Value)) {
        let seq = event["data"]["conversationSeq"].as_u64().unwrap();
        let Some(message) = self.messages.get_mut(&seq) else { return };
        change(message);
        if self.summary["lastSeq"] == seq {
            self.summary["lastMessage"] = message.clone();
        }
    }

    /// Somebody's cursors; read implies delivered. Those of many are not in their conversation's
    /// summary.
    fn reached(&mut self, me: &str, user: &Value, through: &Value, is_read: bool) {
        let (read, delivered) = if user == me {
            ("readSeq", "deliveredSeq")
        } else if self.summary["kind"] == "direct" {
            ("peerReadSeq", "peerDeliveredSeq")
        } else {
            return;
        };
        self.raise(delivered, through);
        if is_read {
            self.raise(read, through);
        }
    }

    /// A cursor only goes forward.
    fn raise(&mut self, cursor: &str, through: &Value) {
        if through.as_u64() > self.summary[cursor].as_u64() {
            self.summary[cursor] = through.clone();
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
