//! Secrets of a data directory, made once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;

/// Signs the marketplace's tokens.
pub const JWT_VARIABLE: &str = "PARLEY_JWT_HS256_SECRET";
/// Signs the gateway's session tokens.
pub const SESSION_VARIABLE: &str = "PARLEY_SESSION_SECRET";
/// Signs links that act without a login.
pub const LINK_VARIABLE: &str = "PARLEY_NOTIFY_LINK_SECRET";
/// Signs the addresses of files.
pub const ATTACHMENTS_VARIABLE: &str = "PARLEY_ATTACHMENTS_SECRET";
/// What HS256 asks for at least.
pub const MIN_BYTES: usize = 32;

const JWT_FILE: &str = "jwt-hs256";
const SESSION_FILE: &str = "session";
const LINK_FILE: &str = "links";
const ATTACHMENTS_FILE: &str = "attachments";

/// A secret's file could not be read or made.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be {what}: {source}")]
pub struct SecretError {
    path: String,
    what: &'static str,
    source: io::Error,
}

/// The secrets of `parley up`.
pub struct Secrets {
    pub jwt: String,
    pub session: String,
    pub links: String,
    pub attachments: String,
}

impl Secrets {
    /// Stand-ins of the right length, to check a configuration with.
    pub fn unknown() -> Self {
        let unknown = || "x".repeat(MIN_BYTES);
        Self { jwt: unknown(), session: unknown(), links: unknown(), attachments: unknown() }
    }

    /// Reads the secrets below `data`, making those that are missing (files of mode 0600).
    pub fn of(data: &Path) -> Result<Self, SecretError> {
        let dir = data.join("secrets");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(error(&dir, "created"))?;
        Ok(Self {
            jwt: read_or_make(&dir.join(JWT_FILE))?,
            session: read_or_make(&dir.join(SESSION_FILE))?,
            links: read_or_make(&dir.join(LINK_FILE))?,
            attachments: read_or_make(&dir.join(ATTACHMENTS_FILE))?,
        })
    }
}

/// The secret for the marketplace's tokens of an existing data directory.
pub fn read_jwt(data: &Path) -> Result<String, SecretError> {
    read(&data.join("secrets").join(JWT_FILE))
}

fn read(path: &Path) -> Result<String, SecretError> {
    let text = fs::read_to_string(path).map_err(error(path, "read"))?;
    Ok(text.trim().to_owned())
}

fn read_or_make(path: &Path) -> Result<String, SecretError> {
    match read(path) {
        Ok(secret) if secret.len() >= MIN_BYTES => return Ok(secret),
        // Empty or cut short: the process was killed between making the file and writing it,
        // and nothing has been signed with it.
        Ok(_) => {}
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let secret = URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 32]>());
    let unfinished = path.with_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| {
            file.write_all(secret.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(error(path, "written"))?;
    Ok(secret)
}

fn error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> SecretError {
    let path = path.display().to_string();
    move |source| SecretError { path, what, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_for_the_owner_only() {
        let data = std::env::temp_dir().join(format!("parley-secrets-{}", std::process::id()));
        let first = Secrets::of(&data).unwrap();
        let second = Secrets::of(&data).unwrap();
        let mode = fs::metadata(data.join("secrets/jwt-hs256")).unwrap().permissions().mode();
        let read = read_jwt(&data).unwrap();
        fs::remove_dir_all(&data).unwrap();
        assert_eq!((&first.jwt, &first.session), (&second.jwt, &second.session));
        assert_ne!(first.jwt, first.session);
        assert!(first.jwt.len() >= MIN_BYTES);
        assert_eq!(read, first.jwt);
        assert_eq!(mode & 0o777, 0o600);
    }
}
