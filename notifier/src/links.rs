//! Addresses that act without a login: signed, with an end, and nothing in them that is secret.
//!
//! A token is `base64url(claim) "." base64url(HMAC-SHA256(label, claim))`. What it allows is in its
//! claim, so nothing has to be kept; the digits for a phone are derived the same way, so they are
//! in no log either.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use parley_domain::{ConversationId, Timestamp, UserId};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::channels::ChannelKind;

/// The shortest secret that links are signed with.
pub const MIN_SECRET_BYTES: usize = 32;
/// Where [`Links::unsubscribe`] leads, below the public URL.
pub const UNSUBSCRIBE_PATH: &str = "/v1/unsubscribe";
/// Where [`Links::verify`] leads, below the public URL.
pub const VERIFY_PATH: &str = "/v1/notification-endpoints/verify";
/// Longer ones are not looked at.
const MAX_TOKEN_BYTES: usize = 2_048;

/// Makes links and knows its own again.
#[derive(Clone)]
pub struct Links {
    key: hmac::Key,
    /// Without a trailing slash.
    base: String,
    settings: Settings,
}

/// How long links work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    pub unsubscribe_ttl: Duration,
    pub verify_ttl: Duration,
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "p", rename_all = "camelCase")]
enum Claim {
    Unsubscribe {
        #[serde(rename = "u")]
        user_id: UserId,
        #[serde(rename = "c")]
        channel: ChannelKind,
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
        conversation_id: Option<ConversationId>,
        #[serde(rename = "x")]
        until: i64,
    },
    Verify {
        #[serde(rename = "u")]
        user_id: UserId,
        #[serde(rename = "e")]
        endpoint_id: String,
        /// Of the address: links get into logs.
        #[serde(rename = "a")]
        digest: String,
        #[serde(rename = "x")]
        until: i64,
    },
}

/// Whose notifications are to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    pub user_id: UserId,
    pub channel: ChannelKind,
    /// `None`: of all conversations.
    pub conversation_id: Option<ConversationId>,
}

/// Whose address has been read; see [`Links::is_for_address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    pub user_id: UserId,
    pub endpoint_id: String,
    digest: String,
}

