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

    pub fn unavailable(message: impl Display) -> Self {
        Self { exit: Exit::Unavailable, message: message.to_string() }
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

impl From<parley_nats::Failure> for Failure {
    fn from(error: parley_nats::Failure) -> Self {
        use parley_nats::Failure as Nats;
        match error {
            Nats::ShardsDiffer { .. } | Nats::Deployment(_) => Self::usage(error),
            Nats::Unreachable { .. }
            | Nats::JetStream { .. }
            | Nats::Overloaded(_)
            | Nats::Views(_) => Self::unavailable(error),
        }
    }
}

impl From<parley_projections::Failure> for Failure {
    fn from(error: parley_projections::Failure) -> Self {
        if error.is_temporary() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<parley_projections::Error> for Failure {
    fn from(error: parley_projections::Error) -> Self {
        use parley_projections::Error as Projections;
        match error {
            Projections::Nats(failure) => failure.into(),
            Projections::Views(failure) => failure.into(),
            Projections::LogReplaced { .. } => Self::usage(error),
            Projections::Rebuilding | Projections::InUse(_) => Self::unavailable(error),
            Projections::Panicked(_) => Self::internal(error),
        }
    }
}

impl From<parley_commands::Error> for Failure {
    fn from(error: parley_commands::Error) -> Self {
        use parley_commands::Error as Commands;
        match error {
            Commands::Nats(failure) => failure.into(),
            Commands::Database(failure) => failure.into(),
            Commands::Service(_) => Self::unavailable(error),
        }
    }
}

impl From<parley_notifier::Error> for Failure {
    fn from(error: parley_notifier::Error) -> Self {
        use parley_notifier::Error as Notifier;
        match error {
            Notifier::Follow(error) => error.into(),
            Notifier::Channels(_) => Self::usage(error),
        }
    }
}

impl From<parley_gateway::Error> for Failure {
    fn from(error: parley_gateway::Error) -> Self {
        use parley_gateway::Error as Gateway;
        match error {
            Gateway::Log(failure) => failure.into(),
            Gateway::Views(failure) => failure.into(),
            Gateway::Listen { .. } => Self::unavailable(error),
            Gateway::Secret(_) | Gateway::Origin(_) | Gateway::Attachments(_) => Self::usage(error),
            Gateway::Roots(_) | Gateway::Metrics(_) | Gateway::Description(_) => {
                Self::internal(error)
            }
        }
    }
}
