//! The browser page, compiled into the program.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A file of the page.
struct Asset {
    /// Without a leading slash.
    path: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What is served if the page was not built.
static PLACEHOLDER: Asset = Asset {
    path: "index.html",
    etag: "\"placeholder\"",
    bytes: b"<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Parley</title></head>\n\
<body>\n<h1>Parley is running</h1>\n\
<p>This program was built without its browser page. To build it, with Node at hand:</p>\n\
<pre>make build</pre>\n\
<p>The interface is described at <a href=\"/openapi.json\">/openapi.json</a>.</p>\n</body>\n</html>\n",
};

/// Nothing but the page's own files, no framing, no referrer. `ws:` and `wss:` go to the page's
/// own host only, which older browsers do not read into 'self'. `blob:` is what the page itself holds:
/// pictures of messages.
fn content_security_policy(host: Option<&str>) -> String {
    let sockets = match host {
        Some(host) => format!(" ws://{host} wss://{host}"),
        None => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: blob:; \
         font-src 'self'; manifest-src 'self'; worker-src 'self'; connect-src 'self'{sockets}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// The file at this path of the page, `None` if there is none.
pub fn serve(path: &str, request: &HeaderMap) -> Option<Response> {
    let asset = find(path)?;
    let caching = if asset.path.starts_with("assets/") {
        // Vite names these by their content.
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|etags| etags.split(',').any(|etag| etag.trim() == asset.etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(asset.bytes).into_response()
    };
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(header::CONTENT_TYPE, content_type(asset.path));
    put(header::CACHE_CONTROL, caching);
    put(header::ETAG, asset.etag);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=()",
    );
    let host = request.get(header::HOST).and_then(|value| value.to_str().ok());
    if let Ok(policy) = HeaderValue::try_from(content_security_policy(host.filter(|h| is_host(h))))
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Some(response)
}

/// Whether this can stand in a policy without ending it.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'))
}

fn find(path: &str) -> Option<&'static Asset> {
    let path = path.trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let built = ASSETS.iter().find(|asset| asset.path == path);
    built.or_else(|| (ASSETS.is_empty() && path == PLACEHOLDER.path).then_some(&PLACEHOLDER))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, headers: &[(HeaderName, &str)]) -> Option<Response> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        serve(path, &headers)
    }

    #[test]
    fn the_entry_is_always_there_and_guarded() {
        for path in ["/", "/index.html"] {
            let response = get(path, &[(header::HOST, "shop.example:8080")]).unwrap();
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("connect-src 'self' ws://shop.example:8080 wss://"));
            assert!(policy.contains("frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe"));
        }
        assert!(get("/../Cargo.toml", &[]).is_none());
        assert!(get("/nothing.js", &[]).is_none());
    }

    #[test]
    fn a_host_header_cannot_widen_the_policy() {
        let response = get("/", &[(header::HOST, "x; script-src *")]).unwrap();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains('*'), "{policy}");
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let etag = get("/", &[]).unwrap().headers()[header::ETAG].to_str().unwrap().to_owned();
        let response = get("/", &[(header::IF_NONE_MATCH, &etag)]).unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }
}
