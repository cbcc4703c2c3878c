//! A conversation: its state, how events fold into it, and what it decides.
//!
//! State is numbers that only grow, and events carry absolute numbers: folding an event twice or
//! late changes nothing, and the log can still be folded after a message was erased from it.

mod add_member;
mod answer;
mod block;
mod change_role;
mod command;
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

pub use answer::{Answer, Refusal};
pub use command::{Action, Actor, Command, Scope};
pub use members::{DEPARTED_VERSIONS, MAX_GROUP_MEMBERS, Members, Membership};
pub use recent::{Content, RECENT_MESSAGES, Recent, Sent};
pub use set_timer::TIMER_SECONDS;
pub use title::{InvalidTitle, MAX_TITLE_CHARACTERS, Title};

use crate::{
    body::{Attachment, Body},
    event::{Event, EventData, Role},
    ids::{ConversationId, Kind, UserId},
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
    /// A backend service has posted an order; it stays so.
    pub has_order: bool,
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
                self.has_order |= sent.is_order();
                self.recent.record(&event.actor, sent, event.version, event.time);
            }
            EventData::MessageEdited(edited) => {
                self.recent.edit(edited.conversation_seq, &edited.body);
            }
            EventData::MessageDeleted(deleted) => {
                // The message may have been erased from the log: then this is all that tells of it.
                let seq = deleted.conversation_seq;
                self.last_seq = self.last_seq.max(seq);
                self.has_order |= deleted.has_order;
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

    /// The files that have to be looked up and put into the command before it is decided: those of a
    /// message that would be sent if they are there. A retry needs none.
    pub fn wants_attachments<'a>(&self, command: &'a Command) -> &'a [Attachment] {
        match &command.action {
            Action::SendMessage { body, .. }
                if !body.attachments().is_empty()
                    && matches!(self.decide(command), Err(Refusal::NoAttachment(_))) =>
            {
                body.attachments()
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
            | Action::Unblock => &[],
        }
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

    /// What of a body gets through: until two people have an order, the contact details that they
    /// write to each other are masked. `None` if it is all.
    fn masked(&self, command: &Command, body: &Body) -> Option<Body> {
        let applies = command.conversation_id.kind() == Kind::Direct
            && command.actor.scope == Scope::User
            && !self.has_order;
        if applies { command.masking.of(body) } else { None }
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
pub(crate) mod tests;
