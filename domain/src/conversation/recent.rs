//! The last messages of a conversation: what a decision about one of them needs to know, and by
//! which name a retry is recognised.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    body::{Attachment, Body},
    emoji::Emoji,
    event::{DeletedMessage, MessageDeleted, MessageSent, Reaction},
    ids::{ClientMessageId, UserId},
    timestamp::Timestamp,
};

/// How many of a conversation's last messages, by their numbers, are known.
pub const RECENT_MESSAGES: usize = 1_000;

/// One sent message, without what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub sender_id: UserId,
    pub client_message_id: ClientMessageId,
    pub message_id: Uuid,
    pub conversation_seq: u64,
    /// Of the event that sent it.
    pub version: u64,
    pub created_at: Timestamp,
    pub reply_to: Option<u64>,
    pub expires_at: Option<Timestamp>,
    /// `None` once deleted.
    pub content: Option<Content>,
}

/// What is known of what a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// [`Body::fingerprint`] of what was sent: a retry is known by it, whatever the message says now.
    pub sent: u64,
    /// The same of what it says now, if it was edited.
    pub edited: Option<u64>,
    /// A backend service sent it.
    pub by_service: bool,
    /// It says what only backend services may say, or change.
    pub is_for_services: bool,
    /// The files that it was sent with, and has for good.
    pub attachments: Vec<Attachment>,
    /// Who reacted; no emoji is without anybody.
    pub reactions: BTreeMap<Emoji, BTreeSet<UserId>>,
}

impl Sent {
    /// What is left of it in the event that deletes it.
    pub(super) fn deleted(&self) -> DeletedMessage {
        DeletedMessage {
            message_id: self.message_id,
            client_message_id: self.client_message_id.clone(),
            sender_id: self.sender_id.clone(),
            version: self.version,
            created_at: self.created_at,
            reply_to: self.reply_to,
            expires_at: self.expires_at,
        }
    }

    fn size_bytes(&self) -> usize {
        let reactions = self.content.iter().flat_map(|content| content.reactions.values());
        let reactions = reactions.map(|users| 96 + users.len() * (size_of::<UserId>() + 8));
        let attachments = self.content.iter().flat_map(|content| &content.attachments);
        let attachments = attachments.map(|attachment| {
            let names = attachment.file.iter().map(|f| f.file_name.len() + f.content_type.len());
            size_of::<Attachment>() + names.sum::<usize>()
        });
        size_of::<Self>()
            + size_of::<(UserId, ClientMessageId)>()
            + 64
            + reactions.sum::<usize>()
            + attachments.sum::<usize>()
    }
}

impl Content {
    fn of(MessageSent { body, by_service, .. }: &MessageSent) -> Self {
        Self {
            sent: body.fingerprint(),
            edited: None,
            by_service: *by_service,
            is_for_services: is_for_services(body, *by_service),
            attachments: body.attachments().to_vec(),
            reactions: BTreeMap::new(),
        }
    }

    /// Whether it would, if it said this.
    pub(super) fn would_be_for_services(&self, body: &Body) -> bool {
        is_for_services(body, self.by_service)
    }

    /// [`Body::fingerprint`] of what it says now.
    pub(super) fn now(&self) -> u64 {
        self.edited.unwrap_or(self.sent)
    }
}

/// Anybody can send a card; one that the marketplace sent is its word, and nobody else's to change.
fn is_for_services(body: &Body, by_service: bool) -> bool {
    body.is_for_services() || by_service && body.is_of_the_marketplace()
}

/// Those of the last [`RECENT_MESSAGES`] numbers, ascending.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Sent>", into = "Vec<Sent>")]
pub struct Recent {
    messages: VecDeque<Sent>,
    by_name: HashMap<(UserId, ClientMessageId), u64>,
    /// Of all messages together, kept as they change: it is asked for after every command.
    bytes: usize,
}

impl Recent {
    pub fn get(&self, sender: &UserId, name: &ClientMessageId) -> Option<&Sent> {
        self.by_seq(*self.by_name.get(&(sender.clone(), name.clone()))?)
    }

