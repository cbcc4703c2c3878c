//! Contact details in a text, made unreadable: for marketplaces that want deals to stay where
//! buyers and sellers are protected, until there is an order.
//!
//! It finds what people write plainly. Who spells an address out in words gets past it; that is for
//! people to judge.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};

use crate::body::Body;

/// What is put in the place of what was found.
pub const MASK: &str = "•••";

/// Telephone numbers have so many digits (E.164 has 15 at most).
const PHONE_DIGITS: Range<usize> = 8..16;
/// Between two digits of one telephone number stand no more characters than these.
const PHONE_GAP: usize = 3;

/// What is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Masking {
    pub emails: bool,
    pub phones: bool,
    pub links: bool,
}

impl Masking {
    /// The body as it may be sent, if that is another one. Only what a person writes is looked at:
    /// texts, and the text of files and cards.
    pub fn of(self, body: &Body) -> Option<Body> {
        if self == Self::default() {
            return None;
        }
        let mut masked = body.clone();
        let text = match &mut masked {
            Body::Text { text } => Some(text),
            Body::Attachment { text, .. } => text.as_mut(),
            Body::Listing(card) | Body::Order(card) | Body::Shipment(card) | Body::Return(card) => {
                card.text.as_mut()
            }
            Body::System { .. } | Body::Encrypted { .. } => None,
        }?;
        *text = self.text(text)?;
        Some(masked)
    }

    /// `None` if there is nothing to mask.
    fn text(self, text: &str) -> Option<String> {
        let mut found = Vec::new();
        if self.emails || self.links {
            let mut finder = LinkFinder::new();
            finder.url_must_have_scheme(false);
            for link in finder.links(text) {
                let wanted = if *link.kind() == LinkKind::Email {
                    self.emails
                } else {
                    self.links && is_address(link.as_str())
                };
                if wanted {
                    found.push(link.start()..link.end());
                }
            }
        }
        if self.phones {
            found.extend(phones(text));
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let (mut masked, mut kept) = (String::new(), 0);
        for range in found {
            // What lies in something that was masked is masked.
            if range.start < kept {
                continue;
            }
            masked.push_str(text.get(kept..range.start)?);
            masked.push_str(MASK);
            kept = range.end;
        }
        if kept == 0 {
            return None;
        }
        masked.push_str(text.get(kept..)?);
        Some(masked)
    }
}

/// Without a scheme, `ok.thanks` looks like an address, too: the last label decides.
fn is_address(link: &str) -> bool {
    if link.contains("://") || link.starts_with("www.") {
        return true;
    }
    let host = link.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let last = host.rsplit('.').next().unwrap_or_default();
    last.len() == 2 || COMMON.contains(&last.to_ascii_lowercase().as_str())
}

/// Common top level domains of more than two letters.
const COMMON: [&str; 18] = [
    "com", "net", "org", "info", "biz", "shop", "store", "online", "site", "app", "dev", "link",
    "page", "live", "club", "xyz", "top", "chat",
];

/// Runs of digits, with what people write between them.
fn phones(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut run) = (Vec::new(), Run::default());
    for (place, character) in text.char_indices() {
        if character.is_ascii_digit() {
            run.digit(place);
            continue;
        }
        let may_separate = matches!(character, ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}');
        let opens = matches!(character, '+' | '(');
        if may_separate && run.digits > 0 && run.gap < PHONE_GAP {
            run.gap += 1;
            run.separators.push(character);
        } else {
            run.end(&mut found);
            if opens {
                run.start = Some(place);
                run.plus = character == '+';
            }
        }
    }
    run.end(&mut found);
    found
}

#[derive(Debug, Default)]
struct Run {
    start: Option<usize>,
    end: usize,
    digits: usize,
    gap: usize,
    plus: bool,
    /// Lengths of the groups of digits, to tell a date from a number.
    groups: Vec<usize>,
    separators: String,
}

impl Run {
    fn digit(&mut self, place: usize) {
        self.start.get_or_insert(place);
        match self.groups.last_mut() {
            Some(group) if self.gap == 0 => *group += 1,
            Some(_) | None => self.groups.push(1),
        }
        self.digits += 1;
        self.gap = 0;
        self.end = place + 1;
    }

    fn end(&mut self, found: &mut Vec<Range<usize>>) {
        let run = std::mem::take(self);
        let is_date =
            matches!(*run.groups, [4, 2, 2] | [2, 2, 4] | [1, 2, 4] | [2, 1, 4] | [1, 1, 4]);
        let is_number = PHONE_DIGITS.contains(&run.digits) && (run.plus || !is_date);
        if let Some(start) = run.start
            && is_number
        {
            found.push(start..run.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Masking = Masking { emails: true, phones: true, links: true };

    fn masked(text: &str) -> String {
        ALL.text(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn addresses_numbers_and_links_are_masked() {
        for (text, expected) in [
            ("write to anna.b@mail.example please", "write to ••• please"),
            ("call +49 170 1234567!", "call •••!"),
            ("call (030) 123-4567-8 or 0170/1234567", "call ••• or •••"),
            ("01701234567", "•••"),
            ("see https://shop.example/x?y=1, or www.a.example.", "see •••, or •••."),
            ("my-shop.com has it", "••• has it"),
            ("a@b.example and a@b.example", "••• and •••"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        for text in [
            "is it still available?",
            "I offer 1.200,50 for it",
            "on 2026-11-22 at 18:30, or 22.11.2026",
            "order 12345, size 42-44",
            "ok.thanks for that",
            "👋🏽 ½ price… (really)",
            "",
        ] {
            assert_eq!(ALL.text(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_masked() {
        let text = "a@b.example 01701234567 https://c.example";
        let only = |masking: Masking| masking.text(text).unwrap();
        assert_eq!(Masking::default().text(text), None);
        let emails = Masking { emails: true, ..Masking::default() };
        assert_eq!(only(emails), "••• 01701234567 https://c.example");
        let phones = Masking { phones: true, ..Masking::default() };
        assert_eq!(only(phones), "a@b.example ••• https://c.example");
        let links = Masking { links: true, ..Masking::default() };
        assert_eq!(only(links), "a@b.example 01701234567 •••");
    }

    #[test]
    fn a_body_is_masked_where_a_person_writes() {
        let text = Body::Text { text: "mail a@b.example".to_owned() };
        assert_eq!(ALL.of(&text), Some(Body::Text { text: "mail •••".to_owned() }));
        let files = |text: Option<&str>| Body::Attachment {
            text: text.map(str::to_owned),
            attachments: Vec::new(),
        };
        assert_eq!(ALL.of(&files(Some("mail a@b.example"))), Some(files(Some("mail •••"))));
        assert_eq!(ALL.of(&files(None)), None);
        let system = Body::System { text: "mail a@b.example".to_owned() };
        assert_eq!(ALL.of(&system), None);
    }

    proptest::proptest! {
        /// Never panics, and what is masked once needs no second time.
        #[test]
        fn masking_is_total_and_settles(text in ".{0,200}") {
            let once = masked(&text);
            proptest::prop_assert_eq!(masked(&once), once.clone());
        }

        #[test]
        fn digits_settle_too(text in "[0-9 ()+./-]{0,60}") {
            let once = masked(&text);
            proptest::prop_assert_eq!(masked(&once), once.clone());
        }
    }
}
