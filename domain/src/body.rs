//! What a message says.

mod attachment;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

pub use attachment::{Attachment, File, MAX_ATTACHMENTS, MAX_FILE_NAME_CHARACTERS};

/// The longest text, in characters after NFC.
pub const MAX_TEXT_CHARACTERS: usize = 4_096;
/// The longest ciphertext of an `encrypted` body, in bytes; with its frame it stays under 64 KiB.
pub const MAX_CIPHERTEXT_BYTES: usize = 48 * 1_024;

/// A body that the contract does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    #[error("{0}")]
    Malformed(String),
    #[error("a text needs at least one character that is not white space")]
    Blank,
    #[error("{field} is longer than {max} characters")]
    TooLong { field: &'static str, max: usize },
    #[error("{field} is not allowed: {why}")]
    Field { field: &'static str, why: &'static str },
    #[error("a file has {max_bytes} bytes at most")]
    FileTooLarge { max_bytes: u64 },
}

/// The content of a message; in JSON an object with its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Body {
    Text {
        text: String,
    },
    /// Files, with or without a text.
    Attachment {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        attachments: Vec<Attachment>,
    },
    Listing(Card),
    Order(Card),
    Shipment(Card),
    Return(Card),
    /// Written by backend services only.
    System {
        text: String,
    },
    /// Opaque to the server.
    Encrypted {
        scheme: String,
        ciphertext: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
    },
}

/// A thing of the marketplace, shown as a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    pub ref_id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// In the currency's smallest unit, e.g. cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_minor: Option<i64>,
    /// ISO 4217, e.g. `EUR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Body {
    /// Brings texts to NFC and checks every bound; errors with [`InvalidBody`].
    pub fn validated(self) -> Result<Self, InvalidBody> {
        match self {
            Self::Text { text } => Ok(Self::Text { text: spoken("text", text)? }),
            Self::Attachment { text, attachments } => Ok(Self::Attachment {
                text: text.map(|text| spoken("text", text)).transpose()?,
                attachments: attachment::named(attachments)?,
            }),
            Self::System { text } => Ok(Self::System { text: spoken("text", text)? }),
            Self::Listing(card) => card.validated().map(Self::Listing),
            Self::Order(card) => card.validated().map(Self::Order),
            Self::Shipment(card) => card.validated().map(Self::Shipment),
            Self::Return(card) => card.validated().map(Self::Return),
            Self::Encrypted { scheme, ciphertext, header } => Ok(Self::Encrypted {
                scheme: line("scheme", scheme, 64)?,
                ciphertext: line("ciphertext", ciphertext, MAX_CIPHERTEXT_BYTES)?,
                header: header.map(|header| line("header", header, 4_096)).transpose()?,
            }),
        }
    }

    /// Whether only backend services may write it.
    pub fn is_for_services(&self) -> bool {
        matches!(self, Self::System { .. })
    }

    /// Whether it is a thing of the marketplace, or what the marketplace says.
    pub fn is_of_the_marketplace(&self) -> bool {
        match self {
            Self::Listing(_)
            | Self::Order(_)
            | Self::Shipment(_)
            | Self::Return(_)
            | Self::System { .. } => true,
            Self::Text { .. } | Self::Attachment { .. } | Self::Encrypted { .. } => false,
        }
    }

    /// The files that it is sent with.
    pub fn attachments(&self) -> &[Attachment] {
        match self {
            Self::Attachment { attachments, .. } => attachments,
            Self::Text { .. }
            | Self::Listing(_)
            | Self::Order(_)
            | Self::Shipment(_)
            | Self::Return(_)
            | Self::System { .. }
            | Self::Encrypted { .. } => &[],
        }
    }

    /// The same with these files in the place of its own.
    pub(crate) fn with_attachments(self, attachments: Vec<Attachment>) -> Self {
        match self {
            Self::Attachment { text, .. } => Self::Attachment { text, attachments },
            other @ (Self::Text { .. }
            | Self::Listing(_)
            | Self::Order(_)
            | Self::Shipment(_)
            | Self::Return(_)
            | Self::System { .. }
            | Self::Encrypted { .. }) => other,
        }
    }

    /// What its reader sees of it as text, in the order in which it is shown.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text { text } | Self::System { text } => vec![text],
            Self::Attachment { text, attachments } => {
                let files = attachments.iter().filter_map(|attachment| attachment.file.as_ref());
                let names = files.map(|file| file.file_name.as_str());
                text.as_deref().into_iter().chain(names).collect()
            }
            Self::Listing(card) | Self::Order(card) | Self::Shipment(card) | Self::Return(card) => {
                let Card { title, ref_id, state, text, .. } = card;
                let given = [Some(title), Some(ref_id), state.as_ref(), text.as_ref()];
                given.into_iter().flatten().map(String::as_str).collect()
            }
            Self::Encrypted { .. } => Vec::new(),
        }
    }

    /// A stable 64-bit hash of the content (FNV-1a over its JSON), to tell a retry from another
    /// message under the same clientMessageId. It survives in the views when the body is erased.
    /// Files count by their ids: a retry does not know more of them.
    pub fn fingerprint(&self) -> u64 {
        let json = match self {
            Self::Attachment { attachments, .. } => {
                let bare = attachment::without_files(attachments);
                serde_json::to_vec(&self.clone().with_attachments(bare))
            }
            Self::Text { .. }
            | Self::Listing(_)
            | Self::Order(_)
            | Self::Shipment(_)
            | Self::Return(_)
            | Self::System { .. }
            | Self::Encrypted { .. } => serde_json::to_vec(self),
        };
        let json = json.unwrap_or_default();
        json.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl Card {
    fn validated(self) -> Result<Self, InvalidBody> {
        let currency = self.currency.map(|code| line("currency", code, 3)).transpose()?;
        if currency
            .as_ref()
            .is_some_and(|code| code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(InvalidBody::Field { field: "currency", why: "three capital letters" });
        }
        Ok(Self {
            ref_id: line("refId", self.ref_id, 128)?,
            title: line("title", self.title, 256)?,
            url: self.url.map(|url| web_address("url", url)).transpose()?,
            image_url: self.image_url.map(|url| web_address("imageUrl", url)).transpose()?,
            price_minor: self.price_minor,
            currency,
            state: self.state.map(|state| line("state", state, 64)).transpose()?,
            text: self.text.map(|text| spoken("text", text)).transpose()?,
        })
    }
}

/// Prose: several lines, emoji, anything but what a database or terminal chokes on.
fn spoken(field: &'static str, text: String) -> Result<String, InvalidBody> {
    // NFC never grows a text by more than 3 times (Unicode Annex 15), so this bounds the work.
    if text.len() > MAX_TEXT_CHARACTERS * 4 * 3 {
        return Err(InvalidBody::TooLong { field, max: MAX_TEXT_CHARACTERS });
    }
    let text: String = if text.is_ascii() { text } else { text.nfc().collect() };
    if text.chars().count() > MAX_TEXT_CHARACTERS {
        return Err(InvalidBody::TooLong { field, max: MAX_TEXT_CHARACTERS });
    }
    if text.chars().all(char::is_whitespace) {
        return Err(InvalidBody::Blank);
    }
    if text.contains('\0') {
        return Err(InvalidBody::Field { field, why: "it holds the character U+0000" });
    }
    Ok(text)
}

/// One line without control characters.
fn line(field: &'static str, text: String, max: usize) -> Result<String, InvalidBody> {
    if text.chars().count() > max {
        return Err(InvalidBody::TooLong { field, max });
    }
    if text.trim().is_empty() {
        return Err(InvalidBody::Field { field, why: "it is empty" });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidBody::Field { field, why: "it holds a control character" });
    }
    Ok(text)
}

