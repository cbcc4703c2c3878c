//! Logs on standard error.
//!
//! Fields carry their units in their names. Never a message's body, a token or an address.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::Env;

/// What libraries say about their every connection helps nobody who did not ask for it.
pub const DEFAULT_FILTER: &str = "info,async_nats=warn,sqlx=warn";

/// How logs look and what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Directives of `tracing`, such as `info,parley_gateway=debug`.
    pub filter: String,
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads `PARLEY_LOG` (default [`DEFAULT_FILTER`]) and `PARLEY_LOG_FORMAT` (`text` or `json`).
    pub fn from_env(env: &mut Env) -> Self {
        let filter = env.string("PARLEY_LOG", DEFAULT_FILTER);
        if let Err(error) = EnvFilter::builder().parse(&filter) {
            env.problem("PARLEY_LOG", format!("is not a log filter: {error}"));
        }
        let format = match env.choice("PARLEY_LOG_FORMAT", "text", &["text", "json"]).as_str() {
            "json" => Format::Json,
            _text => Format::Text,
        };
        Self { filter, format }
    }
}

/// Sends the process's logs to standard error. The first call counts, later ones do nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match config.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    // Already installed: by an earlier test of the same process.
    drop(installed);
}
