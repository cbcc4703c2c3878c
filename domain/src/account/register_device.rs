//! Register a device: from then on it is linked to the account.

use super::{Account, Refusal};
use crate::{
    event::{AccountEvent, DeviceRegistered},
    ids::DeviceId,
};

/// The longest name of a platform.
pub const MAX_PLATFORM_CHARACTERS: usize = 64;

impl Account {
    /// `None` for a device that is linked: it stays what it is, whatever platform it names now.
    pub(super) fn register_device(
        &self,
        id: &DeviceId,
        platform: &str,
        renews: Option<u64>,
    ) -> Result<Option<AccountEvent>, Refusal> {
        let characters = platform.chars().count();
        if !(1..=MAX_PLATFORM_CHARACTERS).contains(&characters)
            || platform.chars().any(char::is_control)
        {
            return Err(Refusal::Platform);
        }
        let known = self.devices.linked(id);
        // A session that was cut off must not link its device again: only the marketplace may.
        if renews.is_some() && known.map(|device| device.registration) != renews {
            return Err(Refusal::Unlinked);
        }
        if known.is_some() {
            return Ok(None);
        }
        if self.devices.is_full() {
            return Err(Refusal::TooManyDevices);
        }
        let platform = platform.to_owned();
        Ok(Some(AccountEvent::DeviceRegistered(DeviceRegistered {
            device_id: id.clone(),
            platform,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Answer, Command,
        tests::{command, device, given, register, unlink},
    };
    use super::*;

    fn renew(registration: u64) -> Command {
        let (device_id, platform) = (device("dev_1"), "web".to_owned());
        command("alice", Action::RegisterDevice { device_id, platform, renews: Some(registration) })
    }

    #[test]
    fn a_linked_device_is_registered_once() {
        let state = given(&[register("dev_1"), register("dev_2")]);
        assert_eq!(state.decide(&register("dev_1")), Ok(None));
        let answer = state.answer(&register("dev_1"));
        assert_eq!(answer, Some(Answer::Registered { version: 2, registration: 1 }));
    }

    #[test]
    fn after_an_unlink_it_is_another_registration() {
        let state = given(&[register("dev_1"), unlink("dev_1"), register("dev_1")]);
        let answer = state.answer(&register("dev_1"));
        assert_eq!(answer, Some(Answer::Registered { version: 3, registration: 3 }));
    }

    #[test]
    fn a_session_goes_on_only_while_its_registration_stands() {
        let mut commands = vec![register("dev_1")];
        assert_eq!(given(&commands).decide(&renew(1)), Ok(None));
        commands.push(unlink("dev_1"));
        assert_eq!(given(&commands).decide(&renew(1)), Err(Refusal::Unlinked));
        commands.push(register("dev_1"));
        assert_eq!(given(&commands).decide(&renew(1)), Err(Refusal::Unlinked));
        assert_eq!(given(&commands).decide(&renew(3)), Ok(None));
    }

    #[test]
    fn a_platform_is_one_short_line() {
        for (platform, good) in [
            ("w", true),
            (&"é".repeat(64), true),
            ("", false),
            (&"x".repeat(65), false),
            ("a\nb", false),
        ] {
            let platform = platform.to_owned();
            let action = Action::RegisterDevice { device_id: device("d"), platform, renews: None };
            let decided = Account::default().decide(&command("alice", action));
            assert_eq!(decided.is_ok(), good, "{decided:?}");
        }
    }
}
