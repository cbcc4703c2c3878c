//! A conversation: its state, how events fold into it, and what it decides.
//!
//! State is numbers that only grow, and events carry absolute numbers: folding an event twice or
//! late changes nothing, and the log can still be folded after a message was erased from it.

mod add_member;
mod block;
mod change_role;
mod create;
mod cursor;
mod delete;
mod edit;
mod expire;
mod members;
mod react;
mod recent;
mod remove_member;
mod rename;
mod send;
mod set_timer;
mod title;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use members::{DEPARTED_VERSIONS, MAX_GROUP_MEMBERS, Members, Membership};
pub use recent::{Content, RECENT_MESSAGES, Recent, Sent};
pub use set_timer::TIMER_SECONDS;
pub use title::{InvalidTitle, MAX_TITLE_CHARACTERS, Title};

use crate::{
    body::Body,
    emoji::Emoji,
    event::{Event, EventData, Role},
    ids::{ClientMessageId, ConversationId, DeviceId, Kind, UserId},
    timestamp::Timestamp,
};

/// How far one person has come; `read <= delivered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    pub read: u64,
    pub delivered: u64,
}

/// Everything that a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conversation {
    /// Of the last event; 0 before the first.
    pub version: u64,
    /// conversationSeq of the last message; 0 before the first.
    pub last_seq: u64,
    /// People without an entry are at zero. Of a group, only its members; of a channel, nobody: how
    /// far its readers have come is in their own accounts.
    pub cursors: BTreeMap<UserId, Cursor>,
    pub recent: Recent,
    /// Of a group or channel.
    pub members: Members,
    pub title: Option<String>,
    /// Of a direct conversation: who blocks the other.
    pub blocked_by: BTreeSet<UserId>,
    /// 0: messages do not expire.
    pub timer_seconds: u64,
}

/// What may be asked of a conversation, with everything that is not its own to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub conversation_id: ConversationId,
    pub actor: Actor,
    pub time: Timestamp,
    /// UUIDv7 for the event, should there be one; also the id of the message it sends.
    pub event_id: Uuid,
    pub action: Action,
    /// The message that the action is about, if [`Conversation::wants`] it: as it is now.
    pub message: Option<Box<Sent>>,
}

/// Whose act it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    pub scope: Scope,
    /// Does not want others to learn how far they have read in direct conversations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_discreet: bool,
}

/// On whose behalf the caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// A person, for themselves.
    User,
    /// A backend service of the marketplace, for a person.
    Service,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    SendMessage {
        client_message_id: ClientMessageId,
        /// Already [`Body::validated`].
        body: Body,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
    },
    MarkDelivered {
        through_seq: u64,
    },
    MarkRead {
        through_seq: u64,
    },
    EditMessage {
        conversation_seq: u64,
        /// Already [`Body::validated`].
        body: Body,
    },
    /// For everyone.
    DeleteMessage {
        conversation_seq: u64,
        /// Backend services only: with it, any message at any time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its time is over; the actor is its sender. Nobody outside asks for it.
    ExpireMessage {
        conversation_seq: u64,
    },
    AddReaction {
        conversation_seq: u64,
        emoji: Emoji,
    },
    RemoveReaction {
        conversation_seq: u64,
        emoji: Emoji,
    },
    /// Of a group or channel, as its id says.
    Create {
        title: Title,
        /// Besides the actor, who owns it.
        members: Vec<UserId>,
    },
    /// Of somebody who is in it already, it changes the role, if one is given.
    AddMember {
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
    },
    /// Oneself: leave.
    RemoveMember {
        user_id: UserId,
    },
    ChangeRole {
        user_id: UserId,
        role: Role,
    },
    Rename {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Title>,
    },
    SetTimer {
        seconds: u64,
    },
    Block,
    Unblock,
}

