//! Small pages for people who follow a link out of a message and are not signed in: a sentence, and
//! perhaps a button that sends to the page's own address.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use parley_notifier::links::BadLink;

use super::extract::wants_page;
use crate::error::ApiError;

/// The only style sheet; the policy names it by its digest.
const STYLE: &str = include_str!("../../templates/plain.css");

#[derive(Template)]
#[template(path = "plain.html")]
struct Page<'a> {
    language: &'a str,
    title: &'a str,
    style: &'static str,
    text: &'a str,
    button: Option<&'a str>,
}

/// The languages that there are such pages in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

impl Language {
    /// The first one that the browser asks for, if it is one of these.
    pub fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let first = asked.unwrap_or_default().split([',', ';', '-']).next().unwrap_or_default();
        if first.trim().eq_ignore_ascii_case("de") { Self::German } else { Self::English }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    fn refused(self, bad: BadLink) -> &'static str {
        match (self, bad) {
            (Self::English, BadLink::Invalid) => "This link is not complete. Copy all of it.",
            (Self::English, BadLink::Expired) => "This link is too old. Use a newer one.",
            (Self::German, BadLink::Invalid) => {
                "Dieser Link ist nicht vollständig. Kopiere ihn ganz."
            }
            (Self::German, BadLink::Expired) => "Dieser Link ist zu alt. Nimm einen neueren.",
        }
    }
}

/// A page that says `text`.
pub fn show(
    language: Language,
    title: &str,
    text: &str,
    button: Option<&str>,
) -> Result<Response, ApiError> {
    page(StatusCode::OK, Page { language: language.tag(), title, style: STYLE, text, button })
}

/// For a link that does nothing: a page for a browser, a problem for everybody else.
pub fn refuse(
    language: Language,
    title: &str,
    bad: BadLink,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    if !wants_page(headers) {
        return Err(ApiError::malformed(bad.to_string()));
    }
    let text = language.refused(bad);
    let page = Page { language: language.tag(), title, style: STYLE, text, button: None };
    self::page(StatusCode::BAD_REQUEST, page)
}

fn page(status: StatusCode, page: Page<'_>) -> Result<Response, ApiError> {
    let page = page.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be shown");
        ApiError::internal()
    })?;
    let digest = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).map_err(|_| ApiError::internal())?;
    let mut response = (status, page).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The page's address is a right to something.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept, accept-language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