/// An address that a page may link to: never `javascript:` and the like.
fn web_address(field: &'static str, url: String) -> Result<String, InvalidBody> {
    let url = line(field, url, 2_048)?;
    if url.starts_with("https://") || url.starts_with("http://") {
        Ok(url)
    } else {
        Err(InvalidBody::Field { field, why: "only http and https addresses" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<Body, InvalidBody> {
        Body::Text { text: text.to_owned() }.validated()
    }

    #[test]
    fn a_text_is_1_to_4096_characters_after_nfc() {
        assert_eq!(text("e\u{301}"), Ok(Body::Text { text: "é".to_owned() }));
        assert!(text(&"é".repeat(4_096)).is_ok());
        assert!(text(&"👋".repeat(4_096)).is_ok());
        assert!(text(&"e\u{301}".repeat(4_096)).is_ok());
        assert_eq!(
            text(&"a".repeat(4_097)),
            Err(InvalidBody::TooLong { field: "text", max: 4_096 })
        );
        assert_eq!(
            text(&"a".repeat(1_000_000)),
            Err(InvalidBody::TooLong { field: "text", max: 4_096 })
        );
        for blank in ["", " \n\t", "\u{2003}\u{3000}"] {
            assert_eq!(text(blank), Err(InvalidBody::Blank));
        }
        assert!(matches!(text("a\0b"), Err(InvalidBody::Field { .. })));
    }

    #[test]
    fn a_card_links_to_the_web_only() {
        let card = |url: &str| {
            serde_json::from_value::<Body>(serde_json::json!(
                {"kind":"listing","refId":"L-1","title":"Bicycle","url":url,"priceMinor":12000,"currency":"EUR"}
            ))
            .unwrap()
            .validated()
        };
        assert!(card("https://shop.example/l/1").is_ok());
        assert!(matches!(
            card("javascript:alert(1)"),
            Err(InvalidBody::Field { field: "url", .. })
        ));
    }

    #[test]
    fn unknown_kinds_and_wrong_types_do_not_parse() {
        for json in [
            r#"{"kind":"hologram"}"#,
            r#"{"text":"x"}"#,
            r#"{"kind":"text"}"#,
            r#"{"kind":"text","text":1}"#,
            "[]",
            "null",
        ] {
            assert!(serde_json::from_str::<Body>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_fingerprint_tells_bodies_apart_and_is_stable() {
        let ship = Body::Text { text: "ship it".to_owned() };
        assert_eq!(ship.fingerprint(), 0x765b_82ac_f5c7_a422);
        assert_ne!(ship.fingerprint(), Body::System { text: "ship it".to_owned() }.fingerprint());
    }
}