impl Action {
    /// The number of the message that it is about.
    fn message(&self) -> Option<u64> {
        match self {
            Self::SendMessage { .. }
            | Self::MarkDelivered { .. }
            | Self::MarkRead { .. }
            | Self::Create { .. }
            | Self::AddMember { .. }
            | Self::RemoveMember { .. }
            | Self::ChangeRole { .. }
            | Self::Rename { .. }
            | Self::SetTimer { .. }
            | Self::Block
            | Self::Unblock => None,
            Self::EditMessage { conversation_seq, .. }
            | Self::DeleteMessage { conversation_seq, .. }
            | Self::ExpireMessage { conversation_seq }
            | Self::AddReaction { conversation_seq, .. }
            | Self::RemoveReaction { conversation_seq, .. } => Some(*conversation_seq),
        }
    }
}

/// Why a conversation says no. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no such conversation")]
    NotFound,
    #[error("only a backend service may send this kind of message")]
    ServicesOnly,
    #[error("the clientMessageId {0} already names a message with another body")]
    ClientMessageIdReused(ClientMessageId),
    #[error("replyTo names no message; the last one is {last_seq}")]
    ReplyBeyondLast { last_seq: u64 },
    #[error("the last message is {last_seq}")]
    CursorBeyondLast { last_seq: u64 },
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("one of the two blocks the other")]
    Blocked,
    #[error("{0} is not a member")]
    NotMember(UserId),
    #[error("a group has {MAX_GROUP_MEMBERS} members at most")]
    GroupFull,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("there is no such message")]
    NoMessage,
    #[error("only its sender may do that to a message")]
    NotSender,
    #[error("that may be done for {hours} hours after a message was sent")]
    TooLate { hours: u64 },
    #[error("the message is deleted")]
    Deleted,
    #[error("the message has not expired")]
    NotExpired,
    #[error("a reason is a backend service's to give: 1 to {max} characters, and not \"{expired}\"", max = delete::MAX_REASON_CHARACTERS, expired = delete::EXPIRED)]
    Reason,
    #[error("a message carries {emoji} different emoji and {all} reactions at most", emoji = react::MAX_EMOJI, all = react::MAX_REACTIONS)]
    TooManyReactions,
}

/// What the caller of an accepted command is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    Sent {
        client_message_id: ClientMessageId,
        message_id: Uuid,
        conversation_seq: u64,
        version: u64,
        /// The message was there already: these are its first numbers.
        duplicate: bool,
    },
    /// Where the caller's cursors are now; `version` is the conversation's.
    Cursor { version: u64, read_seq: u64, delivered_seq: u64 },
    /// It is done, now (`changed`) or before; `version` is the conversation's.
    Done { version: u64, changed: bool },
}

impl Answer {
    /// Of the conversation, with what was asked for.
    pub fn version(&self) -> u64 {
        match self {
            Self::Sent { version, .. }
            | Self::Cursor { version, .. }
            | Self::Done { version, .. } => *version,
        }
    }
}

