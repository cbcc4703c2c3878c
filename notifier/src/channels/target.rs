//! Addresses that people give us to send requests to: public servers only, or a server inside the
//! operator's network would be asked in our name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest address.
const MAX_URL_BYTES: usize = 2_048;

/// What targets may be.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Plain http and private addresses too: for development and tests.
    pub private: bool,
    /// If there are any, these hosts and no others.
    pub hosts: Vec<String>,
}

/// An address that nothing is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("the endpoint is not an https address")]
    Form,
    #[error("the endpoint is not a public server")]
    NotPublic,
    #[error("the endpoint's server is not among those allowed")]
    NotAllowed,
}

/// A name that resolves to private addresses.
#[derive(Debug, thiserror::Error)]
#[error("a private address")]
pub struct NotPublic;

/// Reads an address that somebody gave us. Names are resolved later, and checked again then.
///
/// # Errors
/// If nothing may be sent there.
pub fn parse(text: &str, allowed: &Allowed) -> Result<Url, BadTarget> {
    if text.len() > MAX_URL_BYTES {
        return Err(BadTarget::Form);
    }
    // Writes the many forms of an IP address in one.
    let url = Url::parse(text).map_err(|_| BadTarget::Form)?;
    let secure = url.scheme() == "https" || (allowed.private && url.scheme() == "http");
    if !secure || !url.username().is_empty() || url.password().is_some() {
        return Err(BadTarget::Form);
    }
    let public = match url.host().ok_or(BadTarget::Form)? {
        Host::Ipv4(ip) => is_public(ip.into()),
        Host::Ipv6(ip) => is_public(ip.into()),
        Host::Domain(name) => !is_local_name(name),
    };
    if !public && !allowed.private {
        return Err(BadTarget::NotPublic);
    }
    let host = url.host_str().unwrap_or_default();
    if !allowed.hosts.is_empty() && !allowed.hosts.iter().any(|allowed| allowed == host) {
        return Err(BadTarget::NotAllowed);
    }
    Ok(url)
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    !name.contains('.')
        || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end))
}

/// Whether an address is on the open internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [a, b, ..] = ip.segments();
    // 2000::/3 without documentation, and without 6to4 and Teredo, which hide IPv4 addresses.
    (0x2000..0x4000).contains(&a)
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<BadTarget> {
        parse(text, &Allowed::default()).err()
    }

    #[test]
    fn public_servers_are_reached_by_https() {
        for text in [
            "https://fcm.googleapis.com/fcm/send/abc",
            "https://updates.push.services.mozilla.com:443/wpush/v2/x",
            "https://93.184.215.14/x",
            "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        ] {
            assert_eq!(problem(text), None, "{text}");
        }
        for text in [
            "http://shop.example/",
            "ftp://shop.example/",
            "shop.example",
            "",
            "https://",
            "https://u:p@shop.example/",
            "https://u@shop.example/",
            "javascript:alert(1)",
            &format!("https://shop.example/{}", "x".repeat(3_000)),
        ] {
            assert_eq!(problem(text), Some(BadTarget::Form), "{text}");
        }
    }

    #[test]
    fn private_servers_are_not_reached_however_they_are_written() {
        for text in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.local/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[2002:7f00:1::]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2001:db8::1]/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://198.18.0.1/",
            "https://metadata.google.internal/",
            "https://nats:4222/",
            "https://[::]/",
        ] {
            assert_eq!(problem(text), Some(BadTarget::NotPublic), "{text}");
        }
    }

    #[test]
    fn an_operator_may_allow_more_or_less() {
        let development = Allowed { private: true, hosts: Vec::new() };
        assert!(parse("http://127.0.0.1:8080/x", &development).is_ok());
        assert!(parse("ftp://127.0.0.1/x", &development).is_err());
        let one = Allowed { private: false, hosts: vec!["hooks.shop.example".to_owned()] };
        assert!(parse("https://HOOKS.shop.example/x", &one).is_ok());
        assert_eq!(parse("https://evil.example/", &one), Err(BadTarget::NotAllowed));
    }
}
