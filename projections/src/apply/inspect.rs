//! Whether a message of the log is an event that the views can take.

use parley_domain::{ConversationId, Event, EventData, Kind, Subject, UserId, event::DecodeError};
use parley_nats::{subjects::parse_event_subject, tail::LogMessage};

/// Why an event cannot be applied, now or later.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    #[error("its subject is not one of this shard, or not its own")]
    Subject,
    #[error("an event of its type does not belong to its subject")]
    Misplaced,
    #[error("it is about somebody who is not a member of the conversation, or not the account's")]
    Stranger,
    #[error("it carries a number that is zero or too large")]
    Number,
    #[error("PostgreSQL refuses it with SQLSTATE {code}")]
    Refused { code: String },
}

impl Poison {
    /// For logs: the error's own text may quote the message.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable(DecodeError::Malformed(_)) => "malformed",
            Self::Undecodable(DecodeError::UnknownType(_)) => "unknown type",
            Self::Subject => "wrong subject",
            Self::Misplaced => "wrong type",
            Self::Stranger => "not a member",
            Self::Number => "impossible number",
            Self::Refused { .. } => "refused by PostgreSQL",
        }
    }
}

pub(super) fn inspect(message: &LogMessage, shard: u16) -> Result<Event, Poison> {
    let (of_shard, id) = parse_event_subject(&message.subject).ok_or(Poison::Subject)?;
    let event = Event::from_json(&message.payload)?;
    if of_shard != shard || event.subject != id {
        return Err(Poison::Subject);
    }
    let numbers_fit = match &event.subject {
        Subject::Conversation(id) => in_conversation(&event, id)?,
        Subject::Account(id) if id.is_of(&event.actor) => match &event.data {
            EventData::Account(_) => true,
            EventData::MessageSent(_)
            | EventData::MessageEdited(_)
            | EventData::MessageDeleted(_)
            | EventData::ReactionAdded(_)
            | EventData::ReactionRemoved(_)
            | EventData::CursorDelivered(_)
            | EventData::CursorRead(_)
            | EventData::ConversationCreated(_)
            | EventData::MemberAdded(_)
            | EventData::MemberRemoved(_)
            | EventData::MemberLeft(_)
            | EventData::MemberRoleChanged(_)
            | EventData::ConversationRenamed(_)
            | EventData::ConversationTimerSet(_)
            | EventData::ConversationBlocked(_)
            | EventData::ConversationUnblocked(_) => {
                return Err(Poison::Misplaced);
            }
        },
        Subject::Account(_) => return Err(Poison::Stranger),
    };
    if numbers_fit && fits(event.version) { Ok(event) } else { Err(Poison::Number) }
}

/// Whether its numbers fit. Who is in a group is for its own log to say; a direct conversation's id
/// says it.
fn in_conversation(event: &Event, id: &ConversationId) -> Result<bool, Poison> {
    let is_direct = id.kind() == Kind::Direct;
    let may_be_member = |user: &UserId| !is_direct || id.is_direct_member(user);
    if !may_be_member(&event.actor) {
        return Err(Poison::Stranger);
    }
    match &event.data {
        EventData::MessageSent(sent) => {
            Ok(fits(sent.conversation_seq) && sent.reply_to.is_none_or(fits))
        }
        EventData::MessageEdited(edited) => Ok(fits(edited.conversation_seq)),
        EventData::MessageDeleted(deleted) => {
            if let Some(of) = &deleted.of {
                // It may become the message itself.
                if !may_be_member(&of.sender_id) {
                    return Err(Poison::Stranger);
                }
                if !fits(of.version) || !of.reply_to.is_none_or(fits) {
                    return Ok(false);
                }
            }
            Ok(fits(deleted.conversation_seq))
        }
        EventData::ReactionAdded(reaction) | EventData::ReactionRemoved(reaction) => {
            Ok(fits(reaction.conversation_seq))
        }
        EventData::CursorDelivered(moved) | EventData::CursorRead(moved) => {
            // It would make them a member.
            if !may_be_member(&moved.user_id) {
                return Err(Poison::Stranger);
            }
            // What readers of a channel have read is in their own accounts.
            if id.kind() == Kind::Channel {
                return Err(Poison::Misplaced);
            }
            Ok(fits(moved.through_seq))
        }
        EventData::ConversationTimerSet(set) => Ok(fits(set.seconds.saturating_add(1))),
        EventData::ConversationBlocked(_) | EventData::ConversationUnblocked(_) if is_direct => {
            Ok(true)
        }
        EventData::ConversationCreated(created) if !is_direct && created.kind == id.kind() => {
            Ok(true)
        }
        EventData::MemberAdded(added) if !is_direct => counts(added.last_seq, added.member_count),
        EventData::MemberRemoved(removed) if !is_direct => {
            counts(removed.last_seq, removed.member_count)
        }
        EventData::MemberLeft(left) if !is_direct => counts(left.last_seq, left.member_count),
        EventData::MemberRoleChanged(_) | EventData::ConversationRenamed(_) if !is_direct => {
            Ok(true)
        }
        EventData::ConversationCreated(_)
        | EventData::MemberAdded(_)
        | EventData::MemberRemoved(_)
        | EventData::MemberLeft(_)
        | EventData::MemberRoleChanged(_)
        | EventData::ConversationRenamed(_)
        | EventData::ConversationBlocked(_)
        | EventData::ConversationUnblocked(_)
        | EventData::Account(_) => Err(Poison::Misplaced),
    }
}

/// Either may be 0.
fn counts(last_seq: u64, member_count: u64) -> Result<bool, Poison> {
    Ok(fits(last_seq.saturating_add(1)) && fits(member_count.saturating_add(1)))
}

fn fits(number: u64) -> bool {
    number > 0 && i64::try_from(number).is_ok()
}
