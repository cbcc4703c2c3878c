//! Set the account's settings, all at once.

use super::{Account, Refusal, Settings};
use crate::event::AccountEvent;

impl Account {
    /// `None` if they are these.
    pub(super) fn set_preferences(
        &self,
        settings: &Settings,
    ) -> Result<Option<AccountEvent>, Refusal> {
        settings.check()?;
        let is_new = self.settings != *settings;
        Ok(is_new.then(|| AccountEvent::PreferencesSet(settings.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        settings::InvalidSettings,
        tests::{command, given},
    };
    use super::*;

    fn set(json: &str) -> Command {
        let settings = serde_json::from_str(json).unwrap();
        command("alice", Action::SetPreferences { settings })
    }

    #[test]
    fn settings_are_replaced_as_a_whole() {
        let state = given(&[set(r#"{"readReceipts":false}"#), set(r#"{"locale":"de"}"#)]);
        assert!(state.settings.read_receipts);
        assert_eq!(state.settings.locale, "de");
        assert_eq!(state.decide(&set(r#"{"locale":"de"}"#)), Ok(None));
        // The defaults are what an account has that never set any.
        assert_eq!(given(&[]).decide(&set("{}")), Ok(None));
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let refusal = Refusal::Settings(InvalidSettings::TimeZone);
        assert_eq!(given(&[]).decide(&set(r#"{"timeZone":"Mars/Base"}"#)), Err(refusal));
    }
}
