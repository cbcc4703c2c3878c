//! What a group or channel is called.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The longest title, in characters after NFC.
pub const MAX_TITLE_CHARACTERS: usize = 128;

/// One line in NFC, 1 to [`MAX_TITLE_CHARACTERS`] characters, not all of them white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Title(String);

/// Not a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a title is one line of 1 to {MAX_TITLE_CHARACTERS} characters, at least one not white space"
)]
pub struct InvalidTitle;

impl Title {
    /// # Errors
    /// [`InvalidTitle`].
    pub fn parse(text: &str) -> Result<Self, InvalidTitle> {
        // NFC never grows a text by more than 3 times, so this bounds the work.
        if text.len() > MAX_TITLE_CHARACTERS * 4 * 3 {
            return Err(InvalidTitle);
        }
        let title: String = text.trim().nfc().collect();
        let fits = (1..=MAX_TITLE_CHARACTERS).contains(&title.chars().count());
        if fits && !title.chars().any(char::is_control) {
            Ok(Self(title))
        } else {
            Err(InvalidTitle)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = InvalidTitle;

    fn try_from(text: String) -> Result<Self, InvalidTitle> {
        Self::parse(&text)
    }
}

impl From<Title> for String {
    fn from(title: Title) -> String {
        title.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_that_says_something() {
        assert_eq!(Title::parse(" Flea market ").unwrap().as_str(), "Flea market");
        assert_eq!(Title::parse("Cafe\u{301}").unwrap().as_str(), "Café");
        assert!(Title::parse(&"é".repeat(MAX_TITLE_CHARACTERS)).is_ok());
        let long = "a".repeat(MAX_TITLE_CHARACTERS + 1);
        for bad in ["", " \t", "a\nb", "a\0b", "\u{2003}", &long, &" ".repeat(10_000)] {
            assert_eq!(Title::parse(bad), Err(InvalidTitle), "{bad:?}");
        }
    }
}
