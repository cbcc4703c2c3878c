//! Processes that an earlier life of a directory left behind.
//!
//! The parent-death signal ends engines with their parent, but not at once, and a backend of
//! PostgreSQL may outlive its postmaster by the length of a statement.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::EngineError;

/// One entry of `/proc`.
#[derive(Debug)]
pub(super) struct ProcessEntry {
    pub pid: i32,
    /// The program's short name.
    pub comm: String,
    pub args: Vec<String>,
    /// Unknown for zombies and for the processes of other users.
    pub cwd: Option<PathBuf>,
}

/// The living processes that `ours` recognises.
pub(super) fn find(ours: impl Fn(&ProcessEntry) -> bool) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(read)
        .filter(ours)
        .map(|entry| entry.pid)
        .collect()
}

fn read(pid: i32) -> Option<ProcessEntry> {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    // A zombie has no command line any more.
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if command_line.is_empty() {
        return None;
    }
    Some(ProcessEntry {
        pid,
        comm: comm.trim_end().to_owned(),
        args: command_line
            .split(|byte| *byte == 0)
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect(),
        cwd: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
    })
}

/// Ends what `ours` recognises: `gentle` first, after three seconds by SIGKILL.
///
/// # Errors
/// [`EngineError::LeftoverAlive`] when one is still there after ten.
pub(super) async fn end(
    engine: &'static str,
    gentle: Signal,
    ours: impl Fn(&ProcessEntry) -> bool,
) -> Result<(), EngineError> {
    let started = Instant::now();
    let mut told = Vec::new();
    loop {
        let alive = find(&ours);
        let Some(first) = alive.first() else {
            return Ok(());
        };
        let waited = started.elapsed();
        if waited > Duration::from_secs(10) {
            return Err(EngineError::LeftoverAlive { engine, pid: *first });
        }
        for pid in alive {
            let process = Pid::from_raw(pid);
            if waited > Duration::from_secs(3) {
                let _ = kill(process, Signal::SIGKILL);
            } else if !told.contains(&pid) {
                tracing::info!(engine, pid, "ending a process of an earlier run");
                let _ = kill(process, gentle);
                let _ = kill(process, Signal::SIGCONT);
                told.push(pid);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
