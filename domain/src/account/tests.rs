//! What the tests of the use cases begin with, and those of the whole.

use super::*;
use crate::conversation::Scope;

pub(crate) const NOW: i64 = 1_795_254_300_123;

pub(crate) fn user(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

pub(crate) fn conversation(text: &str) -> ConversationId {
    ConversationId::parse(text).unwrap()
}

pub(crate) fn device(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(crate) fn command(actor: &str, action: Action) -> Command {
    Command {
        account_id: AccountId::parse("a.alice").unwrap(),
        actor: Actor {
            user_id: UserId::parse(actor).unwrap(),
            device_id: None,
            scope: Scope::User,
            is_discreet: false,
        },
        time: Timestamp::from_unix_millis(NOW),
        event_id: Uuid::from_u128(7),
        action,
    }
}

pub(crate) fn register(id: &str) -> Command {
    let platform = "web".to_owned();
    command("alice", Action::RegisterDevice { device_id: device(id), platform, renews: None })
}

pub(crate) fn unlink(id: &str) -> Command {
    command("alice", Action::UnlinkDevice { device_id: device(id) })
}

/// The state after these commands, all of which must be accepted.
pub(crate) fn given(commands: &[Command]) -> Account {
    let mut state = Account::default();
    for command in commands {
        if let Some(event) = state.decide(command).unwrap() {
            state.evolve(&event);
        }
    }
    state
}

#[test]
fn an_account_is_its_owners_only() {
    let mut theirs = register("dev_1");
    theirs.actor.user_id = UserId::parse("bob").unwrap();
    assert_eq!(Account::default().decide(&theirs), Err(Refusal::NotYours));
}

#[test]
fn what_is_no_event_of_an_account_changes_nothing() {
    let mut state = given(&[register("dev_1")]);
    let before = state.clone();
    let json = include_bytes!("../../tests/golden/cursor.read.json");
    state.evolve(&Event::from_json(json).unwrap());
    assert_eq!(state, before);
}
