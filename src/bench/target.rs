//! The deployment that is measured.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::http::Http;
use crate::failure::Failure;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// A running deployment; a private one is this program's child.
pub struct Target {
    pub url: String,
    private: Option<(Child, PathBuf)>,
}

impl Target {
    /// The deployment at `url`, or a private one in `data`, which is emptied first.
    pub async fn start(url: Option<&str>, data: &Path) -> Result<Self, Failure> {
        if let Some(url) = url {
            return Ok(Self { url: url.trim_end_matches('/').to_owned(), private: None });
        }
        prepare(data)?;
        let listen = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|error| Failure::internal(format!("no free port: {error}")))?;
        let program = std::env::current_exe()
            .map_err(|error| Failure::internal(format!("where is this program: {error}")))?;
        let child = Command::new(program)
            .args(["up", "--listen", &listen.to_string(), "--data"])
            .arg(data)
            // The limits protect a deployment from such clients as this one.
            .env("PARLEY_SOCKET_FRAMES_PER_SECOND", "1000000")
            .env("PARLEY_SOCKET_BURST_FRAMES", "1000000")
            .env("PARLEY_RATE_MESSAGES_PER_MINUTE", "1000000")
            .env("PARLEY_RATE_NEW_ACCOUNT_CONVERSATIONS_PER_DAY", "0")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::internal(format!("parley up cannot be started: {error}")))?;
        let mut target =
            Self { url: format!("http://{listen}"), private: Some((child, data.to_owned())) };
        target.ready().await?;
        Ok(target)
    }

    /// The process whose descendants are the deployment; `None` if it was not started here.
    pub fn pid(&self) -> Option<u32> {
        self.private.as_ref().and_then(|(child, _)| child.id())
    }

    /// Ends a private deployment and takes its data away.
    pub async fn stop(self) {
        let Some((mut child, data)) = self.private else { return };
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
            && let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM)
        {
            tracing::debug!(%error, "the deployment had ended already");
        }
        if tokio::time::timeout(STOP, child.wait()).await.is_err() {
            tracing::warn!("the deployment did not end in time");
            drop(child);
        }
        if let Err(failure) = empty(&data) {
            tracing::warn!(%failure, "the bench's data is left");
        }
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let http = Http::new(&self.url);
        let answering = async {
            while http.get("/readyz", "").await.is_err() {
                let ended = self.private.as_mut().and_then(|(child, _)| child.try_wait().ok()?);
                if let Some(status) = ended {
                    return Err(Failure::unavailable(format!("parley up ended: {status}")));
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        };
        tokio::time::timeout(START, answering)
            .await
            .unwrap_or_else(|_| Err(Failure::unavailable("parley up did not become ready")))
    }
}

/// Marks a directory as the bench's own to remove.
const MARK: &str = "made-by-parley-bench";

/// An empty data directory of the bench's own.
pub(super) fn prepare(data: &Path) -> Result<(), Failure> {
    empty(data)?;
    fs::create_dir_all(data)
        .and_then(|()| fs::write(data.join(MARK), ""))
        .map_err(|error| Failure::usage(format!("{}: {error}", data.display())))
}

/// Removes what an earlier bench left, and nothing else: never the data of a deployment.
pub(super) fn empty(data: &Path) -> Result<(), Failure> {
    let refuse = |why: String| Failure::usage(format!("{}: {why}", data.display()));
    let is_ours = data.join(MARK).exists();
    let has_entries = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refuse(error.to_string())),
    };
    if has_entries && !is_ours {
        return Err(refuse("is not empty and not a bench's data directory".to_owned()));
    }
    fs::remove_dir_all(data).map_err(|error| refuse(error.to_string()))
}
