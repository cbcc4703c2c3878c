//! Why an engine does not run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::exit::Exit;

/// Why a private engine could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The program is not installed, or too old.
    #[error("{what} was not found: {hint}")]
    Missing { what: &'static str, hint: String },

    /// Another process runs its engines in this directory.
    #[error("{} is in use by another parley (process {holder}); stop it or choose another --data", dir.display())]
    Locked { dir: PathBuf, holder: String },

    /// A file or directory could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    /// The program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Spawn { program: String, source: io::Error },

    /// PostgreSQL does not run as root, and the user it would run as cannot get to its directory.
    #[error(
        "PostgreSQL cannot run as root, and the user {user} may not enter {}: \
         choose another --data, or allow it with chmod o+x",
        dir.display()
    )]
    Untraversable { dir: PathBuf, user: String },

    /// Neither `postgres` nor `nobody` exists to run PostgreSQL for root.
    #[error("PostgreSQL cannot run as root, and there is no user postgres or nobody")]
    NoUser,

    /// No free port below the ephemeral range was found.
    #[error("no free port on 127.0.0.1")]
    NoPort,

    /// The engine ended instead of becoming ready.
    #[error("{engine} ended ({status}) before it was ready; the end of its log:\n{log_tail}")]
    Exited { engine: &'static str, status: ExitStatus, log_tail: String },

    /// The engine runs but does not answer.
    #[error("{engine} did not answer within {} s: {last}", within.as_secs())]
    NotReady { engine: &'static str, within: Duration, last: String },

    /// A process of an earlier life does not go away.
    #[error("{engine}: process {pid} of an earlier run does not end")]
    LeftoverAlive { engine: &'static str, pid: i32 },

    /// A statement on the private database failed.
    #[error("the private database: {0}")]
    Database(#[from] sqlx::Error),
}

impl EngineError {
    /// The exit code of a program that needs the engine.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::File { .. } | Self::Untraversable { .. } | Self::NoUser => Exit::Usage,
            Self::Missing { .. }
            | Self::Locked { .. }
            | Self::Spawn { .. }
            | Self::NoPort
            | Self::Exited { .. }
            | Self::NotReady { .. }
            | Self::LeftoverAlive { .. }
            | Self::Database(_) => Exit::Unavailable,
        }
    }

    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
