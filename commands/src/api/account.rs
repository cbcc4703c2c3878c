//! The bodies of commands to an account, and their answers.

use parley_domain::{
    ConversationId, InvalidId, Timestamp, UserId,
    account::{Action, Address, Answer, ChannelKind, EndpointState, address::Subscription},
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// `dm.cmd.device.register`; over HTTP a part of the bootstrap.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterDevice {
    pub device_id: SmolStr,
    pub platform: String,
}

/// `dm.cmd.device.unlink`; over HTTP a path.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlinkDevice {
    pub device_id: SmolStr,
}

/// `dm.cmd.contact.add` and `.remove`; over HTTP a path.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedContact {
    pub user_id: SmolStr,
}

impl NamedContact {
    /// # Errors
    /// If it is not an id.
    pub fn parse(&self) -> Result<UserId, InvalidId> {
        UserId::parse(&self.user_id)
    }
}

/// `PUT /v1/conversations/{id}/mute`, `dm.cmd.conversation.mute`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Mute {
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// `PUT /v1/conversations/{id}/draft`, `dm.cmd.draft.save`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SaveDraft {
    pub text: String,
    /// By the device's clock.
    #[serde(default)]
    pub saved_at: Option<Timestamp>,
}

impl SaveDraft {
    /// The action. An empty draft is none.
    pub fn into_action(self, conversation_id: ConversationId) -> Action {
        let Self { text, saved_at } = self;
        if text.is_empty() {
            Action::ClearDraft { conversation_id, saved_at }
        } else {
            Action::SaveDraft { conversation_id, text, saved_at }
        }
    }
}

/// `DELETE /v1/conversations/{id}/draft`, `dm.cmd.draft.clear`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearDraft {
    /// By the device's clock.
    #[serde(default)]
    pub saved_at: Option<Timestamp>,
}

/// `POST /v1/notification-endpoints`, `dm.cmd.endpoint.add`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddEndpoint {
    pub channel: ChannelKind,
    /// Of every channel but web push.
    #[serde(default)]
    pub address: Option<String>,
    /// Of web push.
    #[serde(default)]
    pub subscription: Option<Subscription>,
}

impl AddEndpoint {
    /// The address, unchecked.
    ///
    /// # Errors
    /// If it has not what its channel needs.
    pub fn into_address(self) -> Result<Address, Problem> {
        let Self { channel, address, subscription } = self;
        let missing = |what: &str| Problem::malformed(format!("{what} is missing"));
        let text = || address.ok_or_else(|| missing("address"));
        Ok(match channel {
            ChannelKind::Email => Address::Email(text()?),
            ChannelKind::Sms => Address::Sms(text()?),
            ChannelKind::Webhook => Address::Webhook(text()?),
            ChannelKind::WebPush => {
                Address::WebPush(subscription.ok_or_else(|| missing("subscription"))?)
            }
        })
    }
}

/// `dm.cmd.endpoint.verify` and `.remove`; over HTTP a path.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedEndpoint {
    pub endpoint_id: SmolStr,
}

impl NamedEndpoint {
    /// # Errors
    /// If it is not an id.
    pub fn parse(&self) -> Result<Uuid, Problem> {
        Uuid::try_parse(&self.endpoint_id)
            .map_err(|_| Problem::new(Code::InvalidId, "an endpointId is a UUID"))
    }
}

/// Something was done, now or before: the version that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub version: u64,
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { version: answer.version() }
    }
}

/// The endpoint, which was there or is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAnswer {
    pub endpoint_id: Uuid,
    pub state: EndpointState,
    pub version: u64,
}

impl EndpointAnswer {
    /// `None` for an answer to something else.
    pub fn from_answer(answer: &Answer) -> Option<Self> {
        match answer {
            Answer::Endpoint { version, endpoint_id, state } => {
                Some(Self { endpoint_id: *endpoint_id, state: *state, version: *version })
            }
            Answer::Registered { .. } | Answer::Done { .. } | Answer::Read { .. } => None,
        }
    }
}
