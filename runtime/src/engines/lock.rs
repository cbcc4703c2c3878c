//! One process a data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::EngineError;

/// The exclusive use of a data directory, until it is dropped or the process ends.
///
/// The kernel holds the lock for the process (`flock`), so no death can leave it behind.
#[derive(Debug)]
pub struct DirLock {
    dir: PathBuf,
    _file: File,
}

impl DirLock {
    /// Creates `dir` (mode 0700) if it is missing, and takes `dir/parley.lock`.
    ///
    /// # Errors
    /// [`EngineError::Locked`] when another process has it, [`EngineError::File`].
    pub fn take(dir: &Path) -> Result<Self, EngineError> {
        create_private_dir(dir)?;
        let dir = fs::canonicalize(dir).map_err(EngineError::file("cannot find", dir))?;
        let path = dir.join("parley.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(EngineError::file("cannot open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
                    holder = "unknown".to_owned();
                }
                return Err(EngineError::Locked { dir, holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(EngineError::file("cannot lock", &path)(source));
            }
        }
        // The id is for people; the lock itself is what counts.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(EngineError::file("cannot write", &path))?;
        Ok(Self { dir, _file: file })
    }

    /// The directory, with no symbolic link in its path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Creates `dir` and its missing parents, for this user only.
pub(super) fn create_private_dir(dir: &Path) -> Result<(), EngineError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(EngineError::file("cannot create", dir))
}
