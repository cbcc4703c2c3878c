//! Starting a process that cannot outlive this one.
//!
//! The kernel's parent-death signal is tied to the *thread* that forked, not to its process.
//! So every engine is forked by one thread that lives as long as the process; the threads of
//! tests and of an async runtime come and go.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, getppid, setgid, setgroups, setuid};
use tokio::sync::oneshot;

/// A capability that lets an unprivileged user pass through directories closed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    /// Read and traverse; enough, and the lesser right.
    DacReadSearch,
    /// For containers that grant only this one.
    DacOverride,
}

impl Capability {
    /// Its number in `linux/capability.h`.
    const fn number(self) -> u32 {
        match self {
            Self::DacOverride => 1,
            Self::DacReadSearch => 2,
        }
    }
}

/// Whom the child runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privileges {
    /// As this process.
    Same,
    /// As another user, with at most one capability kept.
    User { uid: Uid, gid: Gid, keep: Option<Capability> },
}

/// What happens between fork and exec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub privileges: Privileges,
    /// Sent to the child when this process dies.
    pub death_signal: Signal,
}

/// A command bound to `terms`: it runs in `dir`, which it enters as the user that it runs as.
pub(super) fn command(program: &Path, dir: &Path, terms: Terms) -> Command {
    let parent = Pid::this();
    let mut dir_bytes = dir.as_os_str().as_bytes().to_vec();
    dir_bytes.push(0);
    let mut command = Command::new(program);
    #[expect(
        unsafe_code,
        reason = "the closure runs between fork and exec: it makes system calls only, and allocates nothing"
    )]
    unsafe {
        command.pre_exec(move || enter(parent, terms, &dir_bytes));
    }
    command
}

/// Runs in the child. The order matters: a change of user clears both the capabilities and the
/// parent-death signal, so these come after it.
fn enter(parent: Pid, terms: Terms, dir: &[u8]) -> io::Result<()> {
    if let Privileges::User { uid, gid, keep } = terms.privileges {
        if keep.is_some() {
            prctl::set_keepcaps(true)?;
        }
        setgroups(&[gid])?;
        setgid(gid)?;
        setuid(uid)?;
        if let Some(capability) = keep {
            keep_across_exec(capability)?;
        }
    }
    prctl::set_pdeathsig(terms.death_signal)?;
    if getppid() != parent {
        // The parent died before the signal was set.
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    let dir = std::ffi::CStr::from_bytes_until_nul(dir)
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    nix::unistd::chdir(dir)?;
    Ok(())
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Makes `capability` the only one, and ambient, so that a plain program keeps it over exec.
fn keep_across_exec(capability: Capability) -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3: two words of 32 bits a set.
    let header = CapabilityHeader { version: 0x2008_0522, pid: 0 };
    let bit = 1_u32 << capability.number();
    let only = CapabilitySets { effective: bit, permitted: bit, inheritable: bit };
    let none = CapabilitySets { effective: 0, permitted: 0, inheritable: 0 };
    let sets = [only, none];
    #[expect(
        unsafe_code,
        reason = "capset and prctl have no safe wrapper; the pointers are to live, correctly laid out values"
    )]
    let done = unsafe {
        libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) == 0
            && libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE,
                libc::c_ulong::from(capability.number()),
                0,
                0,
            ) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Forks on the long-lived thread.
///
/// # Errors
/// What the operating system says, among it what failed between fork and exec.
pub(super) async fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        // If the thread cannot be started, its receiver is dropped and every spawn reports it.
        drop(std::thread::Builder::new().name("engine-spawner".into()).spawn(move || {
            for mut job in jobs {
                // A caller that went away lets go of the child, which is then killed.
                if let Err(Ok(mut orphan)) = job.reply.send(job.command.spawn()) {
                    drop(orphan.kill());
                    drop(orphan.wait());
                }
            }
        }));
        sender
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (reply, child) = oneshot::channel();
    spawner.send(Job { command, reply }).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}
