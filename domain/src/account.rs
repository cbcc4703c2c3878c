//! A person's account: what is theirs alone and follows them to every device.
//!
//! Its log is seen by that person's devices only: the devices themselves, contacts, what they marked
//! on conversations, drafts, settings, and where to tell them when away. Each part is a field here,
//! bounded, with its use cases in files beside it.
//!
//! As in a conversation, an event that is folded twice or late changes nothing.

pub mod address;
mod archive;
mod contacts;
mod devices;
mod drafts;
mod endpoints;
mod marks;
mod mute;
mod pin;
mod read_channel;
mod register_device;
mod set_preferences;
pub mod settings;
mod unlink_device;
mod unsubscribe;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use address::{Address, ChannelKind};
pub use contacts::MAX_CONTACTS;
pub use devices::{Device, Devices, MAX_DEVICES};
pub use drafts::{Draft, Drafts, MAX_DRAFT_TIMES, MAX_DRAFTS};
pub use endpoints::{Endpoint, EndpointState, Endpoints, MAX_ENDPOINTS};
pub use marks::{MAX_MARKS, Mark, Marks, Mute};
pub use settings::{Settings, Visibility};

use address::InvalidAddress;
use settings::InvalidSettings;

use crate::{
    conversation::Actor,
    event::{AccountEvent, Event, EventData},
    ids::{ConversationId, DeviceId, UserId},
    subject::AccountId,
    timestamp::Timestamp,
};

/// Everything that a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Of the last event; 0 before the first.
    pub version: u64,
    pub devices: Devices,
    /// At most [`MAX_CONTACTS`].
    pub contacts: BTreeSet<UserId>,
    pub marks: Marks,
    pub drafts: Drafts,
    pub settings: Settings,
    pub endpoints: Endpoints,
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
    AddContact {
        user_id: UserId,
    },
    RemoveContact {
        user_id: UserId,
    },
    Mute {
        conversation_id: ConversationId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    Unmute {
        conversation_id: ConversationId,
    },
    Pin {
        conversation_id: ConversationId,
    },
    Unpin {
        conversation_id: ConversationId,
    },
    Archive {
        conversation_id: ConversationId,
        /// The last message that is there, which is the caller's to know.
        through_seq: u64,
    },
    Unarchive {
        conversation_id: ConversationId,
    },
    SaveDraft {
        conversation_id: ConversationId,
        text: String,
        /// By the device's clock; without it, now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved_at: Option<Timestamp>,
    },
    ClearDraft {
        conversation_id: ConversationId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved_at: Option<Timestamp>,
    },
    SetPreferences {
        settings: Settings,
    },
    /// Of one channel, in one conversation or in all.
    Unsubscribe {
        channel: ChannelKind,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<ConversationId>,
    },
    AddEndpoint {
        #[serde(flatten)]
        address: Address,
        /// The caller knows that it is theirs.
        verified: bool,
    },
    /// The caller has seen the proof.
    VerifyEndpoint {
        endpoint_id: Uuid,
    },
    RemoveEndpoint {
        endpoint_id: Uuid,
    },
    ReadChannel {
        conversation_id: ConversationId,
        through_seq: u64,
    },
}

impl Action {
    /// The conversation that it marks, if it marks one.
    fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Mute { conversation_id, .. }
            | Self::Unmute { conversation_id }
            | Self::Pin { conversation_id }
            | Self::Unpin { conversation_id }
            | Self::Archive { conversation_id, .. }
            | Self::Unarchive { conversation_id }
            | Self::SaveDraft { conversation_id, .. }
            | Self::ClearDraft { conversation_id, .. }
            | Self::ReadChannel { conversation_id, .. } => Some(conversation_id),
            Self::RegisterDevice { .. }
            | Self::UnlinkDevice { .. }
            | Self::AddContact { .. }
            | Self::RemoveContact { .. }
            | Self::SetPreferences { .. }
            | Self::Unsubscribe { .. }
            | Self::AddEndpoint { .. }
            | Self::VerifyEndpoint { .. }
            | Self::RemoveEndpoint { .. } => None,
        }
    }
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
    #[error("nobody is their own contact")]
    Oneself,
    #[error("there is no such conversation")]
    NotAMember,
    #[error("until is in the past")]
    MuteOver,
    #[error("a draft has 1 to {max} characters", max = crate::body::MAX_TEXT_CHARACTERS)]
    Draft,
    #[error("only how far a channel was read is noted here")]
    NotAChannel,
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error("there is no such endpoint")]
    NoEndpoint,
    #[error("an account has {MAX_CONTACTS} contacts at most; remove one first")]
    TooManyContacts,
    #[error("an account marks {MAX_MARKS} conversations at most; take a mark back first")]
    TooManyMarks,
    #[error("an account has {MAX_DRAFTS} drafts at most; send or clear one first")]
    TooManyDrafts,
    #[error("an account has {MAX_ENDPOINTS} notification endpoints at most; remove one first")]
    TooManyEndpoints,
}

/// What the caller of an accepted command is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// The device is linked since the event `registration`; `version` is the account's.
    Registered { version: u64, registration: u64 },
    /// It is done, now or before; `version` is the account's.
    Done { version: u64 },
    /// Where the account's owner is told when away, and whether that is verified.
    Endpoint { version: u64, endpoint_id: Uuid, state: EndpointState },
    /// How far a channel was read.
    Read { version: u64, through_seq: u64 },
}

