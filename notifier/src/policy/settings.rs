//! What a person wishes, as their account has it; whatever is missing has its default.

use serde_json::Value;

use super::quiet::QuietHours;
use crate::channels::ChannelKind;

/// A person's settings, as far as they matter here.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The account's JSON.
    json: Value,
    pub preview: bool,
    pub quiet_hours: Option<QuietHours>,
    /// BCP 47.
    pub locale: String,
    /// IANA.
    pub time_zone: String,
}

const LOCALE: &str = "en";
const TIME_ZONE: &str = "UTC";

impl Default for Settings {
    fn default() -> Self {
        Self::of(Value::Null)
    }
}

impl Settings {
    /// Reads the account's JSON; what is not of the right type counts as missing.
    pub fn of(json: Value) -> Self {
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let quiet = |name: &str| json.get("quietHours")?.get(name)?.as_str();
        Self {
            preview: json
                .pointer("/notifications/preview")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            quiet_hours: quiet("from")
                .zip(quiet("to"))
                .and_then(|(from, to)| QuietHours::parse(from, to)),
            locale: text("locale").unwrap_or_else(|| LOCALE.to_owned()),
            time_zone: text("timeZone").unwrap_or_else(|| TIME_ZONE.to_owned()),
            json,
        }
    }

    /// Whether they want to be told by this channel of this conversation, or in general. What is
    /// said of a conversation goes before what is said in general.
    pub fn allows(&self, channel: ChannelKind, conversation: Option<&str>) -> bool {
        let notifications = self.json.get("notifications");
        let said = |of: Option<&Value>| of?.get(channel.as_str())?.as_bool();
        let of_conversation = conversation
            .and_then(|conversation| notifications?.get("conversations")?.get(conversation));
        said(of_conversation).or_else(|| said(notifications)).unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_or_wrong_has_its_default() {
        for json in [Value::Null, json!({}), json!({"notifications": 7, "quietHours": "night"})] {
            let settings = Settings::of(json);
            assert!(settings.preview);
            assert_eq!(settings.quiet_hours, None);
            assert_eq!((settings.locale.as_str(), settings.time_zone.as_str()), ("en", "UTC"));
            for channel in ChannelKind::ALL {
                assert!(settings.allows(channel, Some("d.a.b")));
            }
        }
    }

    #[test]
    fn a_conversation_goes_before_the_general() {
        let settings = Settings::of(json!({"notifications": {
            "email": false, "preview": false,
            "conversations": {"d.a.b": {"email": true, "sms": false}},
        }}));
        assert!(!settings.preview);
        assert!(settings.allows(ChannelKind::Email, Some("d.a.b")));
        assert!(!settings.allows(ChannelKind::Email, Some("d.a.c")));
        assert!(!settings.allows(ChannelKind::Email, None));
        assert!(!settings.allows(ChannelKind::Sms, Some("d.a.b")));
        assert!(settings.allows(ChannelKind::Sms, None));
        assert!(settings.allows(ChannelKind::WebPush, Some("d.a.b")));
    }
}