/// A token that allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    #[error("the link is not one of ours, or not for this")]
    Invalid,
    #[error("the link is too old")]
    Expired,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Links {
    /// `secret` has [`MIN_SECRET_BYTES`] or more; `base` is the public URL of the gateway.
    #[must_use]
    pub fn new(secret: &[u8], base: &str, settings: Settings) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, base: base.trim_end_matches('/').to_owned(), settings }
    }

    /// Opens a conversation in the page; the list of all without one.
    #[must_use]
    pub fn conversation(&self, conversation_id: Option<&ConversationId>) -> String {
        match conversation_id {
            Some(id) => format!("{}/#/c/{id}", self.base),
            None => format!("{}/#/", self.base),
        }
    }

    /// Ends notifications: of one channel, and of one conversation or of all.
    #[must_use]
    pub fn unsubscribe(
        &self,
        user_id: &UserId,
        channel: ChannelKind,
        conversation_id: Option<&ConversationId>,
        now: Timestamp,
    ) -> String {
        let token = self.token(&Claim::Unsubscribe {
            user_id: user_id.clone(),
            channel,
            conversation_id: conversation_id.cloned(),
            until: after(now, self.settings.unsubscribe_ttl),
        });
        format!("{}{UNSUBSCRIBE_PATH}?token={token}", self.base)
    }

    /// Proves that an address is read by whoever gave it.
    #[must_use]
    pub fn verify(
        &self,
        user_id: &UserId,
        endpoint_id: &str,
        address: &str,
        now: Timestamp,
    ) -> String {
        let token = self.token(&Claim::Verify {
            user_id: user_id.clone(),
            endpoint_id: endpoint_id.to_owned(),
            digest: BASE64.encode(self.mac("address", &[address])),
            until: after(now, self.settings.verify_ttl),
        });
        format!("{}{VERIFY_PATH}?token={token}", self.base)
    }

    /// # Errors
    /// If the token is not one of [`Self::unsubscribe`], or too old.
    pub fn read_unsubscribe(&self, token: &str, now: Timestamp) -> Result<Unsubscribe, BadLink> {
        match self.claim(token)? {
            Claim::Unsubscribe { user_id, channel, conversation_id, until } => {
                in_time(until, now)?;
                Ok(Unsubscribe { user_id, channel, conversation_id })
            }
            Claim::Verify { .. } => Err(BadLink::Invalid),
        }
    }

    /// Whether the endpoint still has that address is for [`Self::is_for_address`].
    ///
    /// # Errors
    /// If the token is not one of [`Self::verify`], or too old.
    pub fn read_verification(&self, token: &str, now: Timestamp) -> Result<Verification, BadLink> {
        match self.claim(token)? {
            Claim::Verify { user_id, endpoint_id, digest, until } => {
                in_time(until, now)?;
                Ok(Verification { user_id, endpoint_id, digest })
            }
            Claim::Unsubscribe { .. } => Err(BadLink::Invalid),
        }
    }

    /// Whether the link went to this address.
    #[must_use]
    pub fn is_for_address(&self, verification: &Verification, address: &str) -> bool {
        self.is_mac("address", &[address], &verification.digest)
    }

    /// Whether what was sent to an endpoint still proves something.
    #[must_use]
    pub fn is_in_time(&self, added_at: Timestamp, now: Timestamp) -> bool {
        in_time(after(added_at, self.settings.verify_ttl), now).is_ok()
    }

    /// The six digits that prove a phone. They do not change, so whoever checks them has to count
    /// the attempts, and to give each endpoint that is added an id of its own.
    #[must_use]
    pub fn phone_code(&self, user_id: &UserId, endpoint_id: &str, address: &str) -> String {
        let mac = self.mac("phone code", &[user_id.as_str(), endpoint_id, address]);
        let number =
            mac.as_ref().iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        format!("{:06}", number % 1_000_000)
    }

    /// Whether these are the digits; takes as long if they are not.
    #[must_use]
    pub fn is_phone_code(
        &self,
        user_id: &UserId,
        endpoint_id: &str,
        address: &str,
        given: &str,
    ) -> bool {
        let code = self.phone_code(user_id, endpoint_id, address);
        let tag = hmac::sign(&self.key, code.as_bytes());
        hmac::verify(&self.key, given.trim().as_bytes(), tag.as_ref()).is_ok()
    }

    fn token(&self, claim: &Claim) -> String {
        // A claim is strings and numbers: it can be written.
        let claim = BASE64.encode(serde_json::to_vec(claim).unwrap_or_default());
        let mac = BASE64.encode(self.mac("link", &[&claim]));
        format!("{claim}.{mac}")
    }

    fn claim(&self, token: &str) -> Result<Claim, BadLink> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(BadLink::Invalid);
        }
        let (claim, mac) = token.split_once('.').ok_or(BadLink::Invalid)?;
        if !self.is_mac("link", &[claim], mac) {
            return Err(BadLink::Invalid);
        }
        let json = BASE64.decode(claim).map_err(|_| BadLink::Invalid)?;
        serde_json::from_slice(&json).map_err(|_| BadLink::Invalid)
    }

    fn mac(&self, label: &str, parts: &[&str]) -> hmac::Tag {
        hmac::sign(&self.key, &message(label, parts))
    }

    fn is_mac(&self, label: &str, parts: &[&str], mac: &str) -> bool {
        BASE64
            .decode(mac)
            .is_ok_and(|mac| hmac::verify(&self.key, &message(label, parts), &mac).is_ok())
    }
}

/// Each part with its length, so that no two lists of parts are one message.
fn message(label: &str, parts: &[&str]) -> Vec<u8> {
    let mut message = format!("parley/{label}/1").into_bytes();
    for part in parts {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part.as_bytes());
    }
    message
}

fn after(now: Timestamp, ttl: Duration) -> i64 {
    let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    now.unix_millis().div_euclid(1_000).saturating_add(ttl)
}

