//! The emoji of a reaction.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

/// Long enough for every emoji of Unicode: families and flags of regions are sequences.
pub const MAX_EMOJI_BYTES: usize = 64;

/// Something else than one emoji.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reaction is one emoji of at most {MAX_EMOJI_BYTES} bytes")]
pub struct InvalidEmoji;

/// One emoji, as people see one: it may be several characters, e.g. with a skin tone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Emoji(SmolStr);

impl Emoji {
    /// Errors with [`InvalidEmoji`].
    pub fn parse(text: &str) -> Result<Self, InvalidEmoji> {
        check(text)?;
        Ok(Self(SmolStr::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), InvalidEmoji> {
    if text.len() > MAX_EMOJI_BYTES || text.graphemes(true).count() != 1 {
        return Err(InvalidEmoji);
    }
    let is_emoji = match text.chars().next() {
        // Digits, # and * are emoji only as keycaps.
        Some(first) if first.is_ascii() => first.is_emoji_char() && text.ends_with('\u{20e3}'),
        Some(first) => first.is_emoji_char(),
        None => false,
    };
    if is_emoji { Ok(()) } else { Err(InvalidEmoji) }
}

impl TryFrom<SmolStr> for Emoji {
    type Error = InvalidEmoji;

    fn try_from(text: SmolStr) -> Result<Self, InvalidEmoji> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl From<Emoji> for SmolStr {
    fn from(emoji: Emoji) -> SmolStr {
        emoji.0
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_and_nothing_else() {
        for text in ["👍", "👍🏽", "❤️", "❤", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
        {
            assert_eq!(Emoji::parse(text).unwrap().as_str(), text);
        }
        for text in ["", " ", "a", "1", "#", "👍👍", "👍a", "ä", "\0", "\u{200d}", "\u{fe0f}"]
        {
            assert_eq!(Emoji::parse(text), Err(InvalidEmoji), "{text}");
        }
        // One grapheme may be of any length.
        let long = format!("👩{}", "\u{200d}👩".repeat(20));
        assert_eq!(Emoji::parse(&long), Err(InvalidEmoji));
    }
}
