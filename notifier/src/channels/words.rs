//! What notifications say, language by language.
//!
//! # Recipe: add a language
//! Add a variant to [`Language`] and its arm everywhere the compiler asks for one.

use super::text;
use crate::notice::Notice;

/// The languages that there are texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

impl Language {
    /// By a BCP 47 tag; English if there are no texts in that language.
    pub fn of(locale: &str) -> Self {
        let primary = locale.split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("de") { Self::German } else { Self::English }
    }

    /// The tag of the texts themselves.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// How many wait, from whom: a subject, a title, the first sentence.
    pub fn headline(self, notice: &Notice) -> String {
        let what = match (self, notice.messages) {
            (Self::English, 1) => "New message".to_owned(),
            (Self::English, count) => format!("{count} new messages"),
            (Self::German, 1) => "Neue Nachricht".to_owned(),
            (Self::German, count) => format!("{count} neue Nachrichten"),
        };
        let from = match (self, self.names(&notice.senders)) {
            (_, None) => what,
            (Self::English, Some(names)) => format!("{what} from {names}"),
            (Self::German, Some(names)) => format!("{what} von {names}"),
        };
        let title = notice.title.as_deref().map(text::name).filter(|title| !title.is_empty());
        match (self, title) {
            (_, None) => from,
            (Self::English, Some(title)) => format!("{from} in {title}"),
            (Self::German, Some(title)) => format!("{from} in {title}"),
        }
    }

    /// `A, B and C`; `None` if no name can be shown.
    fn names(self, senders: &[String]) -> Option<String> {
        let names: Vec<String> = senders
            .iter()
            .take(3)
            .map(|sender| text::name(sender))
            .filter(|name| !name.is_empty())
            .collect();
        let and = match self {
            Self::English => "and",
            Self::German => "und",
        };
        match names.split_last()? {
            (last, []) => Some(last.clone()),
            (last, before) => Some(format!("{} {and} {last}", before.join(", "))),
        }
    }

    pub fn open(self) -> &'static str {
        match self {
            Self::English => "Read and answer",
            Self::German => "Lesen und antworten",
        }
    }

    pub fn why(self, brand: &str) -> String {
        match self {
            Self::English => {
                format!("You get this email because you were away from {brand}.")
            }
            Self::German => {
                format!("Du bekommst diese E-Mail, weil du nicht bei {brand} warst, als es ankam.")
            }
        }
    }

    pub fn unsubscribe(self) -> &'static str {
        match self {
            Self::English => "Stop these emails",
            Self::German => "Diese E-Mails abbestellen",
        }
    }

    pub fn verify_subject(self, brand: &str) -> String {
        match self {
            Self::English => format!("Confirm your email address for {brand}"),
            Self::German => format!("Bestätige deine E-Mail-Adresse für {brand}"),
        }
    }

    pub fn verify_why(self, brand: &str) -> String {
        match self {
            Self::English => format!(
                "Somebody, probably you, wants {brand} to tell them at this address about new \
                 messages."
            ),
            Self::German => format!(
                "Jemand, vermutlich du, möchte von {brand} an diese Adresse über neue \
                 Nachrichten benachrichtigt werden."
            ),
        }
    }

    pub fn verify_open(self) -> &'static str {
        match self {
            Self::English => "Confirm this address",
            Self::German => "Adresse bestätigen",
        }
    }

    pub fn verify_code(self) -> &'static str {
        match self {
            Self::English => "Your code:",
            Self::German => "Dein Code:",
        }
    }

    pub fn verify_otherwise(self) -> &'static str {
        match self {
            Self::English => "If it was not you, do nothing: nothing will be sent here.",
            Self::German => "Falls du das nicht warst, tu nichts: Hierher wird nichts gesendet.",
        }
    }

    /// The SMS that proves a phone.
    pub fn verify_sms(self, brand: &str, proof: &str) -> String {
        match self {
            Self::English => format!("{proof} is your {brand} code. Do not share it."),
            Self::German => format!("{proof} ist dein Code für {brand}. Gib ihn nicht weiter."),
        }
    }
}

#[cfg(test)]
mod tests {
    use parley_domain::{Timestamp, UserId};
    use uuid::Uuid;

    use super::*;

    fn headline(locale: &str, messages: u64, senders: &[&str]) -> String {
        Language::of(locale).headline(&notice(locale, messages, senders))
    }

    fn notice(locale: &str, messages: u64, senders: &[&str]) -> Notice {
        Notice {
            notification_id: Uuid::nil(),
            user_id: UserId::parse("bob").unwrap(),
            conversation_id: None,
            messages,
            title: None,
            senders: senders.iter().map(|&sender| sender.to_owned()).collect(),
            preview: None,
            link: String::new(),
            unsubscribe: String::new(),
            locale: locale.to_owned(),
            at: Timestamp::from_unix_millis(0),
        }
    }

    #[test]
    fn a_group_is_named_too() {
        for (locale, title, expected) in [
            ("en", "Garden\r\ntools", "2 new messages from Alice in Garden tools"),
            ("de", "Gartengeräte", "2 neue Nachrichten von Alice in Gartengeräte"),
            ("en", " \n ", "2 new messages from Alice"),
        ] {
            let notice = Notice { title: Some(title.to_owned()), ..notice(locale, 2, &["Alice"]) };
            assert_eq!(Language::of(locale).headline(&notice), expected);
        }
    }

    #[test]
    fn a_headline_counts_and_names() {
        assert_eq!(headline("en", 1, &["Alice"]), "New message from Alice");
        assert_eq!(headline("en-GB", 20, &["Alice"]), "20 new messages from Alice");
        assert_eq!(headline("en", 3, &["A", "B"]), "3 new messages from A and B");
        assert_eq!(headline("en", 3, &["A", "B", "C"]), "3 new messages from A, B and C");
        assert_eq!(headline("en", 3, &["\r\n", " "]), "3 new messages");
        assert_eq!(headline("de", 1, &["Alice"]), "Neue Nachricht von Alice");
        assert_eq!(headline("de-AT", 20, &["A", "B"]), "20 neue Nachrichten von A und B");
    }

    #[test]
    fn another_language_falls_back_to_english() {
        for locale in ["fr", "", "-", "den", "\r\n"] {
            assert_eq!(Language::of(locale), Language::English, "{locale:?}");
        }
        for locale in ["de", "DE", "de_CH", "de-Latn-DE"] {
            assert_eq!(Language::of(locale), Language::German, "{locale:?}");
        }
    }
}
