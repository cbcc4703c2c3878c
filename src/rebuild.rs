//! `parley rebuild` and `parley verify`: the views made anew from the log, to replace those in use
//! or to compare them.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use parley_projections::rebuild::{self, Progress};
use parley_runtime::config::Env;

use crate::failure::Failure;

/// How often progress is printed.
const PRINT_EVERY: Duration = Duration::from_secs(2);

pub async fn rebuild(env: Env) -> Result<(), Failure> {
    let (config, nats) = connect(env).await?;
    let started = Instant::now();
    Box::pin(rebuild::rebuild(&config, &nats, printer())).await?;
    println!("The views are made anew and in use; it took {} s.", started.elapsed().as_secs());
    Ok(())
}

/// Exits with 70 if the views are not what the log says.
pub async fn verify(env: Env) -> Result<(), Failure> {
    let (config, nats) = connect(env).await?;
    let differences = Box::pin(rebuild::verify(&config, &nats, printer())).await?;
    if differences.is_empty() {
        println!("The views are what the log says.");
        return Ok(());
    }
    for difference in &differences {
        let how = match (difference.in_use, difference.from_log) {
            (true, true) => "differs",
            (true, false) => "is not in the log",
            (false, _) => "is missing",
        };
        println!("{} {} {how}", difference.table, difference.row);
    }
    Err(Failure::internal("the views are not what the log says; `parley rebuild` makes them anew"))
}

async fn connect(
    mut env: Env,
) -> Result<(parley_projections::Config, parley_nats::Connection), Failure> {
    let config = parley_projections::Config::from_env(&mut env);
    env.finish()?;
    let nats = parley_nats::connect(&config.nats_url, "parley rebuild").await?;
    Ok((config, nats))
}

fn printer() -> impl Fn(Progress) + Sync {
    let printed = Mutex::new(None::<Instant>);
    move |progress| {
        let mut printed = printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if printed.is_none_or(|last| last.elapsed() >= PRINT_EVERY) {
            *printed = Some(Instant::now());
            let Progress { shard, position, end } = progress;
            eprintln!("shard {shard}: {position} of {end}");
        }
    }
}
