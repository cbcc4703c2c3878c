//! The session cookie.

use std::time::Duration;

/// Its name.
pub const NAME: &str = "parley_session";

/// The session token in a `Cookie` header, if there is one.
pub fn session_token(header: &str) -> Option<&str> {
    header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == NAME)
        .map(|(_, value)| value)
}

/// The `Set-Cookie` value that hands a session to a browser: out of reach of scripts and of other
/// sites.
pub fn set(token: &str, max_age: Duration, secure: bool) -> String {
    let seconds = max_age.as_secs();
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        assert_eq!(session_token("a=b; parley_session=x.y.z; c=d"), Some("x.y.z"));
        assert_eq!(session_token("parley_session=x"), Some("x"));
        assert_eq!(session_token("xparley_session=x; other"), None);
        assert_eq!(session_token(""), None);
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_it() {
        assert_eq!(
            set("x", Duration::from_secs(60), true),
            "parley_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!set("x", Duration::from_secs(60), false).contains("Secure"));
    }
}
