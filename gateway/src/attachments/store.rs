//! What is in the files: a directory, one file an attachment.
//!
//! A file is written under a name of its own below `unfinished`, flushed to the disk, and only then
//! renamed to its place. Whoever is killed leaves something there that nobody reads, and that
//! [`Store::sweep`] removes.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::AsyncWriteExt,
};
use uuid::Uuid;

const UNFINISHED: &str = "unfinished";

/// See the module.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A file that is being written; dropped, it is removed.
#[derive(Debug)]
pub struct Unfinished {
    file: File,
    path: Temporary,
}

/// A file that is whole and on the disk, but not in its place; dropped, it is removed.
#[derive(Debug)]
pub struct Finished {
    path: Temporary,
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Mostly it was moved; what else may go wrong, the sweep makes good.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Store {
    /// # Errors
    /// If the directory cannot be made.
    pub async fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir.join(UNFINISHED)).await?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// # Errors
    /// If the disk refuses.
    pub async fn begin(&self) -> io::Result<Unfinished> {
        // Never that of another attempt.
        let path = self.dir.join(UNFINISHED).join(Uuid::now_v7().simple().to_string());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).await?;
        Ok(Unfinished { file, path: Temporary(path) })
    }

    /// Puts a file into its place, where it outlives a power cut once this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn keep(&self, id: Uuid, finished: Finished) -> io::Result<()> {
        let (folder, path) = self.place(id);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).await?;
        fs::rename(&finished.path.0, &path).await?;
        sync(&folder).await?;
        sync(&self.dir).await
    }

    /// `None` if it is not there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn read(&self, id: Uuid) -> io::Result<Option<File>> {
        absent(File::open(self.place(id).1).await)
    }

    /// Whether it was there or not, it is not any more.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn remove(&self, id: Uuid) -> io::Result<()> {
        let (folder, path) = self.place(id);
        match absent(fs::remove_file(path).await)? {
            Some(()) => sync(&folder).await,
            None => Ok(()),
        }
    }

    /// Removes what uploads that have died since have left; says how many.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn sweep(&self, age: Duration) -> io::Result<usize> {
        let mut left = fs::read_dir(self.dir.join(UNFINISHED)).await?;
        let mut removed = 0;
        while let Some(entry) = left.next_entry().await? {
            // It may be finished meanwhile, or swept by another gateway.
            let Some(about) = absent(entry.metadata().await)? else { continue };
            let since = SystemTime::now().duration_since(about.modified()?);
            if since.is_ok_and(|since| since > age)
                && absent(fs::remove_file(entry.path()).await)?.is_some()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Spread over folders by what is random in an id.
    fn place(&self, id: Uuid) -> (PathBuf, PathBuf) {
        let name = id.simple().to_string();
        let folder = self.dir.join(name.get(30..).unwrap_or_default());
        let path = folder.join(name);
        (folder, path)
    }
}

impl Unfinished {
    /// # Errors
    /// If the disk refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Once all of it is on the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub async fn finish(mut self) -> io::Result<Finished> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(Finished { path: self.path })
    }
}

async fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use parley_runtime::engines::testing::ScratchDir;
    use tokio::io::AsyncReadExt;

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3_600);

    fn files(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
        entries.map(|entry| count(entry.path())).sum()
    }

    #[tokio::test]
    async fn a_file_is_there_once_it_is_kept_and_until_it_is_removed() {
        let scratch = ScratchDir::new();
        let store = Store::open(&scratch.path().join("files")).await.unwrap();
        let id = Uuid::now_v7();
        let mut unfinished = store.begin().await.unwrap();
        unfinished.write(b"he").await.unwrap();
        unfinished.write(b"llo").await.unwrap();
        assert!(store.read(id).await.unwrap().is_none());
        let finished = unfinished.finish().await.unwrap();
        assert!(store.read(id).await.unwrap().is_none());
        store.keep(id, finished).await.unwrap();
        let mut text = String::new();
        let mut file = store.read(id).await.unwrap().unwrap();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        assert_eq!(files(scratch.path()), 1);
        store.remove(id).await.unwrap();
        store.remove(id).await.unwrap();
        assert!(store.read(id).await.unwrap().is_none());
        assert_eq!(files(scratch.path()), 0);
    }

    #[tokio::test]
    async fn what_is_given_up_leaves_nothing_and_what_is_killed_is_swept() {
        let scratch = ScratchDir::new();
        let store = Store::open(scratch.path()).await.unwrap();
        let mut given_up = store.begin().await.unwrap();
        given_up.write(b"half").await.unwrap();
        drop(given_up);
        drop(store.begin().await.unwrap().finish().await.unwrap());
        assert_eq!(files(scratch.path()), 0);
        // A process that is killed drops nothing.
        std::mem::forget(store.begin().await.unwrap());
        assert_eq!(store.sweep(AN_HOUR).await.unwrap(), 0);
        assert_eq!(files(scratch.path()), 1);
        let entry = std::fs::read_dir(scratch.path().join(UNFINISHED)).unwrap().next().unwrap();
        let long_ago = SystemTime::now() - 2 * AN_HOUR;
        std::fs::File::open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(store.sweep(AN_HOUR).await.unwrap(), 1);
        assert_eq!(files(scratch.path()), 0);
    }
}