fn in_time(until: i64, now: Timestamp) -> Result<(), BadLink> {
    if now.unix_millis().div_euclid(1_000) <= until { Ok(()) } else { Err(BadLink::Expired) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const SETTINGS: Settings = Settings { unsubscribe_ttl: DAY, verify_ttl: DAY };

    fn links() -> Links {
        Links::new(b"a secret of 32 bytes, or of more than 32", "https://chat.example/", SETTINGS)
    }

    fn bob() -> UserId {
        UserId::parse("bob").unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    fn token(url: &str) -> &str {
        url.split_once("?token=").unwrap().1
    }

    #[test]
    fn an_unsubscribe_link_says_who_and_what_until_it_ends() {
        let links = links();
        let talk = ConversationId::parse("d.alice.bob").unwrap();
        for conversation_id in [None, Some(talk)] {
            let url =
                links.unsubscribe(&bob(), ChannelKind::Email, conversation_id.as_ref(), at(1_000));
            assert!(url.starts_with("https://chat.example/v1/unsubscribe?token="), "{url}");
            let expected =
                Unsubscribe { user_id: bob(), channel: ChannelKind::Email, conversation_id };
            let last = at(1_000 + 86_400);
            assert_eq!(links.read_unsubscribe(token(&url), last), Ok(expected));
            let later = at(1_001 + 86_400);
            assert_eq!(links.read_unsubscribe(token(&url), later), Err(BadLink::Expired));
            // One purpose is not another.
            assert_eq!(links.read_verification(token(&url), last), Err(BadLink::Invalid));
        }
    }

    #[test]
    fn a_verification_is_of_one_address_and_does_not_show_it() {
        let links = links();
        let url = links.verify(&bob(), "ep_1", "bob@example.com", at(0));
        let claim = BASE64.decode(token(&url).split('.').next().unwrap()).unwrap();
        assert!(!String::from_utf8(claim).unwrap().contains("example.com"));
        let verification = links.read_verification(token(&url), at(1)).unwrap();
        assert_eq!((verification.user_id.as_str(), &*verification.endpoint_id), ("bob", "ep_1"));
        assert!(links.is_for_address(&verification, "bob@example.com"));
        assert!(!links.is_for_address(&verification, "eve@example.com"));
        assert_eq!(links.read_unsubscribe(token(&url), at(1)), Err(BadLink::Invalid));
    }

    #[test]
    fn another_secret_signs_nothing() {
        let url = links().unsubscribe(&bob(), ChannelKind::Sms, None, at(0));
        let other = Links::new(&[7; 32], "https://chat.example", SETTINGS);
        assert_eq!(other.read_unsubscribe(token(&url), at(0)), Err(BadLink::Invalid));
        let code = links().phone_code(&bob(), "ep_1", "+4930123456");
        assert_ne!(code, other.phone_code(&bob(), "ep_1", "+4930123456"));
    }

    #[test]
    fn a_phone_code_is_six_digits_for_one_endpoint() {
        let links = links();
        let code = links.phone_code(&bob(), "ep_1", "+4930123456");
        assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
        assert!(links.is_phone_code(&bob(), "ep_1", "+4930123456", &format!(" {code} ")));
        assert!(!links.is_phone_code(&bob(), "ep_2", "+4930123456", &code));
        assert!(!links.is_phone_code(&bob(), "ep_1", "+4930123457", &code));
        assert!(!links.is_phone_code(&bob(), "ep_1", "+4930123456", ""));
        // Where one part ends and the next begins matters.
        assert_ne!(links.phone_code(&bob(), "a", "bc"), links.phone_code(&bob(), "ab", "c"));
    }

    #[test]
    fn the_page_opens_a_conversation() {
        let talk = ConversationId::parse("d.alice.bob").unwrap();
        assert_eq!(links().conversation(Some(&talk)), "https://chat.example/#/c/d.alice.bob");
        assert_eq!(links().conversation(None), "https://chat.example/#/");
    }

    proptest! {
        #[test]
        fn what_we_did_not_sign_is_refused(text in ".{0,200}") {
            prop_assert_eq!(links().read_unsubscribe(&text, at(0)), Err(BadLink::Invalid));
        }

        #[test]
        fn no_byte_of_a_token_can_be_changed(place in 0_usize..10_000, with in "[A-Za-z0-9_.-]") {
            let url = links().unsubscribe(&bob(), ChannelKind::Email, None, at(0));
            let mut changed = token(&url).to_owned();
            let place = place % changed.len();
            changed.replace_range(place..=place, &with);
            prop_assume!(changed != token(&url));
            // The last character of either part has bits that base64 does not use; those that are
            // not zero are refused too.
            prop_assert_eq!(links().read_unsubscribe(&changed, at(0)), Err(BadLink::Invalid));
        }
    }
}
