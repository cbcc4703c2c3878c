//! Why the program ends, and with which exit code.

use std::fmt::Display;

use parley_runtime::config::ConfigError;
use parley_runtime::engines::EngineError;
use parley_runtime::exit::Exit;

/// The one error that `main` reports.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub fn usage(message: impl Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    pub fn internal(message: impl Display) -> Self {
        Self { exit: Exit::Internal, message: message.to_string() }
    }

    pub const fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(format!("the configuration is wrong:\n{error}"))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { exit: error.exit(), message: error.to_string() }
    }
}
