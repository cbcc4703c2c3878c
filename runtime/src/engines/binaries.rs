//! Where the engines' programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EngineError;

/// The first nats-server with atomic batches.
const OLDEST_NATS: (u32, u32) = (2, 12);

/// The nats-server to run: `PARLEY_NATS_SERVER_BIN`, then `PATH`, then `.parley/venv/bin` in the
/// current directory, the executable's, or a parent of one of them.
pub(super) fn nats_server() -> Result<PathBuf, EngineError> {
    let mut too_old = None;
    for candidate in nats_candidates() {
        match nats_version(&candidate) {
            Some(version) if version >= OLDEST_NATS => return Ok(candidate),
            Some((major, minor)) => {
                too_old.get_or_insert_with(|| {
                    format!("{} is version {major}.{minor}; ", candidate.display())
                });
            }
            None => {}
        }
    }
    Err(EngineError::Missing {
        what: "nats-server 2.12 or later",
        hint: format!(
            "{}run `make setup`, or install it from nats.io and name it in PARLEY_NATS_SERVER_BIN",
            too_old.unwrap_or_default()
        ),
    })
}

fn nats_candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os("PARLEY_NATS_SERVER_BIN") {
        return absolute(Path::new(&named)).into_iter().collect();
    }
    let upward = [env::current_dir().ok(), env::current_exe().ok()].into_iter().flatten().flat_map(
        |start| {
            start
                .ancestors()
                .map(|dir| dir.join(".parley/venv/bin/nats-server"))
                .collect::<Vec<_>>()
        },
    );
    on_path("nats-server").chain(upward).filter_map(|path| absolute(&path)).collect()
}

fn nats_version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `nats-server: v2.15.1` → (2, 15).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_once(": v")?.1.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// The directory with `initdb` and `postgres`: `PARLEY_POSTGRES_BIN_DIR`, then where `PATH`
/// leads, then the newest below `/usr/lib/postgresql`.
pub(super) fn postgres_dir() -> Result<PathBuf, EngineError> {
    let candidates: Vec<PathBuf> = match env::var_os("PARLEY_POSTGRES_BIN_DIR") {
        Some(named) => vec![PathBuf::from(named)],
        None => on_path("postgres")
            // Distributions link single programs into PATH; the others lie beside the target.
            .filter_map(|path| Some(absolute(&path)?.parent()?.to_owned()))
            .chain(debian_dirs(Path::new("/usr/lib/postgresql")))
            .collect(),
    };
    candidates
        .into_iter()
        .filter_map(|dir| absolute(&dir))
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
        .ok_or_else(|| EngineError::Missing {
            what: "PostgreSQL (initdb and postgres)",
            hint: "run `make setup` or `apt-get install postgresql`, \
                   or name its bin directory in PARLEY_POSTGRES_BIN_DIR"
                .to_owned(),
        })
}

/// `/usr/lib/postgresql/<version>/bin`, newest first.
fn debian_dirs(base: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

fn on_path(program: &'static str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(move |dir| dir.join(program)).collect::<Vec<_>>().into_iter()
}

/// With links resolved; none when nothing is there. Engines start in another directory, so a
/// relative path would not do.
fn absolute(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.9.10\n"), Some((2, 9)));
        assert!(parse_version("nats-server: v2.9.10\n") < Some(OLDEST_NATS));
        assert_eq!(parse_version("nonsense"), None);
    }

    #[test]
    fn the_newest_debian_version_comes_first() {
        let base = std::env::temp_dir().join(format!("parley-pgdirs-{}", std::process::id()));
        for version in ["9", "15", "13", "common"] {
            std::fs::create_dir_all(base.join(version)).unwrap();
        }
        let found = debian_dirs(&base);
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!(found, ["15", "13", "9"].map(|version| base.join(version).join("bin")));
    }
}
