//! The verbs of an account: whose it is, the `Dm-Actor` header says.

use parley_domain::{
    ConversationId, DeviceId,
    account::{Action, Answer, Settings},
};
use serde::Deserialize;
use smol_str::SmolStr;

use super::json;
use crate::{
    api::{
        AddEndpoint, ClearDraft, Done, EndpointAnswer, Mute, NamedContact, NamedEndpoint,
        RegisterDevice, SaveDraft, UnlinkDevice,
    },
    problem::Problem,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AccountVerb {
    DeviceRegister,
    DeviceUnlink,
    ContactAdd,
    ContactRemove,
    ConversationMute,
    ConversationUnmute,
    ConversationPin,
    ConversationUnpin,
    ConversationArchive,
    ConversationUnarchive,
    DraftSave,
    DraftClear,
    PreferencesSet,
    EndpointAdd,
    EndpointVerify,
    EndpointRemove,
}

/// The conversation that HTTP has in its path.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marked {
    conversation_id: SmolStr,
}

/// HTTP looks the last message up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Archive {
    through_seq: u64,
}

/// What a service may say of an endpoint that it adds: it has its own ways to know.
#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    verified: bool,
}

impl AccountVerb {
    pub const ALL: [Self; 16] = [
        Self::DeviceRegister,
        Self::DeviceUnlink,
        Self::ContactAdd,
        Self::ContactRemove,
        Self::ConversationMute,
        Self::ConversationUnmute,
        Self::ConversationPin,
        Self::ConversationUnpin,
        Self::ConversationArchive,
        Self::ConversationUnarchive,
        Self::DraftSave,
        Self::DraftClear,
        Self::PreferencesSet,
        Self::EndpointAdd,
        Self::EndpointVerify,
        Self::EndpointRemove,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeviceRegister => "device.register",
            Self::DeviceUnlink => "device.unlink",
            Self::ContactAdd => "contact.add",
            Self::ContactRemove => "contact.remove",
            Self::ConversationMute => "conversation.mute",
            Self::ConversationUnmute => "conversation.unmute",
            Self::ConversationPin => "conversation.pin",
            Self::ConversationUnpin => "conversation.unpin",
            Self::ConversationArchive => "conversation.archive",
            Self::ConversationUnarchive => "conversation.unarchive",
            Self::DraftSave => "draft.save",
            Self::DraftClear => "draft.clear",
            Self::PreferencesSet => "preferences.set",
            Self::EndpointAdd => "endpoint.add",
            Self::EndpointVerify => "endpoint.verify",
            Self::EndpointRemove => "endpoint.remove",
        }
    }

    /// What the body asks for.
    pub fn action(self, body: &[u8]) -> Result<Action, Problem> {
        Ok(match self {
            Self::DeviceRegister => {
                let RegisterDevice { device_id, platform } = json(body)?;
                let device_id = DeviceId::parse(&device_id)?;
                Action::RegisterDevice { device_id, platform, renews: None }
            }
            Self::DeviceUnlink => {
                let UnlinkDevice { device_id } = json(body)?;
                Action::UnlinkDevice { device_id: DeviceId::parse(&device_id)? }
            }
            Self::ContactAdd => {
                Action::AddContact { user_id: json::<NamedContact>(body)?.parse()? }
            }
            Self::ContactRemove => {
                Action::RemoveContact { user_id: json::<NamedContact>(body)?.parse()? }
            }
            Self::ConversationMute => {
                let Mute { until } = json(body)?;
                Action::Mute { conversation_id: marked(body)?, until }
            }
            Self::ConversationUnmute => Action::Unmute { conversation_id: marked(body)? },
            Self::ConversationPin => Action::Pin { conversation_id: marked(body)? },
            Self::ConversationUnpin => Action::Unpin { conversation_id: marked(body)? },
            Self::ConversationArchive => {
                let Archive { through_seq } = json(body)?;
                Action::Archive { conversation_id: marked(body)?, through_seq }
            }
            Self::ConversationUnarchive => Action::Unarchive { conversation_id: marked(body)? },
            Self::DraftSave => json::<SaveDraft>(body)?.into_action(marked(body)?),
            Self::DraftClear => {
                let ClearDraft { saved_at } = json(body)?;
                Action::ClearDraft { conversation_id: marked(body)?, saved_at }
            }
            Self::PreferencesSet => Action::SetPreferences { settings: json::<Settings>(body)? },
            Self::EndpointAdd => {
                let Known { verified } = json(body)?;
                let address = json::<AddEndpoint>(body)?.into_address()?;
                Action::AddEndpoint { address, verified }
            }
            Self::EndpointVerify => {
                Action::VerifyEndpoint { endpoint_id: json::<NamedEndpoint>(body)?.parse()? }
            }
            Self::EndpointRemove => {
                Action::RemoveEndpoint { endpoint_id: json::<NamedEndpoint>(body)?.parse()? }
            }
        })
    }
}

fn marked(body: &[u8]) -> Result<ConversationId, Problem> {
    let Marked { conversation_id } = json(body)?;
    Ok(ConversationId::parse(&conversation_id)?)
}

/// The answer's body.
pub(super) fn written(answer: Answer) -> Result<Vec<u8>, Problem> {
    match EndpointAnswer::from_answer(&answer) {
        Some(endpoint) => super::written(&endpoint),
        None => super::written(&Done::from(answer)),
    }
}
