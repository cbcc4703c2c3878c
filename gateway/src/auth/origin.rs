//! Which web pages may use a browser's cookie.

use super::AuthError;

/// The allow list: exact origins, such as `https://shop.example`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// Something that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://shop.example: {0:?}")]
pub struct InvalidOrigin(String);

impl Origins {
    /// From full origins; a path, a wildcard or `null` is refused.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        let origins: Result<Vec<String>, InvalidOrigin> = list
            .into_iter()
            .map(|origin| {
                let origin = origin.trim().trim_end_matches('/').to_ascii_lowercase();
                let rest =
                    origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
                match rest {
                    Some(host) if !host.is_empty() && !host.contains(['/', '*', '@', ' ', '?']) => {
                        Ok(origin)
                    }
                    _ => Err(InvalidOrigin(origin)),
                }
            })
            .collect();
        origins.map(Self)
    }

    pub fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Checks a request that a cookie authenticates.
    ///
    /// A browser names the origin of every request that changes something, of every WebSocket,
    /// and of every request to another origin; it names none for a plain GET of the same origin.
    pub fn check(&self, origin: Option<&str>, needed: Needed) -> Result<(), AuthError> {
        match (origin, needed) {
            (Some(origin), _) if self.contains(origin) => Ok(()),
            (None, Needed::IfPresent) => Ok(()),
            (Some(_) | None, _) => Err(AuthError::Origin),
        }
    }
}

/// Whether a request must name its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// It changes something or opens a socket.
    Always,
    /// It only reads.
    IfPresent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_may_use_the_cookie() {
        let origins = Origins::parse(["https://shop.example", "http://localhost:5173/"]).unwrap();
        for needed in [Needed::Always, Needed::IfPresent] {
            assert_eq!(origins.check(Some("https://shop.example"), needed), Ok(()));
            assert_eq!(origins.check(Some("http://localhost:5173"), needed), Ok(()));
            for foreign in [
                "https://evil.example",
                "http://shop.example",
                "https://shop.example.evil.example",
                "https://shop.example:8443",
                "null",
                "",
            ] {
                let refused = origins.check(Some(foreign), needed);
                assert_eq!(refused, Err(AuthError::Origin), "{foreign}");
            }
        }
        assert_eq!(origins.check(None, Needed::IfPresent), Ok(()));
        assert_eq!(origins.check(None, Needed::Always), Err(AuthError::Origin));
    }

    #[test]
    fn the_list_holds_whole_origins() {
        for bad in ["*", "null", "shop.example", "https://", "https://a/b", "https://*.a"] {
            assert!(Origins::parse([bad]).is_err(), "{bad}");
        }
    }
}
