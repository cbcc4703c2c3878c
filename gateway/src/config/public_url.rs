//! How the outside reaches a gateway.

use axum::http::Uri;

/// An http or https address, with or without a path that a proxy strips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    secure: bool,
    authority: String,
    /// Empty, or with a leading slash and without a trailing one.
    path: String,
}

impl PublicUrl {
    /// `None` if it is not http or https, or has a query.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        if uri.query().is_some() || authority.contains('@') {
            return None;
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Some(Self { secure, authority: authority.to_owned(), path })
    }

    /// Plain http at this host, as a `Host` header names it; `None` if it names none.
    pub fn of_host(host: &str) -> Option<Self> {
        let is_host = !host.is_empty()
            && host.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
            });
        is_host.then(|| Self { secure: false, authority: host.to_owned(), path: String::new() })
    }

    /// Whether browsers reach it over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// As a browser names it in `Origin`.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let default_port = if self.secure { ":443" } else { ":80" };
        let host = self.authority.strip_suffix(default_port).unwrap_or(&self.authority);
        format!("{scheme}://{host}")
    }

    /// Whatever is at this path, which begins with a slash.
    pub fn at(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority, self.path)
    }

    /// Where WebSockets connect.
    pub fn websocket_url(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}/v1/connect", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_origin_and_the_sockets_address() {
        let url = PublicUrl::parse("https://chat.example/dm/").unwrap();
        assert!(url.is_secure());
        assert_eq!(url.origin(), "https://chat.example");
        assert_eq!(url.websocket_url(), "wss://chat.example/dm/v1/connect");
        assert_eq!(url.at("/v1/x?a=b"), "https://chat.example/dm/v1/x?a=b");
        let url = PublicUrl::parse("http://localhost:8080").unwrap();
        assert_eq!(url.origin(), "http://localhost:8080");
        assert_eq!(url.websocket_url(), "ws://localhost:8080/v1/connect");
        assert_eq!(
            PublicUrl::parse("https://a.example:443").unwrap().origin(),
            "https://a.example"
        );
        for bad in ["chat.example", "ftp://a", "https://a/?b", "https://u@a", ""] {
            assert_eq!(PublicUrl::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_header_is_only_a_host() {
        let url = PublicUrl::of_host("127.0.0.1:8080").unwrap();
        assert_eq!(url.websocket_url(), "ws://127.0.0.1:8080/v1/connect");
        assert_eq!(PublicUrl::of_host("[::1]:80").unwrap().origin(), "http://[::1]");
        for bad in ["", "a/b", "a b", "u@a", "a?b", "a\"b"] {
            assert_eq!(PublicUrl::of_host(bad), None, "{bad}");
        }
    }
}