impl Conversation {
    /// Folds one event. Total: an event that is known, late or out of place changes nothing.
    pub fn evolve(&mut self, event: &Event) {
        let Some(id) = event.subject.conversation() else { return };
        // Versions come in order, so what is not newer has been folded.
        if event.version <= self.version {
            return;
        }
        let keeps_cursors = id.kind() != Kind::Channel;
        match &event.data {
            EventData::MessageSent(sent) => {
                self.last_seq = self.last_seq.max(sent.conversation_seq);
                if keeps_cursors {
                    self.raise(&event.actor, sent.conversation_seq, sent.conversation_seq);
                }
                self.recent.record(&event.actor, sent, event.version, event.time);
            }
            EventData::MessageEdited(edited) => {
                self.recent.edit(edited.conversation_seq, &edited.body);
            }
            EventData::MessageDeleted(deleted) => {
                // The message may have been erased from the log: then this is all that tells of it.
                let seq = deleted.conversation_seq;
                self.last_seq = self.last_seq.max(seq);
                // Who has left has no cursors any more.
                if let Some(of) = &deleted.of
                    && keeps_cursors
                    && self.is_member(id, &of.sender_id)
                {
                    self.raise(&of.sender_id, seq, seq);
                }
                self.recent.delete(deleted);
            }
            EventData::ReactionAdded(reaction) => self.recent.react(&event.actor, reaction),
            EventData::ReactionRemoved(reaction) => self.recent.take_back(&event.actor, reaction),
            EventData::CursorDelivered(moved) => self.raise(&moved.user_id, 0, moved.through_seq),
            EventData::CursorRead(moved) => {
                self.raise(&moved.user_id, moved.through_seq, moved.through_seq);
            }
            EventData::ConversationCreated(created) => {
                self.title.clone_from(&created.title);
                for member in &created.members {
                    self.members.add(&member.user_id, member.role, event.version);
                }
            }
            EventData::MemberAdded(added) => {
                self.last_seq = self.last_seq.max(added.last_seq);
                self.members.add(&added.user_id, added.role, event.version);
                if keeps_cursors && added.last_seq > 0 {
                    self.raise(&added.user_id, added.last_seq, added.last_seq);
                }
            }
            EventData::MemberRemoved(removed) => {
                self.last_seq = self.last_seq.max(removed.last_seq);
                self.depart(&removed.user_id, event.version);
            }
            EventData::MemberLeft(left) => {
                self.last_seq = self.last_seq.max(left.last_seq);
                self.depart(&left.user_id, event.version);
                if let Some(heir) = &left.new_owner_id {
                    self.members.set_role(heir, Role::Owner);
                }
            }
            EventData::MemberRoleChanged(changed) => {
                if changed.role == Role::Owner {
                    self.members.set_role(&event.actor, Role::Admin);
                }
                self.members.set_role(&changed.user_id, changed.role);
            }
            EventData::ConversationRenamed(renamed) => self.title.clone_from(&renamed.title),
            EventData::ConversationTimerSet(set) => self.timer_seconds = set.seconds,
            EventData::ConversationBlocked(_) => {
                self.blocked_by.insert(event.actor.clone());
            }
            EventData::ConversationUnblocked(_) => {
                self.blocked_by.remove(&event.actor);
            }
            // Not of a conversation.
            EventData::Account(_) => return,
        }
        self.version = event.version;
        self.members.forget(self.version);
    }

    /// Decides a command: one event, none if it changes nothing, or a refusal.
    pub fn decide(&self, command: &Command) -> Result<Option<Event>, Refusal> {
        let is_member = self.is_member(&command.conversation_id, &command.actor.user_id);
        let data = match &command.action {
            Action::Create { title, members } => self.create(command, title, members)?,
            // Its sender may have left.
            Action::ExpireMessage { conversation_seq } => {
                self.expire(command, *conversation_seq)?
            }
            asked if !is_member => self.asked_by_stranger(command, asked)?,
            Action::SendMessage { client_message_id, body, reply_to } => {
                self.send(command, client_message_id, body, *reply_to)?
            }
            Action::MarkDelivered { through_seq } => self.mark_delivered(command, *through_seq)?,
            Action::MarkRead { through_seq } => self.mark_read(command, *through_seq)?,
            Action::AddMember { user_id, role } => self.add_member(command, user_id, *role)?,
            Action::RemoveMember { user_id } => self.remove_member(command, user_id)?,
            Action::ChangeRole { user_id, role } => self.change_role(command, user_id, *role)?,
            Action::Rename { title } => self.rename(command, title.as_ref())?,
            Action::SetTimer { seconds } => self.set_timer(command, *seconds)?,
            Action::Block => self.block(command, true)?,
            Action::Unblock => self.block(command, false)?,
            Action::EditMessage { conversation_seq, body } => {
                self.edit(command, *conversation_seq, body)?
            }
            Action::DeleteMessage { conversation_seq, reason } => {
                self.delete(command, *conversation_seq, reason.as_deref())?
            }
            Action::AddReaction { conversation_seq, emoji } => {
                self.react(command, *conversation_seq, emoji)?
            }
            Action::RemoveReaction { conversation_seq, emoji } => {
                self.take_back(command, *conversation_seq, emoji)?
            }
        };
        Ok(data.map(|data| Event {
            id: command.event_id,
            subject: command.conversation_id.clone().into(),
            time: command.time,
            version: self.version.saturating_add(1),
            actor: command.actor.user_id.clone(),
            device: command.actor.device_id.clone(),
            data,
        }))
    }

