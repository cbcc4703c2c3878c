//! One service alone in a process.

use parley_runtime::config::Env;
use parley_runtime::shutdown::{DEFAULT_DRAIN, Shutdown};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::metrics;

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

/// The same for a service that serves no HTTP itself: what it counts is on a port of its own, if one
/// is configured.
pub async fn run_counted<C, E>(
    mut env: Env,
    configure: impl FnOnce(&mut Env) -> C,
    service: impl AsyncFnOnce(C, Shutdown) -> Result<(), E>,
) -> Result<(), Failure>
where
    Failure: From<E>,
{
    let listen = parley_runtime::metrics::listen(&mut env);
    run::<C, Failure>(env, configure, async move |config, shutdown| {
        if let Some(address) = listen {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                Failure::unavailable(format!("metrics cannot be served at {address}: {error}"))
            })?;
            let serving = metrics::serve(listener, shutdown.soft().clone());
            shutdown.spawn(serving);
        }
        service(config, shutdown).await.map_err(Failure::from)
    })
    .await
}
