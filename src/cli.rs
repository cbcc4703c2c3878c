//! The command line.

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use parley_runtime::exit::Exit;

use crate::{bench, dead_letters, hold, replay, token, up, why};

/// Direct messaging for marketplaces: self-hosted, on NATS JetStream and PostgreSQL.
///
/// Services are configured by PARLEY_* variables; see docs/operations.md.
#[derive(Debug, Parser)]
#[command(name = "parley", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Up(up::Args),
    /// Run the commands service: it takes commands and appends to the log.
    Commands,
    /// Run the projections service: it keeps the views in PostgreSQL equal to the log.
    Projections,
    /// Run a gateway: it serves HTTP, WebSockets and the page.
    Gateway,
    /// Run the notifier: it tells people who are away that a message waits.
    Notifier,
    /// Bring the database's schema up to date.
    Migrate,
    /// Create the streams and buckets that are missing, and say what is there.
    Topology,
    Hold(hold::Args),
    /// Make the views anew from the log, beside those in use, and put them in their place.
    Rebuild,
    /// Compare the views with what the log makes of an empty database; 70 if they differ.
    Verify,
    Replay(replay::Args),
    Why(why::Args),
    DeadLetters(dead_letters::Args),
    Token(token::Args),
    Bench(bench::Args),
}

/// The command that was given. On bad usage, or a request for help, prints and says how to end.
pub fn parse() -> Result<Command, Exit> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| {
        // A closed terminal is no reason for another exit code.
        drop(error.print());
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            Exit::Ok
        } else {
            Exit::Usage
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
