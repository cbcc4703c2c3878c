//! Unlink a device: it is cut off, and its sessions are over.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, DeviceUnlinked},
    ids::DeviceId,
};

impl Account {
    /// `None` for one that was unlinked already.
    pub(super) fn unlink_device(&self, id: &DeviceId) -> Result<Option<AccountEvent>, Refusal> {
        if self.devices.linked(id).is_some() {
            let device_id = id.clone();
            return Ok(Some(AccountEvent::DeviceUnlinked(DeviceUnlinked { device_id })));
        }
        if self.devices.was_unlinked(id) { Ok(None) } else { Err(Refusal::NoDevice) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Answer,
        tests::{given, register, unlink},
    };
    use super::*;

    #[test]
    fn a_device_is_unlinked_once_and_an_unknown_one_never() {
        let state = given(&[register("dev_1"), unlink("dev_1")]);
        assert_eq!(state.decide(&unlink("dev_1")), Ok(None));
        assert_eq!(state.answer(&unlink("dev_1")), Some(Answer::Done { version: 2 }));
        assert_eq!(state.decide(&unlink("dev_2")), Err(Refusal::NoDevice));
        assert_eq!(state.devices.all_linked().count(), 0);
    }
}