    pub fn by_seq(&self, seq: u64) -> Option<&Sent> {
        self.messages.get(self.place(seq).ok()?)
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn record(
        &mut self,
        sender: &UserId,
        sent: &MessageSent,
        version: u64,
        at: Timestamp,
    ) {
        self.insert(Sent {
            sender_id: sender.clone(),
            client_message_id: sent.client_message_id.clone(),
            message_id: sent.message_id,
            conversation_seq: sent.conversation_seq,
            version,
            created_at: at,
            reply_to: sent.reply_to,
            expires_at: sent.expires_at,
            content: Some(Content::of(sent)),
        });
    }

    pub(super) fn edit(&mut self, seq: u64, body: &Body) {
        self.change(seq, |sent| {
            if let Some(content) = &mut sent.content {
                content.edited = Some(body.fingerprint());
                content.is_for_services = content.would_be_for_services(body);
            }
        });
    }

    /// Also of a message that is not here because the event that sent it was erased.
    pub(super) fn delete(&mut self, deleted: &MessageDeleted) {
        let seq = deleted.conversation_seq;
        if self.place(seq).is_ok() {
            self.change(seq, |sent| sent.content = None);
        } else if let Some(of) = deleted.of.clone() {
            self.insert(Sent {
                sender_id: of.sender_id,
                client_message_id: of.client_message_id,
                message_id: of.message_id,
                conversation_seq: seq,
                version: of.version,
                created_at: of.created_at,
                reply_to: of.reply_to,
                expires_at: of.expires_at,
                content: None,
            });
        }
    }

    pub(super) fn react(&mut self, user: &UserId, Reaction { conversation_seq, emoji }: &Reaction) {
        self.change(*conversation_seq, |sent| {
            if let Some(content) = &mut sent.content {
                content.reactions.entry(emoji.clone()).or_default().insert(user.clone());
            }
        });
    }

    pub(super) fn take_back(
        &mut self,
        user: &UserId,
        Reaction { conversation_seq, emoji }: &Reaction,
    ) {
        self.change(*conversation_seq, |sent| {
            if let Some(content) = &mut sent.content
                && let Some(users) = content.reactions.get_mut(emoji)
            {
                users.remove(user);
                if users.is_empty() {
                    content.reactions.remove(emoji);
                }
            }
        });
    }

    fn change(&mut self, seq: u64, change: impl FnOnce(&mut Sent)) {
        let Ok(place) = self.place(seq) else { return };
        let Some(sent) = self.messages.get_mut(place) else { return };
        self.bytes = self.bytes.saturating_sub(sent.size_bytes());
        change(sent);
        self.bytes += sent.size_bytes();
    }

    /// A message that is known, or too old to be, changes nothing. One that comes late is what is
    /// left of a deleted one.
    fn insert(&mut self, sent: Sent) {
        let last = self.messages.back().map_or(0, |last| last.conversation_seq);
        let seq = sent.conversation_seq;
        let Err(place) = self.place(seq) else { return };
        if !window(last.max(seq)).contains(&seq) {
            return;
        }
        let name = (sent.sender_id.clone(), sent.client_message_id.clone());
        // A name may come again after more than `RECENT_MESSAGES` others only, so never here; were
        // it here (a log written by hand), the first message keeps the name.
        self.by_name.entry(name).or_insert(seq);
        self.bytes += sent.size_bytes();
        self.messages.insert(place, sent);
        let known = window(last.max(seq));
        while let Some(oldest) = self.messages.front()
            && !known.contains(&oldest.conversation_seq)
        {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.size_bytes());
            let name = (oldest.sender_id, oldest.client_message_id);
            if self.by_name.get(&name) == Some(&oldest.conversation_seq) {
                self.by_name.remove(&name);
            }
        }
    }

    fn place(&self, seq: u64) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&seq, |sent| sent.conversation_seq)
    }
}

/// The numbers that are known when `last` is the last one.
fn window(last: u64) -> Range<u64> {
    last.saturating_add(1).saturating_sub(RECENT_MESSAGES as u64)..last.saturating_add(1)
}

impl From<Vec<Sent>> for Recent {
    fn from(messages: Vec<Sent>) -> Self {
        let mut recent = Self::default();
        for sent in messages {
            recent.insert(sent);
        }
        recent
    }
}

impl From<Recent> for Vec<Sent> {
    fn from(recent: Recent) -> Self {
        recent.messages.into()
    }
}

impl PartialEq for Recent {
    fn eq(&self, other: &Self) -> bool {
        self.messages == other.messages && self.by_name == other.by_name
    }
}

impl Eq for Recent {}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, send, user};
    use super::*;

    #[test]
    fn a_retry_is_recognised_among_the_last_thousand() {
        let commands: Vec<_> =
            (0..=RECENT_MESSAGES).map(|n| send("alice", &format!("c-{n}"), "hi")).collect();
        let state = given(&commands);
        let known = |n: usize| {
            let name = ClientMessageId::parse(&format!("c-{n}")).unwrap();
            state.recent.get(&user("alice"), &name).is_some()
        };
        assert_eq!(state.recent.len(), RECENT_MESSAGES);
        assert!(!known(0));
        assert!(known(1));
        assert!(known(RECENT_MESSAGES));
        assert!(state.recent.by_seq(1).is_none());
        assert!(state.recent.by_seq(2).is_some());
        let messages: Vec<Sent> = state.recent.clone().into();
        assert_eq!(Recent::from(messages), state.recent);
    }
}
