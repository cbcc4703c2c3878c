//! Logs for tests, made by the domain itself.

use std::collections::BTreeMap;

use parley_domain::{
    Account, AccountId, Action, Actor, Body, ClientMessageId, Command, Conversation,
    ConversationId, DeviceId, Emoji, Event, EventData, Kind, Scope, Subject, Timestamp, UserId,
    account,
    body::{Attachment, File},
    conversation::Title,
    masking::Masking,
};
use parley_nats::{subjects::event_subject, tail::LogMessage};
use uuid::Uuid;

pub const SHARD: u16 = 3;
/// 2026-11-21T09:45:00Z.
pub const BEGINNING_MILLIS: i64 = 1_795_254_300_000;

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn direct(one: &str, other: &str) -> ConversationId {
    ConversationId::direct(&user(one), &user(other)).unwrap()
}

/// The nth of the groups or channels.
pub fn named(kind: Kind, n: u64) -> ConversationId {
    let uuid = uuid::Builder::from_unix_timestamp_millis(n, &[7; 10]).into_uuid();
    ConversationId::new(kind, uuid).unwrap()
}

pub fn account(name: &str) -> AccountId {
    AccountId::of(&user(name))
}

/// A file as it is looked up.
fn known(named: &Attachment) -> Attachment {
    let file = File {
        file_name: "Über uns.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        size_bytes: 1_024,
    };
    Attachment { file: Some(file), ..named.clone() }
}

/// A shard's log, and the states that it folds to. Event n happens in second n.
#[derive(Default)]
pub struct Log {
    pub messages: Vec<LogMessage>,
    pub states: BTreeMap<ConversationId, Conversation>,
    pub accounts: BTreeMap<AccountId, Account>,
    /// What was in the log before.
    before: u64,
}

impl Log {
    /// The end of a longer log.
    pub fn behind(before: u64) -> Self {
        Self { before, ..Self::default() }
    }

    /// Position of the last message.
    pub fn last(&self) -> u64 {
        self.messages.last().map_or(self.before, |message| message.position)
    }

    /// The messages behind a position.
    pub fn after(&self, position: u64) -> &[LogMessage] {
        let start = self.messages.partition_point(|message| message.position <= position);
        &self.messages[start..]
    }

    pub fn time_of(position: u64) -> Timestamp {
        Timestamp::from_unix_millis(BEGINNING_MILLIS + i64::try_from(position).unwrap() * 1_000)
    }

    /// Decides, folds and appends; what is refused or changes nothing leaves no trace.
    pub fn ask(&mut self, id: &ConversationId, actor: &str, action: Action) -> Option<Event> {
        self.ask_as(Scope::User, id, actor, action)
    }

    pub fn ask_as(
        &mut self,
        scope: Scope,
        id: &ConversationId,
        actor: &str,
        action: Action,
    ) -> Option<Event> {
        let position = self.last() + 1;
        let attachments = if let Action::SendMessage { body, .. } = &action {
            body.attachments().iter().map(known).collect()
        } else {
            Vec::new()
        };
        let command = Command {
            conversation_id: id.clone(),
            actor: Actor { user_id: user(actor), device_id: None, scope, is_discreet: false },
            time: Self::time_of(position),
            event_id: Uuid::from_u128(u128::from(position)),
            action,
            masking: Masking { emails: true, phones: true, links: true },
            message: None,
            attachments,
        };
        let state = self.states.entry(id.clone()).or_default();
        let event = state.decide(&command).ok().flatten()?;
        state.evolve(&event);
        let subject = event_subject(SHARD, id);
        self.append(&subject, &event.to_json().unwrap());
        Some(event)
    }

    /// As [`Self::ask`], of an account.
    pub fn ask_account(&mut self, name: &str, action: account::Action) -> Option<Event> {
        let position = self.last() + 1;
        let id = account(name);
        let command = account::Command {
            account_id: id.clone(),
            actor: Actor {
                user_id: user(name),
                device_id: None,
                scope: Scope::User,
                is_discreet: false,
            },
            time: Self::time_of(position),
            event_id: Uuid::from_u128(u128::from(position)),
            action,
        };
        let state = self.accounts.entry(id.clone()).or_default();
        let event = state.decide(&command).ok().flatten()?;
        state.evolve(&event);
        let subject = event_subject(SHARD, &id);
        self.append(&subject, &event.to_json().unwrap());
        Some(event)
    }

    pub fn link(&mut self, name: &str, device: &str) -> Option<Event> {
        let (device_id, platform) = (DeviceId::parse(device).unwrap(), "test".to_owned());
        let action = account::Action::RegisterDevice { device_id, platform, renews: None };
        self.ask_account(name, action)
    }

