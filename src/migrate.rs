//! `parley migrate`: brings the database's schema up to date.

use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

pub async fn run(mut env: Env) -> Result<(), Failure> {
    let url = settings::database_url(&mut env);
    env.finish()?;
    apply(&url).await
}

/// Any number of programs may do so at once.
pub async fn apply(database_url: &str) -> Result<(), Failure> {
    let pool = parley_projections::connect(database_url, "parley migrate", 1)?;
    parley_projections::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}
