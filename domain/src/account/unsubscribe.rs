//! No further notifications by one channel, all else as it is: what a link in an email asks for.

use super::{
    Account, ChannelKind,
    settings::{Choice, MAX_CONVERSATION_CHOICES, Settings},
};
use crate::{event::AccountEvent, ids::ConversationId};

impl Account {
    /// Of one conversation, or of all. `None` if there are none as it is.
    pub(super) fn unsubscribe(
        &self,
        channel: ChannelKind,
        conversation_id: Option<&ConversationId>,
    ) -> Option<AccountEvent> {
        let mut settings = self.settings.clone();
        turn_off(&mut settings, channel, conversation_id);
        (settings != self.settings).then_some(AccountEvent::PreferencesSet(settings))
    }
}

fn turn_off(
    settings: &mut Settings,
    channel: ChannelKind,
    conversation_id: Option<&ConversationId>,
) {
    let all = &mut settings.notifications;
    let choices = &mut all.conversations;
    match conversation_id {
        // One more may have no room: rather none at all than one that was not wanted.
        Some(id) if choices.contains_key(id) || choices.len() < MAX_CONVERSATION_CHOICES => {
            *chosen(choices.entry(id.clone()).or_default(), channel) = Some(false);
        }
        Some(_) | None => {
            *match channel {
                ChannelKind::Email => &mut all.email,
                ChannelKind::Sms => &mut all.sms,
                ChannelKind::WebPush => &mut all.webpush,
                ChannelKind::Webhook => &mut all.webhook,
            } = false;
            // Otherwise those that were chosen by themselves would go on.
            for choice in choices.values_mut() {
                *chosen(choice, channel) = None;
            }
        }
    }
}

fn chosen(choice: &mut Choice, channel: ChannelKind) -> &mut Option<bool> {
    match channel {
        ChannelKind::Email => &mut choice.email,
        ChannelKind::Sms => &mut choice.sms,
        ChannelKind::WebPush => &mut choice.webpush,
        ChannelKind::Webhook => &mut choice.webhook,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Command,
        tests::{command, given},
    };
    use super::*;

    fn id(text: &str) -> ConversationId {
        ConversationId::parse(text).unwrap()
    }

    fn unsubscribe(channel: ChannelKind, conversation: Option<&str>) -> Command {
        let conversation_id = conversation.map(id);
        command("alice", Action::Unsubscribe { channel, conversation_id })
    }

    fn set(json: &str) -> Command {
        let settings = serde_json::from_str(json).unwrap();
        command("alice", Action::SetPreferences { settings })
    }

    #[test]
    fn one_channel_ends_and_all_else_stays() {
        let before = set(r#"{"locale":"de","notifications":{"preview":false,
            "conversations":{"d.alice.bob":{"email":true,"sms":false}}}}"#);
        let state = given(&[before, unsubscribe(ChannelKind::Email, None)]);
        let notifications = &state.settings.notifications;
        for conversation in ["d.alice.bob", "d.alice.carol"] {
            assert!(!notifications.allows(ChannelKind::Email, &id(conversation)));
            assert!(notifications.allows(ChannelKind::WebPush, &id(conversation)));
        }
        assert!(!notifications.allows(ChannelKind::Sms, &id("d.alice.bob")));
        assert!(!notifications.preview && state.settings.locale == "de");
    }

    #[test]
    fn one_conversation_ends_and_the_others_stay() {
        let state = given(&[unsubscribe(ChannelKind::Sms, Some("d.alice.bob"))]);
        let notifications = &state.settings.notifications;
        assert!(!notifications.allows(ChannelKind::Sms, &id("d.alice.bob")));
        assert!(notifications.allows(ChannelKind::Sms, &id("d.alice.carol")));
        assert!(notifications.allows(ChannelKind::Email, &id("d.alice.bob")));
    }

    #[test]
    fn the_same_again_is_no_event() {
        for conversation in [None, Some("d.alice.bob")] {
            let again = unsubscribe(ChannelKind::WebPush, conversation);
            assert_eq!(given(std::slice::from_ref(&again)).decide(&again), Ok(None));
        }
    }

    #[test]
    fn with_no_room_for_one_conversation_all_end() {
        let mut settings = Settings::default();
        for number in 0..MAX_CONVERSATION_CHOICES {
            let choices = &mut settings.notifications.conversations;
            choices.insert(id(&format!("d.alice.b{number}")), Default::default());
        }
        let full = command("alice", Action::SetPreferences { settings });
        let state = given(&[full, unsubscribe(ChannelKind::Email, Some("d.alice.carol"))]);
        assert!(!state.settings.notifications.email);
        assert_eq!(state.settings.check(), Ok(()));
    }
}
