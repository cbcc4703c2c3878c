//! Text as a search compares it: without case, without accents, and without the many ways of writing
//! the same letter.
//!
//! Compatibility decomposition (NFKD), both cases made one, marks taken away. Two things are put
//! together again, because taken apart they would be found in what they are no part of for whoever
//! reads them: syllables of Hangul, and kana with the marks that make them other sounds.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};

/// The folded text.
pub(super) fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    fold(text, |_, character| folded.push(character));
    folded
}

/// The folded text, and from where in `text` each of its characters comes.
pub(super) struct Traced {
    pub text: String,
    /// By the character's place in the folded text, ascending: its place in the original.
    places: Vec<(usize, usize)>,
}

impl Traced {
    pub fn of(text: &str) -> Self {
        let mut traced = Self { text: String::with_capacity(text.len()), places: Vec::new() };
        fold(text, |original, character| {
            traced.places.push((traced.text.len(), original));
            traced.text.push(character);
        });
        traced
    }

    /// Where in the original the character begins that `place`, a place in the folded text, is of.
    pub fn original(&self, place: usize) -> usize {
        let behind = self.places.partition_point(|(folded, _)| *folded <= place);
        behind.checked_sub(1).and_then(|last| self.places.get(last)).map_or(0, |(_, at)| *at)
    }
}

/// Gives each folded character, and the place of the character of `text` that it comes from, or
/// begins with.
fn fold(text: &str, mut emit: impl FnMut(usize, char)) {
    // The last one: what follows may yet join it.
    let mut last: Option<(usize, char)> = None;
    let mut push = |last: &mut Option<(usize, char)>, place, character| {
        if let Some((place, character)) = last.replace((place, character)) {
            emit(place, character);
        }
    };
    for (place, character) in text.char_indices() {
        if character.is_ascii() {
            push(&mut last, place, character.to_ascii_lowercase());
            continue;
        }
        decompose_compatible(character, |part| {
            if joins(part)
                && let Some((_, before)) = &mut last
                && let Some(one) = compose(*before, part)
            {
                *before = one;
            } else if !is_dropped(part) {
                // Upper case first: ß is SS, and the two small sigmas have one capital.
                for lower in part.to_uppercase().flat_map(char::to_lowercase) {
                    push(&mut last, place, lower);
                }
            }
        });
    }
    if let Some((place, character)) = last {
        emit(place, character);
    }
}

/// Vowels and finals of Hangul, and the voicing marks of kana.
fn joins(part: char) -> bool {
    matches!(part, '\u{1161}'..='\u{1175}' | '\u{11a8}'..='\u{11c2}' | '\u{3099}' | '\u{309a}')
}

/// Accents and other marks, and what cannot be seen: where a word may be broken, how an emoji is to
/// be drawn.
fn is_dropped(part: char) -> bool {
    let is_unseen = matches!(part,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}');
    is_unseen || canonical_combining_class(part) != 0 && !joins(part)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn what_reads_alike_is_alike() {
        for (text, same) in [
            ("École", "ecole"),
            ("e\u{301}cole", "école"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("İstanbul", "istanbul"),
            ("ＡＢＣ１", "abc1"),
            ("ﬁne", "fine"),
            ("Ё", "е"),
            ("ｶﾞ", "ガ"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("שָׁלוֹם", "שלום"),
            ("co\u{ad}op", "coop"),
            ("❤\u{fe0f}", "❤"),
            ("x²", "x2"),
        ] {
            assert_eq!(folded(text), folded(same), "{text} {same}");
        }
    }

    #[test]
    fn what_reads_otherwise_is_not_part_of_it() {
        for (text, other) in [("각", "가"), ("がく", "かく"), ("かく", "がく"), ("パパ", "ハハ")]
        {
            assert!(!folded(text).contains(&folded(other)), "{text} {other}");
        }
    }

    #[test]
    fn each_folded_character_knows_where_it_comes_from() {
        let traced = Traced::of("Aße\u{301}\u{301}ﬁz");
        assert_eq!(traced.text, "assefiz");
        let places: Vec<usize> = (0..7).map(|place| traced.original(place)).collect();
        assert_eq!(places, [0, 1, 1, 3, 8, 8, 11]);
        assert_eq!(Traced::of("").original(0), 0);
    }

    /// Texts in which much happens at once.
    pub(in super::super) fn texts() -> impl Strategy<Value = String> {
        let some = prop::sample::select(vec![
            "a",
            "E",
            "é",
            "ß",
            "Σ",
            "ς",
            "İ",
            "ﬁ",
            "ﷺ",
            "한",
            "\u{1112}",
            "\u{1161}",
            "か",
            "が",
            "\u{3099}",
            "ｶ",
            "ﾞ",
            "日",
            "本",
            "👩\u{200d}🚀",
            "❤\u{fe0f}",
            "\u{301}",
            "\u{ad}",
            " ",
            "\n",
            "\u{3000}",
            "´",
            "क्षि",
            "ก็",
            "1",
            "²",
        ]);
        let mixed = prop::collection::vec(some, 0..40).prop_map(|parts| parts.concat());
        prop_oneof![mixed, any::<String>(), "[a-zA-Z .]{0,300}"]
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in texts()) {
            prop_assert_eq!(folded(&folded(&text)), folded(&text));
        }

        #[test]
        fn the_same_text_in_any_normal_form_folds_alike(text in texts()) {
            let nfd: String = text.nfd().collect();
            let nfc: String = text.nfc().collect();
            prop_assert_eq!(folded(&nfd), folded(&nfc));
            prop_assert_eq!(folded(&text.nfkc().collect::<String>()), folded(&nfc));
        }

        #[test]
        fn tracing_folds_alike_and_points_to_characters(text in texts()) {
            let traced = Traced::of(&text);
            prop_assert_eq!(&traced.text, &folded(&text));
            let mut before = 0;
            for place in 0..traced.text.len() {
                let original = traced.original(place);
                prop_assert!(text.is_char_boundary(original) && original >= before);
                before = original;
            }
        }

        #[test]
        fn ascii_is_no_special_case(text in "[ -~\n\t]{0,80}") {
            prop_assert_eq!(Traced::of(&text).text, folded(&text));
        }
    }
}
