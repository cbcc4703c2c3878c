//! What the tests of the use cases begin with, and those of the whole.

use uuid::Uuid;

use super::*;
use crate::{
    body::File, emoji::Emoji, ids::ClientMessageId, masking::Masking, timestamp::Timestamp,
};

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
        masking: Masking::default(),
        message: None,
        attachments: Vec::new(),
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

/// Of these files, which are there.
pub(crate) fn send_files(actor: &str, id: &str, text: Option<&str>, files: &[u128]) -> Command {
    let named = |id: &u128| Attachment { attachment_id: Uuid::from_u128(*id), file: None };
    let sent = command(
        actor,
        Action::SendMessage {
            client_message_id: ClientMessageId::parse(id).unwrap(),
            body: Body::Attachment {
                text: text.map(str::to_owned),
                attachments: files.iter().map(named).collect(),
            },
            reply_to: None,
        },
    );
    Command { attachments: files.iter().map(|id| kept(*id)).collect(), ..sent }
}

pub(crate) fn kept(id: u128) -> Attachment {
    let file = File {
        file_name: format!("{id}.png"),
        content_type: "image/png".to_owned(),
        size_bytes: 1_024,
    };
    Attachment { attachment_id: Uuid::from_u128(id), file: Some(file) }
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
