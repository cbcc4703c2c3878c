//! The devices of an account: the linked ones, and the last unlinked ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{event::DeviceRegistered, ids::DeviceId, timestamp::Timestamp};

/// How many devices an account remembers. One more is remembered instead of the one that was
/// unlinked longest ago.
pub const MAX_DEVICES: usize = 1_000;

/// A linked device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub platform: String,
    pub registered_at: Timestamp,
    /// Version of the event that linked it. A session names it: one of an earlier registration
    /// is over, although the device may be linked again.
    pub registration: u64,
}

/// At most [`MAX_DEVICES`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Devices {
    linked: BTreeMap<DeviceId, Device>,
    /// By the version of the event that unlinked it.
    unlinked: BTreeMap<DeviceId, u64>,
}

impl Devices {
    /// From what the views hold.
    pub fn new(
        linked: impl IntoIterator<Item = (DeviceId, Device)>,
        unlinked: impl IntoIterator<Item = (DeviceId, u64)>,
    ) -> Self {
        Self { linked: linked.into_iter().collect(), unlinked: unlinked.into_iter().collect() }
    }

    pub fn linked(&self, id: &DeviceId) -> Option<&Device> {
        self.linked.get(id)
    }

    pub fn all_linked(&self) -> impl Iterator<Item = (&DeviceId, &Device)> {
        self.linked.iter()
    }

    pub fn was_unlinked(&self, id: &DeviceId) -> bool {
        self.unlinked.contains_key(id)
    }

    /// Whether no other device can be linked.
    pub fn is_full(&self) -> bool {
        self.linked.len() >= MAX_DEVICES
    }

    /// About how much memory this takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        let texts: usize = self.linked.values().map(|device| device.platform.len()).sum();
        let linked = self.linked.len() * (size_of::<(DeviceId, Device)>() + 32);
        let unlinked = self.unlinked.len() * (size_of::<(DeviceId, u64)>() + 32);
        texts + linked + unlinked
    }

    pub(super) fn register(&mut self, event: &DeviceRegistered, version: u64, at: Timestamp) {
        self.unlinked.remove(&event.device_id);
        let platform = event.platform.clone();
        let device = Device { platform, registered_at: at, registration: version };
        self.linked.insert(event.device_id.clone(), device);
        self.forget();
    }

    pub(super) fn unlink(&mut self, id: &DeviceId, version: u64) {
        self.linked.remove(id);
        self.unlinked.insert(id.clone(), version);
        self.forget();
    }

    fn forget(&mut self) {
        while self.linked.len() + self.unlinked.len() > MAX_DEVICES {
            let oldest = self.unlinked.iter().min_by_key(|(_, version)| **version);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.unlinked.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Refusal,
        tests::{device, given, register, unlink},
    };
    use super::*;

    #[test]
    fn the_one_that_was_unlinked_longest_ago_is_forgotten_first() {
        let mut state = given(&[register("old"), register("new"), unlink("old"), unlink("new")]);
        for n in 0..MAX_DEVICES - 1 {
            let event = state.decide(&register(&format!("d-{n}"))).unwrap().unwrap();
            state.evolve(&event);
        }
        assert_eq!(state.decide(&unlink("old")), Err(Refusal::NoDevice));
        assert_eq!(state.decide(&unlink("new")), Ok(None));
        let event = state.decide(&register("last")).unwrap().unwrap();
        state.evolve(&event);
        assert_eq!(state.decide(&register("one-more")), Err(Refusal::TooManyDevices));
        // What is linked stays what it is, and may be exchanged for another.
        assert_eq!(state.decide(&register("last")), Ok(None));
        let event = state.decide(&unlink("last")).unwrap().unwrap();
        state.evolve(&event);
        assert!(matches!(state.decide(&register("one-more")), Ok(Some(_))));
        assert!(state.devices.was_unlinked(&device("last")));
    }
}