    /// What somebody may ask who is not a member: to join a channel, and to leave what they have
    /// left. For everything else there is no such conversation.
    fn asked_by_stranger(
        &self,
        command: &Command,
        action: &Action,
    ) -> Result<Option<EventData>, Refusal> {
        let actor = &command.actor.user_id;
        let is_open = command.conversation_id.kind() == Kind::Channel && !self.members.is_empty();
        match action {
            Action::AddMember { user_id, role: None | Some(Role::Member) }
                if is_open && user_id == actor =>
            {
                self.subscribe(command)
            }
            Action::RemoveMember { user_id }
                if user_id == actor && self.members.departed(actor).is_some() =>
            {
                Ok(None)
            }
            Action::SendMessage { .. }
            | Action::EditMessage { .. }
            | Action::DeleteMessage { .. }
            | Action::ExpireMessage { .. }
            | Action::AddReaction { .. }
            | Action::RemoveReaction { .. }
            | Action::MarkDelivered { .. }
            | Action::MarkRead { .. }
            | Action::Create { .. }
            | Action::AddMember { .. }
            | Action::RemoveMember { .. }
            | Action::ChangeRole { .. }
            | Action::Rename { .. }
            | Action::SetTimer { .. }
            | Action::Block
            | Action::Unblock => Err(Refusal::NotFound),
        }
    }

    /// What to tell the caller of `command`, asked of the state *after* its event was folded.
    /// `changed` says whether there was an event.
    pub fn answer(&self, command: &Command, changed: bool) -> Option<Answer> {
        let actor = &command.actor.user_id;
        match &command.action {
            Action::SendMessage { client_message_id, .. } => {
                let sent = self.recent.get(actor, client_message_id)?;
                Some(Answer::Sent {
                    client_message_id: client_message_id.clone(),
                    message_id: sent.message_id,
                    conversation_seq: sent.conversation_seq,
                    version: sent.version,
                    duplicate: !changed,
                })
            }
            Action::MarkDelivered { through_seq } => {
                let cursor = self.cursor(actor);
                // Of a channel nothing is known here, so what was asked for is said.
                let delivered_seq = cursor.delivered.max(*through_seq);
                Some(Answer::Cursor { version: self.version, read_seq: cursor.read, delivered_seq })
            }
            Action::MarkRead { through_seq } => {
                let cursor = self.cursor(actor);
                let read_seq = cursor.read.max(*through_seq);
                let delivered_seq = cursor.delivered.max(read_seq);
                Some(Answer::Cursor { version: self.version, read_seq, delivered_seq })
            }
            Action::Create { .. }
            | Action::AddMember { .. }
            | Action::RemoveMember { .. }
            | Action::ChangeRole { .. }
            | Action::Rename { .. }
            | Action::SetTimer { .. }
            | Action::Block
            | Action::Unblock => {
                // Who has left learns of nothing that came later.
                let left = self.members.departed(actor);
                Some(Answer::Done { version: left.unwrap_or(self.version), changed })
            }
            Action::EditMessage { .. }
            | Action::DeleteMessage { .. }
            | Action::ExpireMessage { .. }
            | Action::AddReaction { .. }
            | Action::RemoveReaction { .. } => {
                Some(Answer::Done { version: self.version, changed })
            }
        }
    }

