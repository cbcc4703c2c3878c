//! What goes wrong between this program and PostgreSQL.

use std::time::Duration;

/// A view could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    #[error("PostgreSQL did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("a stored {what} cannot be read by this version: {why}")]
    Corrupt { what: &'static str, why: String },
    #[error("{0} is more than PostgreSQL can number")]
    TooLarge(u64),
}

impl Failure {
    pub(crate) fn corrupt(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, why: why.to_string() }
    }

    /// Whether PostgreSQL refused with this code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        match self {
            Self::Database(error) => {
                error.as_database_error().and_then(|error| error.code()).as_deref() == Some(code)
            }
            Self::TimedOut(_) | Self::Migration(_) | Self::Corrupt { .. } | Self::TooLarge(_) => {
                false
            }
        }
    }

    /// Whether trying again later may help; what remains is for a person to look at.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(_) | Self::TimedOut(_) | Self::Migration(_) => true,
            Self::Corrupt { .. } | Self::TooLarge(_) => false,
        }
    }
}

/// A database that was stopped in the middle of an answer keeps its connections open and says
/// nothing: no read may wait for it for ever.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::TimedOut(deadline)),
    }
}
