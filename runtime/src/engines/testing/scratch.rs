//! Directories that do not outlive their test, and hardly their test run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::lock::create_private_dir;
use super::or_panic;

const PREFIX: &str = "parley-test-";

/// An empty directory (mode 0700) below the system's temporary one, removed on drop. What a
/// killed test run leaves behind, the next one removes.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn new() -> Self {
        static SWEEP: Once = Once::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let base = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&base));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
        or_panic("a scratch directory", create_private_dir(&path));
        let path = or_panic("a scratch directory", fs::canonicalize(path));
        Self { path }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn remove(&self) {
        // A process on its way out may still write into it: what stays is swept later.
        drop(fs::remove_dir_all(&self.path));
    }
}

impl Default for ScratchDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes the directories of test processes that are no more.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if let Some(pid) = owner
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            // It may be another user's: then it is not ours to remove.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
