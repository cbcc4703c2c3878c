//! Who sent a request: by its `Authorization` header, or else by its cookie; and whether the session
//! that either names still stands.

use axum::http::{HeaderMap, HeaderName, Method, header};

use super::{AuthError, Authenticator, Identity, Origins, cookie, origin::Needed};
use crate::devices::Devices;

/// Checks a request's header or cookie; [`AuthError::Missing`] if it has neither.
///
/// The header wins: a program that names its token is not a browser that was lured here, so its
/// origin does not matter.
pub async fn caller(
    authenticator: &Authenticator,
    origins: &Origins,
    devices: &Devices,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Identity, AuthError> {
    let identity = named(authenticator, origins, method, headers).await?;
    devices.admit(&identity).await?;
    Ok(identity)
}

async fn named(
    authenticator: &Authenticator,
    origins: &Origins,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Identity, AuthError> {
    if headers.contains_key(header::AUTHORIZATION) {
        let value = only(headers, header::AUTHORIZATION).ok_or(AuthError::Scheme)?;
        return authenticator.bearer(bearer_token(value)?).await;
    }
    let token = session_cookie(headers).ok_or(AuthError::Missing)?;
    let is_upgrade = headers.contains_key(header::UPGRADE);
    let needed = if method.is_safe() && !is_upgrade { Needed::IfPresent } else { Needed::Always };
    check_origin(origins, headers, needed)?;
    authenticator.session(token)
}

/// Checks that a page of the request's origin may use the cookie.
fn check_origin(origins: &Origins, headers: &HeaderMap, needed: Needed) -> Result<(), AuthError> {
    if !headers.contains_key(header::ORIGIN) {
        return origins.check(None, needed);
    }
    let origin = only(headers, header::ORIGIN).ok_or(AuthError::Origin)?;
    origins.check(Some(origin), needed)
}

fn bearer_token(value: &str) -> Result<&str, AuthError> {
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Scheme)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(AuthError::Scheme)
    }
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies.filter_map(|value| value.to_str().ok()).find_map(cookie::session_token)
}

/// The value of a header that is there once, as text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_its_case() {
        assert_eq!(bearer_token("Bearer x.y.z"), Ok("x.y.z"));
        assert_eq!(bearer_token("bearer  x"), Ok("x"));
        for bad in ["", "Bearer", "Bearer ", "Basic x", "x.y.z"] {
            assert_eq!(bearer_token(bad), Err(AuthError::Scheme), "{bad}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::ORIGIN, "https://a.example".parse().unwrap());
        assert_eq!(only(&headers, header::ORIGIN), Some("https://a.example"));
        headers.append(header::ORIGIN, "https://b.example".parse().unwrap());
        assert_eq!(only(&headers, header::ORIGIN), None);
    }
}
