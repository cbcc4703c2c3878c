//! The part of a message that shows why it was found.

use parley_domain::Body;
use unicode_segmentation::UnicodeSegmentation;

use super::{fold::Traced, words::Words};

/// How much of a message is shown, in characters, and how much of that before what was found.
const SNIPPET_CHARACTERS: usize = 120;
const BEFORE_CHARACTERS: usize = 40;
/// In the place of what is left out.
const LEFT_OUT: char = '…';

/// As it was written, on one line: around the first of the words in the first of the body's texts
/// that has one.
pub(super) fn snippet(body: &Body, words: &Words) -> String {
    let mut texts = body.texts().into_iter().map(one_line);
    let found = texts.find_map(|line| {
        let traced = Traced::of(&line);
        let place = traced.original(words.first_in(&traced.text)?);
        Some(around(&line, place))
    });
    found.unwrap_or_default()
}

/// Blanks and line ends are single blanks. Words have none, so they stay where they are.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// Cuts between characters as a reader sees them, never through an emoji or an accented letter.
fn around(line: &str, place: usize) -> String {
    let parts: Vec<(usize, usize)> =
        line.grapheme_indices(true).map(|(start, part)| (start, part.chars().count())).collect();
    let found = parts.partition_point(|(start, _)| *start <= place).saturating_sub(1);
    let (before, after) = parts.split_at(found);
    let length = |parts: &[(usize, usize)]| parts.iter().map(|(_, characters)| characters).sum();
    // What one side does not need, the other has.
    let room_before = SNIPPET_CHARACTERS.saturating_sub(length(after)).max(BEFORE_CHARACTERS);
    let first = found - fitting(before.iter().rev(), room_before);
    let shown_before: usize = length(&parts[first..found]);
    // What was found is shown at least to its first letter.
    let shown = fitting(after.iter(), SNIPPET_CHARACTERS - shown_before).max(1);
    let start = parts.get(first).map_or(0, |(start, _)| *start);
    let end = after.get(shown).map_or(line.len(), |(start, _)| *start);
    let mut snippet = String::with_capacity(end - start + 2 * LEFT_OUT.len_utf8());
    if start > 0 {
        snippet.push(LEFT_OUT);
    }
    snippet.push_str(line.get(start..end).unwrap_or_default().trim());
    if end < line.len() {
        snippet.push(LEFT_OUT);
    }
    snippet
}

/// How many of these parts have no more characters than this together.
fn fitting<'a>(parts: impl Iterator<Item = &'a (usize, usize)>, mut room: usize) -> usize {
    let fits = |(_, characters): &&(usize, usize)| match room.checked_sub(*characters) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    parts.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::fold::{folded, tests::texts},
        *,
    };

    fn of(text: &str, typed: &str) -> String {
        snippet(&Body::Text { text: text.to_owned() }, &Words::parse(typed).unwrap())
    }

    #[test]
    fn a_short_text_is_shown_whole_on_one_line() {
        assert_eq!(of("Schöne\n\n  Grüße ", "grusse"), "Schöne Grüße");
        assert_eq!(of("x", "X"), "x");
    }

    #[test]
    fn a_long_text_is_cut_on_both_sides() {
        let text = format!("{} Straße {}", "a".repeat(200), "b".repeat(200));
        let shown = of(&text, "STRASSE");
        let expected = format!("…{} Straße {}…", "a".repeat(39), "b".repeat(73));
        assert_eq!(shown, expected);
        // Without much behind it there is more before it, and the other way round.
        let end = of(&format!("{} end", "a".repeat(200)), "end");
        assert_eq!(end, format!("…{} end", "a".repeat(116)));
        let start = of(&format!("start {}", "b".repeat(200)), "start");
        assert_eq!(start, format!("start {}…", "b".repeat(114)));
    }

    #[test]
    fn no_emoji_or_accent_is_cut_through() {
        let rockets = "👩\u{200d}🚀".repeat(100);
        let shown = of(&format!("{rockets}here{rockets}"), "here");
        let inner = shown.trim_matches(LEFT_OUT);
        assert_eq!(inner.replace("👩\u{200d}🚀", ""), "here", "{shown}");
        let accents = "e\u{301}".repeat(200);
        assert!(!of(&format!("{accents}x"), "x").starts_with("…\u{301}"));
    }

    #[test]
    fn it_is_of_the_first_field_that_has_one_of_the_words() {
        let card: Body = serde_json::from_value(serde_json::json!({
            "kind": "order", "refId": "O-77", "title": "Bicycle", "text": "is o-77 on Monday"
        }))
        .unwrap();
        let shown = |typed| snippet(&card, &Words::parse(typed).unwrap());
        assert_eq!(shown("o-77"), "O-77");
        assert_eq!(shown("monday"), "is o-77 on Monday");
        assert_eq!(shown("monday bicycle"), "Bicycle");
    }

    proptest! {
        #[test]
        fn it_shows_a_part_of_the_text_with_what_was_found(
            before in texts(), word in "[a-zäé日한]{1,9}", after in texts(),
        ) {
            let text = format!("{before} {word} {after}");
            let body = Body::Text { text: text.clone() };
            let words = Words::parse(&word).unwrap();
            prop_assert!(words.are_in(&body));
            let shown = snippet(&body, &words);
            let inner = shown.trim_matches(LEFT_OUT);
            prop_assert!(one_line(&text).contains(inner.trim()), "{}", shown);
            prop_assert!(folded(inner).contains(&folded(&word)), "{}", shown);
            prop_assert!(inner.chars().count() <= SNIPPET_CHARACTERS);
            prop_assert!(!shown.contains('\n'));
        }
    }
}
