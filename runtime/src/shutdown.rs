//! Ending in two steps: soft, to finish what is under way; hard, to leave now.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a drain takes at most by default.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(15);

/// Tells every part of a program when to end, and knows which tasks still run.
///
/// A service stops taking new work when [`soft`](Self::soft) is cancelled, finishes what it has,
/// and drops it when [`hard`](Self::hard) is. Clones share everything.
#[derive(Clone, Debug)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// One that only [`begin`](Self::begin) and [`abort`](Self::abort) set off: for tests.
    #[must_use]
    pub fn new() -> Self {
        Self::below(CancellationToken::new())
    }

    /// What is hard is soft, too.
    fn below(hard: CancellationToken) -> Self {
        Self { soft: hard.child_token(), hard, tasks: TaskTracker::new() }
    }

    /// One that listens to the process's signals: the first SIGTERM or SIGINT is soft; a second
    /// one, or the end of `drain`, is hard.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals(drain: Duration) -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let watched = shutdown.clone();
        // Not among the tracked tasks: it would be waited for, and it waits for them.
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            tokio::select! {
                signal = next() => tracing::info!(signal, "draining"),
                () = watched.soft.cancelled() => tracing::info!("draining"),
            }
            watched.soft.cancel();
            tokio::select! {
                signal = next() => tracing::warn!(signal, "ending at once"),
                () = tokio::time::sleep(drain) => tracing::warn!(
                    drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX),
                    "not drained in time, ending at once"
                ),
                () = watched.hard.cancelled() => {}
            }
            watched.hard.cancel();
        });
        Ok(shutdown)
    }

    /// One for what must end later than the rest: its soft end begins only when it is told to,
    /// its hard end comes with this one's. It has tasks of its own.
    #[must_use]
    pub fn later(&self) -> Self {
        Self::below(self.hard.child_token())
    }

    /// Cancelled when new work must no longer be taken.
    #[must_use]
    pub const fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything must be dropped. Implies [`soft`](Self::soft).
    #[must_use]
    pub const fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// The tasks that must finish before the program ends.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Runs `task` as one that the end waits for.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn(task)
    }

    /// Starts the soft end.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Ends hard.
    pub fn abort(&self) {
        self.hard.cancel();
    }

    /// Waits until all tasks have finished, or the end has become hard. Says which: `true` when
    /// everything was finished.
    pub async fn drained(&self) -> bool {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => true,
            () = self.hard.cancelled() => false,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_the_tasks() {
        let shutdown = Shutdown::new();
        let soft = shutdown.soft().clone();
        let task = shutdown.spawn(async move { soft.cancelled().await });
        shutdown.begin();
        assert!(shutdown.drained().await);
        assert!(task.is_finished());
    }

    #[tokio::test]
    async fn a_hard_end_waits_for_nothing() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        shutdown.abort();
        assert!(shutdown.soft().is_cancelled());
        assert!(!shutdown.drained().await);
    }

    #[tokio::test]
    async fn what_ends_later_is_told_separately() {
        let first = Shutdown::new();
        let later = first.later();
        first.begin();
        assert!(!later.soft().is_cancelled());
        later.begin();
        assert!(later.soft().is_cancelled());
        first.abort();
        assert!(later.hard().is_cancelled());
        let never_told = first.later();
        assert!(never_told.soft().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_takes_too_long_becomes_hard() {
        let shutdown = Shutdown::on_signals(Duration::from_secs(15)).unwrap();
        shutdown.spawn(std::future::pending::<()>());
        shutdown.begin();
        let began = tokio::time::Instant::now();
        assert!(!shutdown.drained().await);
        assert_eq!(began.elapsed().as_secs(), 15);
    }
}
