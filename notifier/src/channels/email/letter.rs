//! What an email says: subject, text, HTML and the headers that mail programs act upon.

use askama::Template;
use uuid::Uuid;

use super::Error;
use crate::{
    channels::{text, words::Language},
    notice::{Close, Notice, Proof, Verify, What},
};

/// An email without its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Besides the usual ones.
    pub headers: Vec<(&'static str, String)>,
}

/// Whom letters are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// As people know the marketplace.
    pub brand: String,
    /// The right half of each Message-ID.
    pub domain: String,
}

#[derive(Debug, Template)]
#[template(path = "email.html")]
struct Html<'a> {
    page: &'a Page,
}

#[derive(Debug, Template)]
#[template(path = "email.txt", escape = "none")]
struct Text<'a> {
    page: &'a Page,
}

/// What both forms show. All of it is text: the HTML form escapes it.
#[derive(Debug)]
struct Page {
    language: &'static str,
    brand: String,
    headline: String,
    quote: Option<String>,
    lines: Vec<String>,
    code: Option<String>,
    button: Option<Link>,
    footer: String,
    unsubscribe: Option<Link>,
}

#[derive(Debug)]
struct Link {
    href: String,
    label: &'static str,
}

impl Letter {
    /// # Errors
    /// If an email cannot say it.
    pub fn compose(sender: &Sender, to: &str, what: &What) -> Result<Self, Error> {
        match what {
            What::Digest(notice) => Self::digest(sender, to, notice),
            What::Verify(verify) => Self::verify(sender, to, verify),
            What::Close(Close { .. }) => Err(Error::Compose("an email cannot be taken back")),
        }
    }

    fn digest(sender: &Sender, to: &str, notice: &Notice) -> Result<Self, Error> {
        let language = Language::of(&notice.locale);
        let headline = language.headline(notice);
        let quote = notice.preview.as_deref().map(text::preview);
        let page = Page {
            language: language.tag(),
            brand: text::name(&sender.brand),
            headline: headline.clone(),
            quote: quote.filter(|quote| !quote.is_empty()),
            lines: Vec::new(),
            code: None,
            button: Some(Link { href: address(&notice.link)?, label: language.open() }),
            footer: language.why(&text::name(&sender.brand)),
            unsubscribe: Some(Link {
                href: address(&notice.unsubscribe)?,
                label: language.unsubscribe(),
            }),
        };
        // A parent that is never sent itself: mail programs put what names it into one thread.
        let thread = format!("<{}@{}>", thread_id(notice), sender.domain);
        let mut headers = headers(sender, notice.notification_id);
        headers.extend([
            ("In-Reply-To", thread.clone()),
            ("References", thread),
            ("List-Unsubscribe", format!("<{}>", notice.unsubscribe)),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
        ]);
        Self::of(&page, to, headline, headers)
    }

    fn verify(sender: &Sender, to: &str, verify: &Verify) -> Result<Self, Error> {
        let language = Language::of(&verify.locale);
        let brand = text::name(&sender.brand);
        let subject = language.verify_subject(&brand);
        let mut lines = vec![language.verify_why(&brand)];
        let (code, button) = match &verify.proof {
            Proof::Link(link) => {
                (None, Some(Link { href: address(link)?, label: language.verify_open() }))
            }
            Proof::Code(code) => {
                lines.push(language.verify_code().to_owned());
                (Some(text::name(code)), None)
            }
        };
        let page = Page {
            language: language.tag(),
            brand,
            headline: subject.clone(),
            quote: None,
            lines,
            code,
            button,
            footer: language.verify_otherwise().to_owned(),
            unsubscribe: None,
        };
        Self::of(&page, to, subject, headers(sender, verify.notification_id))
    }

    fn of(
        page: &Page,
        to: &str,
        subject: String,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let failed = |_| Error::Compose("a template failed");
        let text = Text { page }.render().map_err(failed)?;
        let html = Html { page }.render().map_err(failed)?;
        Ok(Self { to: to.to_owned(), subject, text, html, headers })
    }
}

fn headers(sender: &Sender, notification_id: Uuid) -> Vec<(&'static str, String)> {
    vec![
        ("Message-ID", format!("<{notification_id}@{}>", sender.domain)),
        ("Auto-Submitted", "auto-generated".to_owned()),
    ]
}

/// The same for everything about one conversation that goes to one person.
fn thread_id(notice: &Notice) -> Uuid {
    let conversation = notice.conversation_id.as_ref().map_or("", |id| id.as_str());
    let name = format!("parley/thread/{}/{conversation}", notice.user_id);
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

/// An address of ours that can stand in a header and in an attribute: plain, without blanks.
fn address(url: &str) -> Result<String, Error> {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\\');
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if is_web && url.bytes().all(plain) {
        Ok(url.to_owned())
    } else {
        Err(Error::Compose("a link is not an address"))
    }
}
