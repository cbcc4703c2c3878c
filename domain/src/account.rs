//! A person's account: what is theirs alone and follows them to every device.
//!
//! Its log is seen by that person's devices only. So far it holds the devices themselves; each
//! further part is a folder of use cases beside them, and a field here.
//!
//! As in a conversation, an event that is folded twice or late changes nothing.

mod devices;
mod register_device;
mod unlink_device;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use devices::{Device, Devices, MAX_DEVICES};

use crate::{
    conversation::Actor,
    event::{AccountEvent, Event, EventData},
    ids::DeviceId,
    subject::AccountId,
    timestamp::Timestamp,
};

/// Everything that a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Of the last event; 0 before the first.
    pub version: u64,
    pub devices: Devices,
}

/// What may be asked of an account, with everything that is not its own to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub account_id: AccountId,
    pub actor: Actor,
    pub time: Timestamp,
    /// UUIDv7 for the event, should there be one.
    pub event_id: Uuid,
    pub action: Action,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    RegisterDevice {
        device_id: DeviceId,
        platform: String,
        /// The [`Device`] registration that the caller's session began with, if it asks by its
        /// session: a session goes on only while that one stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        renews: Option<u64>,
    },
    UnlinkDevice {
        device_id: DeviceId,
    },
}

/// Why an account says no. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the account is another person's")]
    NotYours,
    #[error("there is no such device")]
    NoDevice,
    #[error("the device was unlinked")]
    Unlinked,
    #[error("an account has {MAX_DEVICES} devices at most; unlink one first")]
    TooManyDevices,
    #[error("a platform has 1 to {max} characters, none of them a control character", max = register_device::MAX_PLATFORM_CHARACTERS)]
    Platform,
}

/// What the caller of an accepted command is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// The device is linked since the event `registration`; `version` is the account's.
    Registered { version: u64, registration: u64 },
    /// It is done, now or before; `version` is the account's.
    Done { version: u64 },
}

impl Answer {
    /// The account's, with what was asked for.
    pub fn version(&self) -> u64 {
        match self {
            Self::Registered { version, .. } | Self::Done { version } => *version,
        }
    }
}

impl Account {
    /// Folds one event. Total: an event that is known, late or out of place changes nothing.
    pub fn evolve(&mut self, event: &Event) {
        let EventData::Account(data) = &event.data else { return };
        // Versions are gapless and come in order, so what is not newer has been folded.
        if event.version <= self.version {
            return;
        }
        match data {
            AccountEvent::DeviceRegistered(registered) => {
                self.devices.register(registered, event.version, event.time);
            }
            AccountEvent::DeviceUnlinked(unlinked) => {
                self.devices.unlink(&unlinked.device_id, event.version);
            }
        }
        self.version = event.version;
    }

    /// Decides a command: one event, none if it changes nothing, or a refusal.
    pub fn decide(&self, command: &Command) -> Result<Option<Event>, Refusal> {
        if !command.account_id.is_of(&command.actor.user_id) {
            return Err(Refusal::NotYours);
        }
        let data = match &command.action {
            Action::RegisterDevice { device_id, platform, renews } => {
                self.register_device(device_id, platform, *renews)?
            }
            Action::UnlinkDevice { device_id } => self.unlink_device(device_id)?,
        };
        Ok(data.map(|data| Event {
            id: command.event_id,
            subject: command.account_id.clone().into(),
            time: command.time,
            version: self.version.saturating_add(1),
            actor: command.actor.user_id.clone(),
            device: command.actor.device_id.clone(),
            data: EventData::Account(data),
        }))
    }

    /// What to tell the caller of `command`, asked of the state *after* its event was folded.
    pub fn answer(&self, command: &Command) -> Option<Answer> {
        let version = self.version;
        match &command.action {
            Action::RegisterDevice { device_id, .. } => {
                let registration = self.devices.linked(device_id)?.registration;
                Some(Answer::Registered { version, registration })
            }
            Action::UnlinkDevice { .. } => Some(Answer::Done { version }),
        }
    }

    /// About how much memory this state takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.devices.size_bytes()
    }
}

/// The thin adapter to the frame that the event store is written for.
impl cqrs_es::Aggregate for Account {
    const TYPE: &'static str = "account";
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
    use crate::{conversation::Scope, ids::UserId};

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
            },
            time: Timestamp::from_unix_millis(1_795_254_300_123),
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
        let json = include_bytes!("../tests/golden/cursor.read.json");
        state.evolve(&Event::from_json(json).unwrap());
        assert_eq!(state, before);
    }
}
