//! How long an SMS is: in GSM-7 if every character is in its alphabet, in UCS-2 otherwise.

/// One unit each: GSM 03.38's basic table.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Two units each: its extension.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// Whether a text takes at most so many segments.
pub fn fits(text: &str, segments: usize) -> bool {
    let (units, whole, part) = match gsm_units(text) {
        Some(units) => (units, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    // What takes two units is not divided: a segment but the last may be one short.
    units <= whole || (segments > 1 && units <= part * segments - (segments - 1))
}

/// `None` if it cannot be written in GSM-7.
fn gsm_units(text: &str) -> Option<usize> {
    text.chars()
        .map(|c| match c {
            _ if BASIC.contains(c) => Some(1),
            _ if EXTENDED.contains(c) => Some(2),
            _ => None,
        })
        .sum()
}

/// `before`, then as much of `middle` as there is room for, then `after`; `None` if there is no
/// room for anything of it.
pub fn fill(before: &str, middle: &str, after: &str, segments: usize) -> Option<String> {
    let mut middle = middle.to_owned();
    let mut sign = "";
    loop {
        let text = format!("{before}{middle}{sign}{after}");
        if fits(&text, segments) {
            return Some(text);
        }
        // Not between a joiner and what it joins, and no blank before the sign.
        middle.pop()?;
        while middle.ends_with(|c: char| c.is_whitespace() || c == '\u{200d}') {
            middle.pop();
        }
        if middle.is_empty() {
            return None;
        }
        // Three dots are in GSM-7's alphabet, the ellipsis is not.
        sign = "...";
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gsm_7_has_160_units_and_ucs_2_has_70() {
        assert!(fits(&"a".repeat(160), 1) && !fits(&"a".repeat(161), 1));
        assert!(fits(&"a".repeat(305), 2) && !fits(&"a".repeat(307), 2));
        assert!(fits(&"€".repeat(80), 1) && !fits(&"€".repeat(81), 1));
        assert!(fits(&"ы".repeat(70), 1) && !fits(&"ы".repeat(71), 1));
        assert!(fits(&"ы".repeat(133), 2) && !fits(&"ы".repeat(135), 2));
        assert!(fits(&"🦀".repeat(35), 1) && !fits(&"🦀".repeat(36), 1));
        // One character outside makes all of it UCS-2.
        assert!(!fits(&format!("{}ы", "a".repeat(70)), 1));
        assert!(fits("Grüße, Zoë? Ñ é ß", 1));
    }

    #[test]
    fn the_alphabet_is_whole() {
        assert_eq!(BASIC.chars().count(), 127, "128 without the escape");
        assert_eq!(EXTENDED.chars().count(), 10);
    }

    #[test]
    fn what_is_cut_ends_in_dots_and_what_follows_stays() {
        let text = fill("A: ", &"hello ".repeat(40), " https://x", 1).unwrap();
        assert!(fits(&text, 1));
        assert!(text.starts_with("A: hello") && text.ends_with("hello... https://x"), "{text}");
        assert_eq!(fill("A: ", "hello", " b", 1).unwrap(), "A: hello b");
        assert_eq!(fill(&"x".repeat(200), "hello", "", 1), None);
        let joined = fill("", &"👩\u{200d}🚀".repeat(100), "", 1).unwrap();
        assert!(!joined.contains("\u{200d}..."));
    }

    proptest! {
        #[test]
        fn whatever_is_filled_in_it_fits(middle in any::<String>(), segments in 1_usize..3) {
            if let Some(text) = fill("Parley: ", &middle, " https://chat.example/#/c/d.a.b", segments) {
                prop_assert!(fits(&text, segments));
                prop_assert!(text.ends_with(" https://chat.example/#/c/d.a.b"));
            }
        }
    }
}
