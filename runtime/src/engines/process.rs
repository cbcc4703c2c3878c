//! A running child: signalled safely, awaited from any runtime or none.

use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::error::EngineError;
use super::spawn;

/// A child process. Dropping it sends its death signal.
pub(super) struct Process {
    pid: Pid,
    death_signal: Signal,
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Default)]
struct Shared {
    /// Set under the lock before the process id is given back to the kernel, so that no signal
    /// can reach a stranger who got the same id.
    ended: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Process {
    /// Starts `command` on the spawner thread, and a thread that waits for its end.
    ///
    /// # Errors
    /// [`EngineError::Spawn`].
    pub async fn start(command: Command, death_signal: Signal) -> Result<Self, EngineError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let spawn_error = |source| EngineError::Spawn { program, source };
        let child = match spawn::spawn(command).await {
            Ok(child) => child,
            Err(source) => return Err(spawn_error(source)),
        };
        let pid = Pid::from_raw(child.id().cast_signed());
        let shared = Arc::new(Shared::default());
        let (sender, exit) = watch::channel(None);
        let waited = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("wait-{pid}"))
            .spawn(move || wait(child, pid, &waited, &sender))
            .map_err(spawn_error)?;
        Ok(Self { pid, death_signal, shared, exit })
    }

    pub const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Sends a signal unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none() {
            // It is a child not yet reaped: the only error left is a lack of permission, and
            // then waiting for its end reports the failure.
            let _ = kill(self.pid, signal);
        }
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        match ended.map(|status| *status) {
            Ok(Some(status)) => status,
            // The waiting thread always sends before it ends.
            Ok(None) | Err(_) => ExitStatus::default(),
        }
    }

    /// Waits for its end without a runtime. Says whether it came in time.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "for test engines"))]
    pub fn wait_blocking(&self, within: Duration) -> bool {
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) = self
            .shared
            .changed
            .wait_timeout_while(ended, within, |ended| ended.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        ended.is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(self.death_signal);
        self.signal(Signal::SIGCONT);
    }
}

fn wait(mut child: Child, pid: Pid, shared: &Shared, exit: &watch::Sender<Option<ExitStatus>>) {
    // Sees the end without reaping: until the lock is taken the id stays ours.
    while let Err(nix::Error::EINTR) =
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
    {}
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    let status = child.wait().unwrap_or_default();
    // Before the lock is given back: who waits for one must not see the other missing.
    exit.send_replace(Some(status));
    *ended = Some(status);
    shared.changed.notify_all();
}
