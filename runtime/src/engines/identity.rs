//! Whom PostgreSQL runs as.
//!
//! It refuses to run as root. For root it runs as `postgres` (or `nobody`), who must be able to
//! reach a data directory that may lie below a directory closed to it, such as `/root`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User};

use super::error::EngineError;
use super::spawn::{self, Capability, Privileges, Terms};

/// A user other than root, and the capability that it needs to reach its directory.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    privileges: Privileges,
    user: String,
}

impl Identity {
    /// The identity for the owner of `existing` (a data directory), or, if that is not there
    /// yet, for this process's user or root's stand-in.
    pub fn choose(existing: &Path) -> Result<Self, EngineError> {
        let effective = Uid::effective();
        if !effective.is_root() {
            return Ok(Self { privileges: Privileges::Same, user: effective.to_string() });
        }
        let owner = fs::metadata(existing)
            .ok()
            .map(|metadata| (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid())))
            .filter(|(uid, _)| !uid.is_root());
        let (uid, gid) = match owner {
            Some(owner) => owner,
            None => ["postgres", "nobody"]
                .iter()
                .find_map(|name| User::from_name(name).ok().flatten())
                .map(|user| (user.uid, user.gid))
                .ok_or(EngineError::NoUser)?,
        };
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        Ok(Self {
            privileges: Privileges::User { uid, gid, keep: None },
            user: name.unwrap_or_else(|| uid.to_string()),
        })
    }

    /// What to start a process of this identity with.
    pub const fn terms(&self, death_signal: Signal) -> Terms {
        Terms { privileges: self.privileges, death_signal }
    }

    /// Hands `path` over to this identity.
    pub fn own(&self, path: &Path) -> Result<(), EngineError> {
        match self.privileges {
            Privileges::Same => Ok(()),
            Privileges::User { uid, gid, .. } => {
                chown(path, Some(uid.as_raw()), Some(gid.as_raw()))
                    .map_err(EngineError::file("cannot change the owner of", path))
            }
        }
    }

    /// Finds the least right with which `program` runs in `target`, a directory below `dir`:
    /// none, a capability that passes through closed directories, or opening the directories
    /// from `dir` down for passing through.
    ///
    /// Trying beats reading permission bits: it is also right for access lists, for containers
    /// that withhold capabilities and for kernels that do not know them.
    ///
    /// # Errors
    /// [`EngineError::Untraversable`] names the first closed directory above `dir`.
    pub async fn reach(
        mut self,
        program: &Path,
        dir: &Path,
        target: &Path,
    ) -> Result<Self, EngineError> {
        let Privileges::User { uid, gid, .. } = self.privileges else {
            return Ok(self);
        };
        for keep in [None, Some(Capability::DacReadSearch), Some(Capability::DacOverride)] {
            self.privileges = Privileges::User { uid, gid, keep };
            if self.can_run(program, target).await {
                return Ok(self);
            }
        }
        self.privileges = Privileges::User { uid, gid, keep: None };
        open_for_passing(dir, target)?;
        if self.can_run(program, target).await {
            return Ok(self);
        }
        Err(EngineError::Untraversable { dir: first_closed(dir).to_owned(), user: self.user })
    }

    /// Whether `program --version` runs with `target` as its working directory.
    async fn can_run(&self, program: &Path, target: &Path) -> bool {
        let mut command = spawn::command(program, target, self.terms(Signal::SIGKILL));
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = spawn::spawn(command).await else {
            return false;
        };
        tokio::task::spawn_blocking(move || child.wait().is_ok_and(|status| status.success()))
            .await
            .unwrap_or(false)
    }
}

/// Adds o+x to the directories from `dir` down to the parent of `target`.
fn open_for_passing(dir: &Path, target: &Path) -> Result<(), EngineError> {
    let between = target.ancestors().skip(1).take_while(|path| path.starts_with(dir));
    for path in between {
        let mode = fs::metadata(path)
            .map_err(EngineError::file("cannot read", path))?
            .permissions()
            .mode();
        if mode & 0o001 == 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o001))
                .map_err(EngineError::file("cannot change the mode of", path))?;
        }
    }
    Ok(())
}

/// The topmost directory on the way to `dir` without o+x; `dir` itself if there is none.
fn first_closed(dir: &Path) -> &Path {
    dir.ancestors()
        .filter(|path| {
            fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)
        })
        .last()
        .unwrap_or(dir)
}