    /// The message that has to be looked up and put into the command before it is decided: one that
    /// is older than those that the state holds.
    pub fn wants(&self, action: &Action) -> Option<u64> {
        let seq = action.message()?;
        let exists = (1..=self.last_seq).contains(&seq);
        (exists && self.recent.by_seq(seq).is_none()).then_some(seq)
    }

    pub fn cursor(&self, user: &UserId) -> Cursor {
        self.cursors.get(user).copied().unwrap_or_default()
    }

    /// About how much memory this state takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.cursors.len() * 64
            + self.recent.size_bytes()
            + self.members.size_bytes()
            + self.title.as_ref().map_or(0, String::capacity)
            + self.blocked_by.len() * 32
    }

    /// Whether this person is in it now; `id` is this conversation's.
    pub fn is_member(&self, id: &ConversationId, user: &UserId) -> bool {
        match id.kind() {
            Kind::Direct => id.is_direct_member(user),
            Kind::Group | Kind::Channel => self.members.contains(user),
        }
    }

    /// The role of the actor, a member, of a group or channel; a member that does not lead is refused.
    fn leading(&self, command: &Command) -> Result<Role, Refusal> {
        self.not_direct(command)?;
        let role = self.members.role(&command.actor.user_id).filter(|role| role.leads());
        role.ok_or(Refusal::Forbidden("only the owner and the admins may do this"))
    }

    fn not_direct(&self, command: &Command) -> Result<(), Refusal> {
        match command.conversation_id.kind() {
            Kind::Direct => {
                Err(Refusal::Forbidden("a direct conversation has its two people and no title"))
            }
            Kind::Group | Kind::Channel => Ok(()),
        }
    }

    fn member_count(&self) -> u64 {
        self.members.len() as u64
    }

    fn depart(&mut self, user: &UserId, version: u64) {
        self.members.remove(user, version);
        self.cursors.remove(user);
    }

    /// The message that a command is about, if the actor may see it: their own, and those since they
    /// became a member.
    fn message<'a>(&'a self, command: &'a Command, seq: u64) -> Result<&'a Sent, Refusal> {
        let looked_up = || command.message.as_deref().filter(|sent| sent.conversation_seq == seq);
        let sent = self.recent.by_seq(seq).or_else(looked_up).ok_or(Refusal::NoMessage)?;
        let actor = &command.actor.user_id;
        let since = self.members.get(actor).map_or(0, |membership| membership.since);
        if sent.sender_id == *actor || sent.version > since {
            Ok(sent)
        } else {
            Err(Refusal::NoMessage)
        }
    }

    /// Nobody talks to somebody they block, or who blocks them.
    fn not_blocked(&self) -> Result<(), Refusal> {
        if self.blocked_by.is_empty() { Ok(()) } else { Err(Refusal::Blocked) }
    }

    fn raise(&mut self, user: &UserId, read: u64, delivered: u64) {
        let cursor = self.cursors.entry(user.clone()).or_default();
        cursor.read = cursor.read.max(read);
        cursor.delivered = cursor.delivered.max(delivered).max(cursor.read);
    }
}