    pub fn unlink(&mut self, name: &str, device: &str) -> Option<Event> {
        let device_id = DeviceId::parse(device).unwrap();
        self.ask_account(name, account::Action::UnlinkDevice { device_id })
    }

    /// Any bytes, as a broken or hostile writer might.
    pub fn append(&mut self, subject: &str, payload: &[u8]) -> u64 {
        let position = self.last() + 1;
        let payload = payload.to_vec().into();
        self.messages.push(LogMessage { position, subject: subject.into(), payload });
        position
    }

    /// The conversationSeq.
    pub fn send(&mut self, from: &str, to: &str, text: &str) -> u64 {
        let id = direct(from, to);
        let name = format!("c-{}", self.last() + 1);
        let action = Action::SendMessage {
            client_message_id: ClientMessageId::parse(&name).unwrap(),
            body: Body::Text { text: text.to_owned() },
            reply_to: None,
        };
        self.ask(&id, from, action).unwrap();
        self.states[&id].last_seq
    }

    /// The conversationSeq of a message with these files.
    pub fn send_files(&mut self, from: &str, to: &str, ids: &[u128]) -> u64 {
        let id = direct(from, to);
        let name = format!("c-{}", self.last() + 1);
        let named = |id: &u128| Attachment { attachment_id: Uuid::from_u128(*id), file: None };
        let attachments = ids.iter().map(named).collect();
        let action = Action::SendMessage {
            client_message_id: ClientMessageId::parse(&name).unwrap(),
            body: Body::Attachment { text: None, attachments },
            reply_to: None,
        };
        self.ask(&id, from, action).unwrap();
        self.states[&id].last_seq
    }

    pub fn edit(&mut self, sender: &str, other: &str, conversation_seq: u64, text: &str) {
        let body = Body::Text { text: text.to_owned() };
        let action = Action::EditMessage { conversation_seq, body };
        self.ask(&direct(sender, other), sender, action).unwrap();
    }

    pub fn delete(&mut self, sender: &str, other: &str, conversation_seq: u64) {
        let action = Action::DeleteMessage { conversation_seq, reason: None };
        self.ask(&direct(sender, other), sender, action).unwrap();
    }

    pub fn react(&mut self, user: &str, other: &str, conversation_seq: u64, emoji: &str) {
        let emoji = Emoji::parse(emoji).unwrap();
        let action = Action::AddReaction { conversation_seq, emoji };
        self.ask(&direct(user, other), user, action).unwrap();
    }

    /// The log without what erasure takes: what deleted messages were sent and edited by.
    pub fn erased(&self) -> Self {
        let events = || {
            self.messages
                .iter()
                .filter_map(|message| Some((message, Event::from_json(&message.payload).ok()?)))
        };
        let deleted: Vec<(Subject, u64)> = events()
            .filter_map(|(_, event)| {
                let EventData::MessageDeleted(deleted) = event.data else { return None };
                Some((event.subject, deleted.conversation_seq))
            })
            .collect();
        let kept = events().filter(|(_, event)| {
            let said = event.data.body_of();
            said.is_none_or(|seq| !deleted.contains(&(event.subject.clone(), seq)))
        });
        let messages = kept.map(|(message, _)| message.clone()).collect();
        Self { messages, ..Self::behind(self.before) }
    }

    pub fn read(&mut self, reader: &str, other: &str, through_seq: u64) {
        self.ask(&direct(reader, other), reader, Action::MarkRead { through_seq }).unwrap();
    }

    pub fn deliver(&mut self, reader: &str, other: &str, through_seq: u64) {
        self.ask(&direct(reader, other), reader, Action::MarkDelivered { through_seq }).unwrap();
    }

    /// The conversationSeq, of a message to a group or channel; `None` if it was refused.
    pub fn say(&mut self, id: &ConversationId, from: &str, text: &str) -> Option<u64> {
        let name = format!("c-{}", self.last() + 1);
        let action = Action::SendMessage {
            client_message_id: ClientMessageId::parse(&name).unwrap(),
            body: Body::Text { text: text.to_owned() },
            reply_to: None,
        };
        self.ask(id, from, action)?;
        Some(self.states[id].last_seq)
    }

    pub fn create(&mut self, id: &ConversationId, owner: &str, members: &[&str]) {
        let members = members.iter().map(|name| user(name)).collect();
        let title = Title::parse("Market").unwrap();
        self.ask(id, owner, Action::Create { title, members }).unwrap();
    }

    pub fn add(&mut self, id: &ConversationId, actor: &str, name: &str) -> Option<Event> {
        self.ask(id, actor, Action::AddMember { user_id: user(name), role: None })
    }

    /// With oneself: leave.
    pub fn remove(&mut self, id: &ConversationId, actor: &str, name: &str) -> Option<Event> {
        self.ask(id, actor, Action::RemoveMember { user_id: user(name) })
    }
}
