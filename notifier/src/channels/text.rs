//! What people wrote, made fit to be shown in one line of something else.

/// The most of one person's name.
const NAME_CHARS: usize = 40;
/// The most of what somebody wrote.
const PREVIEW_CHARS: usize = 160;

/// A display name: one line, short; empty if there is nothing to see.
pub fn name(text: &str) -> String {
    one_line(text, NAME_CHARS)
}

/// The beginning of a message: one line.
pub fn preview(text: &str) -> String {
    one_line(text, PREVIEW_CHARS)
}

/// No line ends, no control characters, nothing that turns the direction of what follows or that
/// cannot be seen; blanks are single.
fn one_line(text: &str, max_chars: usize) -> String {
    let shown = text.chars().filter(|c| !is_unseen(*c));
    let mut line = String::new();
    let mut chars = 0;
    let mut blank = false;
    for c in shown {
        if c.is_whitespace() || c.is_control() {
            blank = true;
            continue;
        }
        let wanted = if blank && chars > 0 { 2 } else { 1 };
        if chars + wanted > max_chars {
            return cut(line, max_chars);
        }
        if wanted == 2 {
            line.push(' ');
        }
        line.push(c);
        chars += wanted;
        blank = false;
    }
    line
}

/// Makes room for the sign that something is missing, not in the middle of an emoji.
fn cut(mut line: String, max_chars: usize) -> String {
    while line.chars().count() >= max_chars || line.ends_with(joins_what_follows) {
        line.pop();
    }
    line.truncate(line.trim_end().len());
    line.push('…');
    line
}

/// A joiner that would be left at the end.
fn joins_what_follows(c: char) -> bool {
    c == '\u{200d}'
}

/// Marks of direction, which could make a line read otherwise than it is, and characters without
/// a shape. The joiners U+200C and U+200D stay: emoji and Persian are written with them.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_a_line() {
        assert_eq!(preview(" a\r\n\tb\u{2028}c\0d\u{85}e "), "a b c d e");
        assert_eq!(name("\u{202e}evil\u{202c}\u{200b}"), "evil");
        assert_eq!(name("\r\n \t"), "");
        assert_eq!(name("Zoë 👩‍🚀"), "Zoë 👩‍🚀");
    }

    #[test]
    fn what_is_too_long_ends_with_a_sign_and_with_a_whole_emoji() {
        let long = preview(&"🦀".repeat(10_000));
        assert_eq!(long.chars().count(), PREVIEW_CHARS);
        assert!(long.ends_with("🦀…"));
        let joined = name(&format!("{}👩\u{200d}🚀👩\u{200d}🚀", "x".repeat(37)));
        assert!(joined.ends_with("👩…"), "{joined}");
        assert_eq!(name(&"x".repeat(40)), "x".repeat(40));
    }

    proptest! {
        #[test]
        fn nothing_gets_past(text in any::<String>()) {
            let line = preview(&text);
            prop_assert!(line.chars().count() <= PREVIEW_CHARS);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_unseen(c)));
            prop_assert!(line.chars().filter(|c| c.is_whitespace()).all(|c| c == ' '));
            prop_assert_eq!(preview(&line), line);
        }
    }
}