impl Answer {
    /// The account's, with what was asked for.
    pub fn version(&self) -> u64 {
        match self {
            Self::Registered { version, .. }
            | Self::Done { version }
            | Self::Endpoint { version, .. }
            | Self::Read { version, .. } => *version,
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
            AccountEvent::ContactAdded(added) => {
                self.contacts.insert(added.user_id.clone());
            }
            AccountEvent::ContactRemoved(removed) => {
                self.contacts.remove(&removed.user_id);
            }
            AccountEvent::ConversationMuted(muted) => {
                let mute = Some(Mute::new(muted.until));
                self.marks.change(&muted.conversation_id, |mark| mark.muted = mute);
            }
            AccountEvent::ConversationUnmuted(marked) => {
                self.marks.change(&marked.conversation_id, |mark| mark.muted = None);
            }
            AccountEvent::ConversationPinned(marked) => {
                self.marks.change(&marked.conversation_id, |mark| mark.pinned = true);
            }
            AccountEvent::ConversationUnpinned(marked) => {
                self.marks.change(&marked.conversation_id, |mark| mark.pinned = false);
            }
            AccountEvent::ConversationArchived(archived) => {
                let through = Some(archived.through_seq);
                self.marks
                    .change(&archived.conversation_id, |mark| mark.archived_through = through);
            }
            AccountEvent::ConversationUnarchived(marked) => {
                self.marks.change(&marked.conversation_id, |mark| mark.archived_through = None);
            }
            AccountEvent::DraftSaved(saved) => self.drafts.save(saved, event.version),
            AccountEvent::DraftCleared(cleared) => self.drafts.clear(cleared, event.version),
            AccountEvent::PreferencesSet(settings) => self.settings = settings.clone(),
            AccountEvent::EndpointAdded(added) => self.endpoints.add(added, event.time),
            AccountEvent::EndpointRemoved(removed) => self.endpoints.remove(removed),
            AccountEvent::ChannelRead(read) => {
                let through = Some(read.through_seq);
                self.marks.change(&read.conversation_id, |mark| {
                    mark.read_through = mark.read_through.max(through);
                });
            }
        }
        self.version = event.version;
    }

    /// Decides a command: one event, none if it changes nothing, or a refusal.
    pub fn decide(&self, command: &Command) -> Result<Option<Event>, Refusal> {
        if !command.account_id.is_of(&command.actor.user_id) {
            return Err(Refusal::NotYours);
        }
        let owner = &command.actor.user_id;
        // Of a group or channel, its own log says who is a member: the caller has asked.
        if command
            .action
            .conversation()
            .is_some_and(|id| id.direct_names().is_some() && !id.is_direct_member(owner))
        {
            return Err(Refusal::NotAMember);
        }
        let now = command.time;
        let data = match &command.action {
            Action::RegisterDevice { device_id, platform, renews } => {
                self.register_device(device_id, platform, *renews)?
            }
            Action::UnlinkDevice { device_id } => self.unlink_device(device_id)?,
            Action::AddContact { user_id } => self.add_contact(owner, user_id)?,
            Action::RemoveContact { user_id } => self.remove_contact(user_id),
            Action::Mute { conversation_id, until } => self.mute(conversation_id, *until, now)?,
            Action::Unmute { conversation_id } => self.unmute(conversation_id),
            Action::Pin { conversation_id } => self.pin(conversation_id)?,
            Action::Unpin { conversation_id } => self.unpin(conversation_id),
            Action::Archive { conversation_id, through_seq } => {
                self.archive(conversation_id, *through_seq)?
            }
            Action::Unarchive { conversation_id } => self.unarchive(conversation_id),
            Action::SaveDraft { conversation_id, text, saved_at } => {
                self.save_draft(conversation_id, text, *saved_at, now)?
            }
            Action::ClearDraft { conversation_id, saved_at } => {
                self.clear_draft(conversation_id, *saved_at, now)
            }
            Action::SetPreferences { settings } => self.set_preferences(settings)?,
            Action::Unsubscribe { channel, conversation_id } => {
                self.unsubscribe(*channel, conversation_id.as_ref())
            }
            Action::AddEndpoint { address, verified } => {
                self.add_endpoint(command.event_id, address, *verified)?
            }
            Action::VerifyEndpoint { endpoint_id } => self.verify_endpoint(*endpoint_id)?,
            Action::RemoveEndpoint { endpoint_id } => self.remove_endpoint(*endpoint_id)?,
            Action::ReadChannel { conversation_id, through_seq } => {
                self.read_channel(conversation_id, *through_seq)?
            }
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
            Action::AddEndpoint { address, .. } => {
                let (endpoint_id, endpoint) = self.endpoints.at(address)?;
                Some(Answer::Endpoint { version, endpoint_id, state: endpoint.state })
            }
            Action::VerifyEndpoint { endpoint_id } => {
                let state = self.endpoints.get(*endpoint_id)?.state;
                Some(Answer::Endpoint { version, endpoint_id: *endpoint_id, state })
            }
            Action::ReadChannel { conversation_id, .. } => {
                let through_seq = self.marks.of(conversation_id).read_through.unwrap_or_default();
                Some(Answer::Read { version, through_seq })
            }
            Action::UnlinkDevice { .. }
            | Action::AddContact { .. }
            | Action::RemoveContact { .. }
            | Action::Mute { .. }
            | Action::Unmute { .. }
            | Action::Pin { .. }
            | Action::Unpin { .. }
            | Action::Archive { .. }
            | Action::Unarchive { .. }
            | Action::SaveDraft { .. }
            | Action::ClearDraft { .. }
            | Action::SetPreferences { .. }
            | Action::Unsubscribe { .. }
            | Action::RemoveEndpoint { .. } => Some(Answer::Done { version }),
        }
    }

    /// About how much memory this state takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.devices.size_bytes()
            + self.contacts.len() * (size_of::<UserId>() + 96)
            + self.marks.size_bytes()
            + self.drafts.size_bytes()
            + self.settings.size_bytes()
            + self.endpoints.size_bytes()
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
pub(crate) mod tests;
