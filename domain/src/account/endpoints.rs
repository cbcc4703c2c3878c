//! Where an account's owner is told when away: add an endpoint, verify it, remove it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Account, Refusal, address::Address};
use crate::{
    event::{AccountEvent, EndpointAdded, EndpointRemoved},
    timestamp::Timestamp,
};

/// How many endpoints an account has at most.
pub const MAX_ENDPOINTS: usize = 20;

/// Whether the address is known to be its owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Nothing is sent there but what verifies it.
    Pending,
    Verified,
}

impl EndpointState {
    /// As the contract names them.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    #[serde(flatten)]
    pub address: Address,
    pub state: EndpointState,
    pub added_at: Timestamp,
}

/// By their ids, which are those of the events that added them; at most [`MAX_ENDPOINTS`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Endpoints(BTreeMap<Uuid, Endpoint>);

impl Endpoints {
    /// From what the views hold.
    pub fn new(endpoints: impl IntoIterator<Item = (Uuid, Endpoint)>) -> Self {
        Self(endpoints.into_iter().collect())
    }

    pub fn get(&self, id: Uuid) -> Option<&Endpoint> {
        self.0.get(&id)
    }

    pub fn all(&self) -> impl Iterator<Item = (&Uuid, &Endpoint)> {
        self.0.iter()
    }

    /// The endpoint with this address.
    pub fn at(&self, address: &Address) -> Option<(Uuid, &Endpoint)> {
        self.0.iter().find(|(_, known)| known.address == *address).map(|(id, known)| (*id, known))
    }

    pub(super) fn add(&mut self, event: &EndpointAdded, at: Timestamp) {
        let EndpointAdded { endpoint_id, address, state } = event;
        // Verified later, it was still added then.
        let added_at = self.0.get(endpoint_id).map_or(at, |known| known.added_at);
        let endpoint = Endpoint { address: address.clone(), state: *state, added_at };
        self.0.insert(*endpoint_id, endpoint);
    }

    pub(super) fn remove(&mut self, event: &EndpointRemoved) {
        self.0.remove(&event.endpoint_id);
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let texts: usize = self.0.values().map(|endpoint| endpoint.address.size_bytes()).sum();
        texts + self.0.len() * (size_of::<(Uuid, Endpoint)>() + 32)
    }
}

impl Account {
    /// `None` for an address that is there already, unless it is verified only now. `id`: of the
    /// new endpoint, should there be one.
    pub(super) fn add_endpoint(
        &self,
        id: Uuid,
        address: &Address,
        verified: bool,
    ) -> Result<Option<AccountEvent>, Refusal> {
        address.check()?;
        let state = if verified { EndpointState::Verified } else { EndpointState::Pending };
        let endpoint_id = match self.endpoints.at(address) {
            Some((_, known)) if known.state == EndpointState::Verified || !verified => {
                return Ok(None);
            }
            Some((id, _)) => id,
            None if self.endpoints.0.len() >= MAX_ENDPOINTS => {
                return Err(Refusal::TooManyEndpoints);
            }
            None => id,
        };
        let address = address.clone();
        Ok(Some(AccountEvent::EndpointAdded(EndpointAdded { endpoint_id, address, state })))
    }

    /// `None` for one that is verified. The caller has seen the proof.
    pub(super) fn verify_endpoint(&self, id: Uuid) -> Result<Option<AccountEvent>, Refusal> {
        let known = self.endpoints.get(id).ok_or(Refusal::NoEndpoint)?;
        let (address, state) = (known.address.clone(), EndpointState::Verified);
        let verified = EndpointAdded { endpoint_id: id, address, state };
        let is_new = known.state != state;
        Ok(is_new.then_some(AccountEvent::EndpointAdded(verified)))
    }

    /// One that was removed is unknown, so a second time is refused.
    pub(super) fn remove_endpoint(&self, id: Uuid) -> Result<Option<AccountEvent>, Refusal> {
        self.endpoints.get(id).ok_or(Refusal::NoEndpoint)?;
        Ok(Some(AccountEvent::EndpointRemoved(EndpointRemoved { endpoint_id: id })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Command,
        address::InvalidAddress,
        tests::{command, given},
    };
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn add(email: &str, verified: bool) -> Command {
        command("alice", Action::AddEndpoint { address: Address::Email(email.into()), verified })
    }

    fn verify(endpoint_id: Uuid) -> Command {
        command("alice", Action::VerifyEndpoint { endpoint_id })
    }

    fn remove(endpoint_id: Uuid) -> Command {
        command("alice", Action::RemoveEndpoint { endpoint_id })
    }

    fn answer(state: EndpointState, version: u64) -> Option<Answer> {
        Some(Answer::Endpoint { version, endpoint_id: ID, state })
    }

    #[test]
    fn an_address_is_added_once_under_the_id_of_its_event() {
        let state = given(&[add("a@b.de", false)]);
        assert_eq!(state.decide(&add("a@b.de", false)), Ok(None));
        assert_eq!(state.answer(&add("a@b.de", false)), answer(EndpointState::Pending, 1));
        let refusal = Refusal::Address(InvalidAddress::Email);
        assert_eq!(state.decide(&add("nowhere", false)), Err(refusal));
    }

    #[test]
    fn a_verified_address_stays_so() {
        let state = given(&[add("a@b.de", false), verify(ID)]);
        assert_eq!(state.decide(&verify(ID)), Ok(None));
        assert_eq!(state.decide(&add("a@b.de", false)), Ok(None));
        assert_eq!(state.answer(&add("a@b.de", false)), answer(EndpointState::Verified, 2));
        // Whoever may say so verifies it by adding it again.
        let state = given(&[add("a@b.de", false), add("a@b.de", true)]);
        assert_eq!(state.answer(&verify(ID)), answer(EndpointState::Verified, 2));
        assert_eq!(state.endpoints.all().count(), 1);
    }

    #[test]
    fn what_is_removed_is_gone() {
        let state = given(&[add("a@b.de", true), remove(ID)]);
        assert_eq!(state.decide(&remove(ID)), Err(Refusal::NoEndpoint));
        assert_eq!(state.decide(&verify(ID)), Err(Refusal::NoEndpoint));
        assert!(matches!(state.decide(&add("a@b.de", false)), Ok(Some(_))));
    }

    #[test]
    fn endpoints_are_bounded() {
        let mut state = Account::default();
        for n in 0..MAX_ENDPOINTS {
            let mut command = add(&format!("a{n}@b.de"), false);
            command.event_id = Uuid::from_u128(100 + n as u128);
            let event = state.decide(&command).unwrap().unwrap();
            state.evolve(&event);
        }
        assert_eq!(state.decide(&add("one@more.de", false)), Err(Refusal::TooManyEndpoints));
        assert_eq!(state.decide(&add("a0@b.de", false)), Ok(None));
    }
}