/// The thin adapter to the frame that the event store is written for.
impl cqrs_es::Aggregate for Conversation {
    const TYPE: &'static str = "conversation";
    type Command = Command;
    type Event = Event;
    type Error = Refusal;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &cqrs_es::event_sink::EventSink<Self>,
    ) -> Result<(), Refusal> {
        if let Some(event) = self.decide(&command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.evolve(&event);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn user(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    pub(crate) fn command(actor: &str, action: Action) -> Command {
        Command {
            conversation_id: ConversationId::parse("d.alice.bob").unwrap(),
            actor: Actor {
                user_id: user(actor),
                device_id: None,
                scope: Scope::User,
                is_discreet: false,
            },
            time: Timestamp::from_unix_millis(1_795_254_300_123),
            event_id: Uuid::from_u128(7),
            action,
            message: None,
        }
    }

    pub(crate) fn send(actor: &str, id: &str, text: &str) -> Command {
        command(
            actor,
            Action::SendMessage {
                client_message_id: ClientMessageId::parse(id).unwrap(),
                body: Body::Text { text: text.to_owned() },
                reply_to: None,
            },
        )
    }

    pub(crate) const GROUP: &str = "g.0193e5a0-7b1c-7def-8123-456789abcdef";
    pub(crate) const CHANNEL: &str = "c.0193e5a0-7b1c-7def-8123-456789abcdef";

    /// The same command to another conversation.
    pub(crate) fn inside(id: &str, command: Command) -> Command {
        Command { conversation_id: ConversationId::parse(id).unwrap(), ..command }
    }

    pub(crate) fn create(id: &str, owner: &str, members: &[&str]) -> Command {
        let members = members.iter().map(|name| user(name)).collect();
        let title = Title::parse("Market").unwrap();
        inside(id, command(owner, Action::Create { title, members }))
    }

    pub(crate) fn add(id: &str, actor: &str, name: &str, role: Option<Role>) -> Command {
        inside(id, command(actor, Action::AddMember { user_id: user(name), role }))
    }

    /// olga owns it, adam is an admin, mia a member.
    pub(crate) fn group() -> Conversation {
        given(&[create(GROUP, "olga", &["mia"]), add(GROUP, "olga", "adam", Some(Role::Admin))])
    }

    pub(crate) fn edit(actor: &str, conversation_seq: u64, text: &str) -> Command {
        let body = Body::Text { text: text.to_owned() };
        command(actor, Action::EditMessage { conversation_seq, body })
    }

    pub(crate) fn delete(actor: &str, conversation_seq: u64) -> Command {
        command(actor, Action::DeleteMessage { conversation_seq, reason: None })
    }

    pub(crate) fn react(actor: &str, conversation_seq: u64, emoji: &str) -> Command {
        let emoji = Emoji::parse(emoji).unwrap();
        command(actor, Action::AddReaction { conversation_seq, emoji })
    }

    /// The same, asked later.
    pub(crate) fn later(hours: i64, millis: i64, command: Command) -> Command {
        let millis = command.time.unix_millis() + hours * 60 * 60 * 1_000 + millis;
        Command { time: Timestamp::from_unix_millis(millis), ..command }
    }

    /// The state after these commands, all of which must be accepted.
    pub(crate) fn given(commands: &[Command]) -> Conversation {
        let mut state = Conversation::default();
        for command in commands {
            if let Some(event) = state.decide(command).unwrap() {
                state.evolve(&event);
            }
        }
        state
    }

    #[test]
    fn an_old_message_is_looked_up_first() {
        let commands: Vec<_> =
            (0..=RECENT_MESSAGES).map(|n| send("alice", &format!("c-{n}"), "hi")).collect();
        let state = given(&commands);
        let mut asked = edit("alice", 1, "ho");
        assert_eq!(state.wants(&asked.action), Some(1));
        assert_eq!(state.wants(&edit("alice", 2, "ho").action), None);
        assert_eq!(state.wants(&edit("alice", 2_000, "ho").action), None);
        assert_eq!(state.decide(&asked), Err(Refusal::NoMessage));
        let first = given(&commands[..1]).recent.by_seq(1).cloned();
        asked.message = first.map(Box::new);
        assert!(matches!(state.decide(&asked), Ok(Some(_))));
    }

    #[test]
    fn a_stranger_finds_no_conversation() {
        let state = given(&[send("alice", "c-1", "hi")]);
        assert_eq!(state.decide(&send("eve", "c-1", "hi")), Err(Refusal::NotFound));
        assert_eq!(
            state.decide(&command("eve", Action::MarkRead { through_seq: 1 })),
            Err(Refusal::NotFound)
        );
        let mut group = send("alice", "c-1", "hi");
        group.conversation_id =
            ConversationId::parse("g.0193e5a0-7b1c-7def-8123-456789abcdef").unwrap();
        assert_eq!(Conversation::default().decide(&group), Err(Refusal::NotFound));
    }
}
