//! What is searched for, and whether a message has it.

use parley_domain::Body;

use super::fold::folded;

/// The longest search, in characters.
pub const MAX_SEARCH_CHARACTERS: usize = 256;
/// The most words of one.
pub const MAX_SEARCH_WORDS: usize = 10;

/// Not something that can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWords {
    #[error("q has 1 to {MAX_SEARCH_CHARACTERS} characters")]
    Length,
    #[error("q has at most {MAX_SEARCH_WORDS} words")]
    TooMany,
    #[error("q has nothing that can be searched for")]
    Nothing,
}

/// Words, or parts of words, all of which are to be in a message, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(
    /// Folded, the longest first: it is the rarest, mostly.
    Vec<String>,
);

impl Words {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// [`InvalidWords`] if it is too much or nothing.
    pub fn parse(typed: &str) -> Result<Self, InvalidWords> {
        let typed = typed.trim();
        if typed.is_empty() || typed.chars().count() > MAX_SEARCH_CHARACTERS {
            return Err(InvalidWords::Length);
        }
        if typed.split_whitespace().count() > MAX_SEARCH_WORDS {
            return Err(InvalidWords::TooMany);
        }
        // Folding makes blanks of some accents that stand alone.
        let mut words: Vec<String> = folded(typed).split_whitespace().map(str::to_owned).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        if words.is_empty() { Err(InvalidWords::Nothing) } else { Ok(Self(words)) }
    }

    /// Whether all of them are in what its reader sees of it.
    pub(super) fn are_in(&self, body: &Body) -> bool {
        let texts: Vec<String> = body.texts().into_iter().map(folded).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
    }

    /// Where in a folded text the first of them begins that is there.
    pub(super) fn first_in(&self, folded: &str) -> Option<usize> {
        self.0.iter().filter_map(|word| folded.find(word.as_str())).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::fold::tests::texts, *};

    fn words(typed: &str) -> Words {
        Words::parse(typed).unwrap()
    }

    fn text(text: &str) -> Body {
        Body::Text { text: text.to_owned() }
    }

    #[test]
    fn all_words_are_to_be_there_in_any_order_and_as_parts() {
        let body = text("Das Fahrrad wird morgen verschickt, schöne Grüße");
        for typed in ["fahrrad", "GRUSSE", "schick rad", "  morgen\n das ", "grüsse", "rad rad"] {
            assert!(words(typed).are_in(&body), "{typed}");
        }
        for typed in ["fahrrad heute", "verschicken", "x"] {
            assert!(!words(typed).are_in(&body), "{typed}");
        }
        assert!(words("東京").are_in(&text("明日東京駅で会いましょう")));
        assert!(!words("京東").are_in(&text("明日東京駅で会いましょう")));
    }

    #[test]
    fn what_a_reader_sees_is_searched_and_nothing_else() {
        let card: Body = serde_json::from_value(serde_json::json!({
            "kind": "order", "refId": "O-77", "title": "Bicycle", "state": "shipped",
            "text": "on Monday", "url": "https://shop.example/secret", "currency": "EUR"
        }))
        .unwrap();
        assert!(words("o-77 BICYCLE shipped monday").are_in(&card));
        for unseen in ["secret", "eur", "order"] {
            assert!(!words(unseen).are_in(&card), "{unseen}");
        }
        // From the end of one field into the next is no word.
        assert!(!words("bicycleo-77").are_in(&card));
        let sealed: Body = serde_json::from_value(serde_json::json!({
            "kind": "encrypted", "scheme": "x", "ciphertext": "hello", "header": "hello"
        }))
        .unwrap();
        assert!(!words("hello").are_in(&sealed));
        assert!(words("hello").are_in(&Body::System { text: "Hello".to_owned() }));
    }

    #[test]
    fn what_cannot_be_searched_for_is_named() {
        assert_eq!(Words::parse("  \u{3000}"), Err(InvalidWords::Length));
        assert_eq!(Words::parse(&"ä".repeat(257)), Err(InvalidWords::Length));
        assert!(Words::parse(&format!(" {} ", "ä".repeat(256))).is_ok());
        assert_eq!(Words::parse("a b c d e f g h i j k"), Err(InvalidWords::TooMany));
        assert!(Words::parse("a b c d e f g h i j").is_ok());
        for nothing in ["\u{301}", "´", "\u{200b}"] {
            assert_eq!(Words::parse(nothing), Err(InvalidWords::Nothing), "{nothing:?}");
        }
    }

    proptest! {
        #[test]
        fn whole_words_are_found_whatever_is_around_them(body in texts()) {
            let typed: Vec<&str> = body.split_whitespace().take(MAX_SEARCH_WORDS).collect();
            if let Ok(words) = Words::parse(&typed.join(" ")) {
                prop_assert!(words.are_in(&text(&body)));
                prop_assert!(words.are_in(&text(&body.to_lowercase())));
            }
        }
    }
}
