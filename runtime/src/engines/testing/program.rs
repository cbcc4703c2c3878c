//! Programs under test: in a process group of their own, gone with the test process.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid};

use super::super::engine::open_log;
use super::super::leftovers;
use super::super::process::Process;
use super::super::spawn::{self, Privileges, Terms};
use super::or_panic;

/// A running program and the process group that it leads. Dropping it kills the whole group.
pub struct TestProgram {
    process: Process,
    group: Pid,
}

impl TestProgram {
    /// Starts `program` (an absolute path) in `dir`, its output appended to `log`. Of this
    /// process's `PARLEY_*` variables it sees those only that say where engines are.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start(
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
        dir: &Path,
        log: &Path,
    ) -> Self {
        const KEPT: [&str; 2] = ["PARLEY_NATS_SERVER_BIN", "PARLEY_POSTGRES_BIN_DIR"];
        let death_signal = Signal::SIGKILL;
        let terms = Terms { privileges: Privileges::Same, death_signal };
        let mut command = spawn::command(program, dir, terms);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PARLEY_") && !KEPT.contains(&text.as_ref()) {
                command.env_remove(&name);
            }
        }
        let (output, errors) = or_panic("the log of a program", open_log(log));
        command
            .args(args)
            .envs(variables)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let process = or_panic("a program", Process::start(command, death_signal).await);
        let group = Pid::from_raw(process.pid());
        Self { process, group }
    }

    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Signals the program itself, but not what it has started.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Signals every process of the group.
    pub fn signal_group(&self, signal: Signal) {
        // There may be nobody left, which is fine.
        let _ = killpg(self.group, signal);
    }

    /// How the program ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Waits for the program's end.
    pub async fn wait(&self) -> ExitStatus {
        self.process.wait().await
    }

    /// The living processes of the group, the program included.
    #[must_use]
    pub fn group(&self) -> Vec<i32> {
        leftovers::find(|process| {
            getpgid(Some(Pid::from_raw(process.pid))).is_ok_and(|group| group == self.group)
        })
    }

    /// Kills the whole group without warning; returns when all of it is gone.
    ///
    /// # Panics
    /// If something is still there after ten seconds.
    pub fn kill9_group(&self) {
        let started = Instant::now();
        loop {
            self.signal_group(Signal::SIGKILL);
            let alive = self.group();
            if alive.is_empty() && self.process.wait_blocking(Duration::from_secs(10)) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{alive:?} do not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for TestProgram {
    fn drop(&mut self) {
        self.signal_group(Signal::SIGKILL);
    }
}
