//! What all engines share: starting, watching, stopping.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::error::EngineError;
use super::leftovers::{self, ProcessEntry};
use super::process::Process;

/// How long a start may take, recovery after a crash included.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How long a clean stop may take before SIGKILL.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Starts that end at once, before the start counts as failed.
const ATTEMPTS: u32 = 5;
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// What makes one engine different from another.
pub(super) trait Recipe: Send + Sync + 'static {
    const NAME: &'static str;
    /// Asks for a clean stop.
    const STOP: Signal;
    /// Sent when this process dies, and to what an earlier one left behind.
    const DEATH: Signal;

    /// Whether a process belongs to this engine of this directory.
    fn is_ours(&self, process: &ProcessEntry) -> bool;
    /// Removes what a killed engine left behind and a new one would stumble over. Called only
    /// when no process of the engine is alive.
    fn remove_stale_files(&self) -> Result<(), EngineError>;
    /// The command that runs the engine in the foreground.
    fn command(&self) -> Result<Command, EngineError>;
    /// Does the engine do its work? If not, why.
    fn probe(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// One engine and the process that currently is it.
pub(super) struct Engine<R> {
    recipe: R,
    log: PathBuf,
    current: Mutex<Option<Arc<Process>>>,
}

impl<R: Recipe> Engine<R> {
    pub const fn new(recipe: R, log: PathBuf) -> Self {
        Self { recipe, log, current: Mutex::new(None) }
    }

    fn current(&self) -> Option<Arc<Process>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the engine and returns once it works. Ends leftovers first.
    pub async fn start(&self) -> Result<(), EngineError> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut attempt = 1;
        loop {
            leftovers::end(R::NAME, R::DEATH, |process| self.recipe.is_ours(process)).await?;
            self.recipe.remove_stale_files()?;
            match self.start_once(deadline).await {
                // Something that dies with a delay may still hold the port or the shared memory.
                Err(EngineError::Exited { .. })
                    if attempt < ATTEMPTS && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(100) * attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn start_once(&self, deadline: Instant) -> Result<(), EngineError> {
        let (output, errors) = open_log(&self.log)?;
        let log_start = output.metadata().map_or(0, |metadata| metadata.len());
        let mut command = self.recipe.command()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = Arc::new(Process::start(command, R::DEATH).await?);
        tracing::debug!(engine = R::NAME, pid = process.pid(), "started");
        self.current.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&process));
        loop {
            if let Some(status) = process.ended() {
                return Err(EngineError::Exited {
                    engine: R::NAME,
                    status,
                    log_tail: tail(&self.log, log_start),
                });
            }
            let probe = tokio::time::timeout(Duration::from_secs(5), self.recipe.probe()).await;
            let last = match probe {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > deadline {
                process.signal(Signal::SIGKILL);
                return Err(EngineError::NotReady { engine: R::NAME, within: READY_WITHIN, last });
            }
            tokio::select! {
                _ = process.wait() => {}
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }

    /// Asks for a clean stop, and after ten seconds ends the engine anyway.
    pub async fn stop(&self) {
        let Some(process) = self.current() else {
            return;
        };
        process.signal(R::STOP);
        process.signal(Signal::SIGCONT);
        if tokio::time::timeout(STOP_WITHIN, process.wait()).await.is_err() {
            tracing::warn!(engine = R::NAME, "did not stop in time, killing it");
            self.signal_all(Signal::SIGKILL);
            process.wait().await;
        }
    }

    /// Waits until the current process ends.
    pub async fn ended(&self) -> ExitStatus {
        match self.current() {
            Some(process) => process.wait().await,
            None => ExitStatus::default(),
        }
    }

    /// The id of the engine's main process while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.current().filter(|process| process.ended().is_none()).map(|process| process.pid())
    }

    /// Signals every process of the engine, the main one first.
    pub fn signal_all(&self, signal: Signal) {
        let main = self.current();
        if let Some(process) = &main {
            process.signal(signal);
        }
        let main = main.map(|process| process.pid());
        for pid in leftovers::find(|process| self.recipe.is_ours(process)) {
            if Some(pid) != main {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }

    /// Ends the engine at once and waits for it, without a runtime.
    #[cfg(feature = "testing")]
    pub fn kill_blocking(&self) {
        self.signal_all(Signal::SIGKILL);
        if let Some(process) = self.current() {
            process.wait_blocking(STOP_WITHIN);
        }
        // Backends of PostgreSQL are not our children: they can only be watched.
        let deadline = Instant::now() + STOP_WITHIN;
        while Instant::now() < deadline
            && !leftovers::find(|process| self.recipe.is_ours(process)).is_empty()
        {
            self.signal_all(Signal::SIGKILL);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the engine again whenever it dies, until `stop` is cancelled; then stops it.
    ///
    /// Also while the services drain: a Ctrl-C reaches the engines together with this process,
    /// and the services still need them for their last writes.
    pub async fn supervise(&self, stop: CancellationToken) {
        const SHORTEST: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_secs(5);
        let mut backoff = SHORTEST;
        loop {
            let watched_since = Instant::now();
            let status = tokio::select! {
                () = stop.cancelled() => break,
                status = self.ended() => status,
            };
            if watched_since.elapsed() > LONGEST * 2 {
                backoff = SHORTEST;
            }
            tracing::warn!(engine = R::NAME, %status, "ended unexpectedly, starting it again");
            let mut logged = false;
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(LONGEST);
                let started = tokio::select! {
                    () = stop.cancelled() => break,
                    started = self.start() => started,
                };
                match started {
                    Ok(()) => {
                        tracing::info!(engine = R::NAME, "runs again");
                        break;
                    }
                    Err(error) if !logged => {
                        tracing::error!(engine = R::NAME, %error, "does not start, trying on");
                        logged = true;
                    }
                    Err(_) => {}
                }
            }
        }
        self.stop().await;
    }
}

/// Opens the log for appending, twice; one that has grown large is moved aside first.
pub(super) fn open_log(path: &Path) -> Result<(File, File), EngineError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT_BYTES) {
        let old = path.with_extension("log.1");
        fs::rename(path, &old).map_err(EngineError::file("cannot rename", path))?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .and_then(|file| Ok((file.try_clone()?, file)))
        .map_err(EngineError::file("cannot open", path))
}

/// The last lines written after `from` bytes, for an error message.
pub(super) fn tail(path: &Path, from: u64) -> String {
    const LIMIT_BYTES: u64 = 2_000;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(LIMIT_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) => format!("({} cannot be read: {error})", path.display()),
    }
}
