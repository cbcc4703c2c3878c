//! Ports on 127.0.0.1 that stay the same over restarts.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use rand::Rng;

use super::error::EngineError;

const LOWEST: u16 = 10_240;
const ATTEMPTS: usize = 200;

/// How often an engine that finds its port taken chooses another one.
pub(super) const CHOICES: u32 = 5;

/// The port kept in `file`, or a new one when there is none or something else listens on it.
pub(super) fn kept(file: &Path) -> Result<u16, EngineError> {
    let known = fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u16>().ok());
    match known {
        Some(port) if is_free(port) => Ok(port),
        Some(_) | None => renew(file),
    }
}

/// A new port, kept in `file`.
pub(super) fn renew(file: &Path) -> Result<u16, EngineError> {
    let port = free()?;
    fs::write(file, format!("{port}\n")).map_err(EngineError::file("cannot write", file))?;
    Ok(port)
}

/// A port nobody listens on.
///
/// It lies below the range that the kernel gives to outgoing connections. Within that range a
/// client that keeps reconnecting to a dead engine may one day be given the engine's own port,
/// connect to itself, and so keep the engine from coming back.
pub(super) fn free() -> Result<u16, EngineError> {
    let end = first_ephemeral();
    let mut random = rand::rng();
    (0..ATTEMPTS)
        .map(|_| random.random_range(LOWEST..end))
        .find(|port| is_free(*port))
        .ok_or(EngineError::NoPort)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn first_ephemeral() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .filter(|first| *first > LOWEST + 1_000)
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_port_stays_until_something_else_has_it() {
        let file = std::env::temp_dir().join(format!("parley-port-{}", std::process::id()));
        let first = kept(&file).unwrap();
        assert_eq!(kept(&file).unwrap(), first);
        let squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        let second = kept(&file).unwrap();
        assert_ne!(second, first);
        drop(squatter);
        assert_eq!(kept(&file).unwrap(), second);
        fs::remove_file(&file).unwrap();
    }
}
