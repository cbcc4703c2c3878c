//! Where somebody can be told something when away, by channel.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest address of a web push service or webhook, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// The longest email address that a mail server must take, in bytes (RFC 5321).
pub const MAX_EMAIL_BYTES: usize = 254;
const MAX_LOCAL_PART_BYTES: usize = 64;

/// An address, with its channel; in JSON `{"channel": …, "address": …}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "channel", content = "address", rename_all = "lowercase")]
pub enum Address {
    Email(String),
    /// A phone number, E.164.
    Sms(String),
    WebPush(Subscription),
    Webhook(String),
}

/// What a browser gives to those who may push to it (the Push API's `toJSON`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub endpoint: String,
    pub keys: SubscriptionKeys,
}

/// In base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubscriptionKeys {
    pub p256dh: String,
    pub auth: String,
}

/// The channels of [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    Email,
    Sms,
    WebPush,
    Webhook,
}

/// An address that nothing can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("address is not an email address")]
    Email,
    #[error("address is not a phone number in its international form, like +4915112345678")]
    Phone,
    #[error("subscription.endpoint is not an https URL")]
    PushService,
    #[error(
        "subscription.keys are not those of a browser: p256dh of 65 bytes, auth of 16, in base64url"
    )]
    PushKeys,
    #[error("address is not an https URL without a user and a fragment")]
    Webhook,
}

impl ChannelKind {
    /// As the contract names them.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::WebPush => "webpush",
            Self::Webhook => "webhook",
        }
    }
}

impl Address {
    pub fn channel(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Sms(_) => ChannelKind::Sms,
            Self::WebPush(_) => ChannelKind::WebPush,
            Self::Webhook(_) => ChannelKind::Webhook,
        }
    }

    /// The form only; whether somebody is there is for verifying.
    pub fn check(&self) -> Result<(), InvalidAddress> {
        let (is_good, invalid) = match self {
            Self::Email(text) => (is_email(text), InvalidAddress::Email),
            Self::Sms(text) => (is_phone(text), InvalidAddress::Phone),
            Self::Webhook(text) => (is_https(text), InvalidAddress::Webhook),
            Self::WebPush(Subscription { endpoint, keys }) if is_https(endpoint) => {
                let is_good = is_base64url(&keys.p256dh, 65) && is_base64url(&keys.auth, 16);
                (is_good, InvalidAddress::PushKeys)
            }
            Self::WebPush(_) => (false, InvalidAddress::PushService),
        };
        if is_good { Ok(()) } else { Err(invalid) }
    }

    /// About how much memory the texts take, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Email(text) | Self::Sms(text) | Self::Webhook(text) => text.len(),
            Self::WebPush(Subscription { endpoint, keys }) => {
                endpoint.len() + keys.p256dh.len() + keys.auth.len()
            }
        }
    }
}

/// Dot-atoms in ASCII (RFC 5321 without quoted local parts and address literals): what mail is
/// really sent to, and nothing that could end a header.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_EMAIL_BYTES
        && local.len() <= MAX_LOCAL_PART_BYTES
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn is_https(text: &str) -> bool {
    let is_line = text.len() <= MAX_URL_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    is_line
        && Url::parse(text).is_ok_and(|url| {
            url.scheme() == "https"
                && matches!(url.host(), Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)))
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        })
}

/// Whether it is base64url of so many bytes, with or without padding.
fn is_base64url(text: &str, bytes: usize) -> bool {
    let text = text.trim_end_matches('=');
    text.len() == (bytes * 4).div_ceil(3)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_one_that_mail_reaches() {
        for good in ["a@b.de", "first.last+tag@mail.example.com", "x_y'z@xn--bcher-kva.example"] {
            assert_eq!(Address::Email(good.into()).check(), Ok(()), "{good}");
        }
        let long_local = format!("{}@b.de", "a".repeat(65));
        let long = format!("a@{}.de", vec!["b".repeat(60); 5].join("."));
        for bad in [
            "",
            "a",
            "@b.de",
            "a@",
            "a@b",
            "a b@c.de",
            "a..b@c.de",
            ".a@b.de",
            "a@-b.de",
            "a@b..de",
            "a@b.de\r\nBcc: x@y.de",
            "\"a b\"@c.de",
            "ä@b.de",
            "a@[127.0.0.1]",
            "A <a@b.de>",
            &long_local,
            &long,
        ] {
            assert_eq!(Address::Email(bad.into()).check(), Err(InvalidAddress::Email), "{bad}");
        }
    }

    #[test]
    fn a_phone_number_is_e164() {
        for (number, good) in [
            ("+4915112345678", true),
            ("+1234567", true),
            ("+123456", false),
            ("+1234567890123456", false),
            ("+0123456789", false),
            ("4915112345678", false),
            ("+49 151 12345678", false),
            ("+49151x2345678", false),
        ] {
            assert_eq!(Address::Sms(number.into()).check().is_ok(), good, "{number}");
        }
    }

    #[test]
    fn a_webhook_is_an_https_url() {
        for (url, good) in [
            ("https://hooks.example.com/parley?x=1", true),
            ("http://hooks.example.com/", false),
            ("https://user:pass@hooks.example.com/", false),
            ("https://hooks.example.com/#part", false),
            ("https://", false),
            ("https://hooks.example.com/a b", false),
            ("javascript:alert(1)", false),
            (&format!("https://example.com/{}", "x".repeat(2_048)), false),
        ] {
            assert_eq!(Address::Webhook(url.into()).check().is_ok(), good, "{url}");
        }
    }

    #[test]
    fn a_subscription_is_what_a_browser_gives() {
        let subscription = |endpoint: &str, p256dh: usize, auth: usize| {
            let keys = SubscriptionKeys { p256dh: "B".repeat(p256dh), auth: "a".repeat(auth) };
            Address::WebPush(Subscription { endpoint: endpoint.to_owned(), keys }).check()
        };
        assert_eq!(subscription("https://push.example.com/x", 87, 22), Ok(()));
        let bad = Err(InvalidAddress::PushService);
        assert_eq!(subscription("http://push.example.com/x", 87, 22), bad);
        let bad = Err(InvalidAddress::PushKeys);
        assert_eq!(subscription("https://push.example.com/x", 86, 22), bad);
        assert_eq!(subscription("https://push.example.com/x", 87, 21), bad);
    }
}
