//! How an email fails. No text of the server is kept: it often repeats the address.

use std::error::Error as _;

use lettre::transport::smtp;

use crate::channels::{ChannelError, Failed, Health};

/// How far a letter came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connect,
    SignIn,
    Sender,
    Recipient,
    Data,
    /// From its first byte to the server's word that it takes it.
    Content,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::SignIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Data => "announcing the letter",
            Self::Content => "handing over the letter",
        }
    }
}

/// Why an email was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Compose(&'static str),
    #[error("that is not an email address")]
    Address,
    #[error("no connection was free in time")]
    Busy,
    #[error("the server answered {code}{} when {}", .enhanced.map_or_else(String::new, |e| format!(" ({e})")), .step.as_str())]
    Refused { step: Step, code: u16, enhanced: Option<Enhanced> },
    #[error("{why} when {}", .step.as_str())]
    Lost { step: Step, why: &'static str },
}

/// RFC 3463's three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced {
    class: u16,
    subject: u16,
    detail: u16,
}

impl Enhanced {
    fn is_nobody(self) -> bool {
        matches!(self, Self { class: 5, subject: 1, detail: 1 | 2 | 3 | 6 | 10 })
    }

    /// From the beginning of a server's text.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().next()?.splitn(3, '.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let found = Self { class: next()?, subject: next()?, detail: next()? };
        matches!(found.class, 2 | 4 | 5).then_some(found)
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Error {
    pub(super) fn at(step: Step, error: &smtp::Error) -> Self {
        if let Some(code) = error.status() {
            let enhanced = error.source().and_then(|text| Enhanced::parse(&text.to_string()));
            return Self::Refused { step, code: code.into(), enhanced };
        }
        let why = if error.is_tls() {
            "no trusted TLS"
        } else if error.is_client() {
            "the server lacks what is needed"
        } else {
            "the connection was lost"
        };
        Self::Lost { step, why }
    }

    /// Whether the server says that there is no such person: no such mailbox, domain or syntax, or
    /// moved. Nothing less will do, because the address is lost to its owner then: a 550 alone may be
    /// a matter of policy, and 5.2.1 one of too many letters.
    fn says_nobody(step: Step, enhanced: Option<Enhanced>) -> bool {
        let of_recipient = match step {
            Step::Recipient | Step::Data | Step::Content => true,
            Step::Connect | Step::SignIn | Step::Sender => false,
        };
        of_recipient && enhanced.is_some_and(Enhanced::is_nobody)
    }
}

impl ChannelError for Error {
    fn failed(&self) -> Failed {
        let reason = self.to_string();
        match *self {
            Self::Compose(_) | Self::Address => Failed::GiveUp { reason },
            // The letter may be on its way.
            Self::Lost { step: Step::Content, .. } => Failed::Unknown { reason },
            Self::Busy | Self::Lost { .. } => Failed::Retry { reason, after: None },
            Self::Refused { code: ..500, .. } => Failed::Retry { reason, after: None },
            // A matter between the server and us: 530 and 538 want us to sign in first.
            Self::Refused { step: Step::Connect | Step::SignIn, .. }
            | Self::Refused { code: 530 | 538, .. } => Failed::Retry { reason, after: None },
            Self::Refused { step, enhanced, .. } if Self::says_nobody(step, enhanced) => {
                Failed::EndpointDead { reason }
            }
            Self::Refused { .. } => Failed::GiveUp { reason },
        }
    }

    fn health(&self) -> Health {
        match *self {
            Self::Compose(_) | Self::Address | Self::Busy => Health::NotAsked,
            Self::Lost { .. }
            | Self::Refused { step: Step::Connect | Step::SignIn, .. }
            | Self::Refused { code: 421 | 530 | 538, .. } => Health::Failing,
            Self::Refused { .. } => Health::Working,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: Step, code: u16, text: &str) -> Error {
        Error::Refused { step, code, enhanced: Enhanced::parse(text) }
    }

    #[test]
    fn who_is_not_there_is_told_from_what_is_not_wanted() {
        for (step, code, text) in [
            (Step::Recipient, 550, "5.1.1 <bob@example.com>: no such user"),
            (Step::Recipient, 556, "5.1.10 takes no mail"),
            (Step::Recipient, 551, "5.1.6 moved"),
            (Step::Data, 554, "5.1.2 no such domain"),
            (Step::Content, 550, "5.1.1 no such user"),
        ] {
            let failed = refused(step, code, text).failed();
            assert!(matches!(failed, Failed::EndpointDead { .. }), "{code} {text}: {failed:?}");
        }
        for (step, code, text) in [
            (Step::Recipient, 550, "user unknown"),
            (Step::Recipient, 553, ""),
            (Step::Recipient, 550, "5.2.1 too many letters"),
            (Step::Sender, 553, "5.1.3 bad address"),
            (Step::Recipient, 550, "5.7.1 not from you"),
            (Step::Recipient, 552, "5.2.2 mailbox full"),
            (Step::Recipient, 554, "no"),
            (Step::Sender, 550, "bad sender"),
            (Step::Content, 550, "spam"),
            (Step::Content, 554, "5.6.0 malformed"),
        ] {
            let failed = refused(step, code, text).failed();
            assert!(matches!(failed, Failed::GiveUp { .. }), "{code} {text}: {failed:?}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_the_server_is_blamed_for_its_own_only() {
        for (step, code, health) in [
            (Step::Recipient, 451, Health::Working),
            (Step::Recipient, 450, Health::Working),
            (Step::Content, 452, Health::Working),
            (Step::Sender, 421, Health::Failing),
            (Step::Connect, 554, Health::Failing),
            (Step::SignIn, 535, Health::Failing),
            (Step::Sender, 530, Health::Failing),
        ] {
            let error = refused(step, code, "");
            assert!(matches!(error.failed(), Failed::Retry { .. }), "{code}");
            assert_eq!(error.health(), health, "{code}");
        }
    }

    #[test]
    fn only_a_letter_that_was_under_way_is_in_doubt() {
        for step in [Step::Connect, Step::SignIn, Step::Sender, Step::Recipient, Step::Data] {
            let failed = Error::Lost { step, why: "lost" }.failed();
            assert!(matches!(failed, Failed::Retry { .. }), "{step:?}");
        }
        let failed = Error::Lost { step: Step::Content, why: "lost" }.failed();
        assert!(matches!(failed, Failed::Unknown { .. }));
    }

    #[test]
    fn a_reason_has_the_numbers_and_no_text() {
        let error = refused(Step::Recipient, 550, "5.1.1 <bob@example.com> unknown");
        assert_eq!(error.to_string(), "the server answered 550 (5.1.1) when naming the recipient");
        for text in ["", "x", "5.1", "9.1.1", "5.1.x", "-5.1.1"] {
            assert_eq!(Enhanced::parse(text), None, "{text}");
        }
    }
}
