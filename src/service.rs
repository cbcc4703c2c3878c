//! One service alone in a process.

use parley_runtime::config::Env;
use parley_runtime::shutdown::{DEFAULT_DRAIN, Shutdown};

use crate::failure::Failure;

/// Reads the service's configuration, and runs it until a signal or its own end.
pub async fn run<C, E>(
    mut env: Env,
    configure: impl FnOnce(&mut Env) -> C,
    service: impl AsyncFnOnce(C, Shutdown) -> Result<(), E>,
) -> Result<(), Failure>
where
    Failure: From<E>,
{
    let drain = env.duration_seconds("PARLEY_DRAIN_SECONDS", DEFAULT_DRAIN.as_secs(), 1..=3_600);
    let config = configure(&mut env);
    env.finish()?;
    let shutdown = Shutdown::on_signals(drain).map_err(Failure::internal)?;
    let ended = tokio::select! {
        ended = Box::pin(service(config, shutdown.clone())) => ended,
        () = shutdown.hard().cancelled() => Ok(()),
    };
    shutdown.begin();
    // What was not drained in time has been logged; it is no failure of the program.
    shutdown.drained().await;
    ended.map_err(Failure::from)
}
