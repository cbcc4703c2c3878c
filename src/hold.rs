//! `parley hold`: legal holds. What they keep is said in docs/operations.md.

use parley_domain::ConversationId;
use parley_projections::holds::{self, Hold};
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

/// Keep deleted messages of a conversation in the log, e.g. for a court.
///
/// While a hold stands, nothing of the conversation is erased from the log; readers see deleted
/// messages as deleted all the same. Once no hold stands, what was deleted is erased.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Place a hold. Once this ends well, nothing is erased any more.
    Add(Act),
    /// Lift a hold.
    Remove {
        #[command(flatten)]
        act: Act,
        /// Which one, if several stand: the number that `list` shows.
        #[arg(long)]
        hold: Option<u64>,
    },
    /// Show every hold that the conversation has or had.
    List { conversation: String },
}

#[derive(Debug, clap::Args)]
struct Act {
    /// The conversation's id, e.g. d.alice.bob.
    conversation: String,
    /// Who does it.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    by: String,
    /// Why, e.g. a file number.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
}

pub async fn run(args: Args, mut env: Env) -> Result<(), Failure> {
    let url = settings::database_url(&mut env);
    env.finish()?;
    let pool = parley_projections::connect(&url, "parley hold", 1)?;
    match args.what {
        What::Add(Act { conversation, by, reason }) => {
            let id = parse(&conversation)?;
            let hold = holds::place(&pool, &id, &by, &reason).await?;
            println!("hold {hold} stands on {id}");
        }
        What::Remove { act: Act { conversation, by, reason }, hold } => {
            let id = parse(&conversation)?;
            let hold = match hold {
                Some(hold) => hold,
                None => only(&id, &holds::list(&pool, &id).await?)?,
            };
            if !holds::lift(&pool, &id, hold, &by, &reason).await? {
                return Err(Failure::usage(format!("no hold {hold} stands on {id}")));
            }
            println!("hold {hold} on {id} is lifted");
        }
        What::List { conversation } => {
            for hold in holds::list(&pool, &parse(&conversation)?).await? {
                println!("{}", line(&hold));
            }
        }
    }
    pool.close().await;
    Ok(())
}

fn parse(conversation: &str) -> Result<ConversationId, Failure> {
    ConversationId::parse(conversation).map_err(Failure::usage)
}

/// The one that stands.
fn only(id: &ConversationId, holds: &[Hold]) -> Result<u64, Failure> {
    let mut standing = holds.iter().filter(|hold| hold.lifted.is_none());
    match (standing.next(), standing.next()) {
        (Some(hold), None) => Ok(hold.id),
        (None, _) => Err(Failure::usage(format!("no hold stands on {id}"))),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("several holds stand on {id}: say which one with --hold")))
        }
    }
}

fn line(hold: &Hold) -> String {
    let Hold { id, placed_at, placed_by, reason, lifted } = hold;
    let placed = format!("hold {id}  placed {placed_at} by {placed_by}: {reason}");
    match lifted {
        None => placed,
        Some((at, by, why)) => format!("{placed}  lifted {at} by {by}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(id: u64, lifted: bool) -> Hold {
        let at = parley_domain::Timestamp::from_unix_millis(1_795_254_300_123);
        let lifted = lifted.then(|| (at, "bea".to_owned(), "closed".to_owned()));
        Hold { id, placed_at: at, placed_by: "ada".to_owned(), reason: "case 7".to_owned(), lifted }
    }

    #[test]
    fn one_that_stands_needs_no_number() {
        let id = ConversationId::parse("d.alice.bob").unwrap();
        assert_eq!(only(&id, &[hold(1, true), hold(2, false)]).unwrap(), 2);
        assert!(only(&id, &[hold(1, true)]).is_err());
        assert!(only(&id, &[hold(1, false), hold(2, false)]).is_err());
    }

    #[test]
    fn a_line_says_who_and_why() {
        let placed = "hold 1  placed 2026-11-21T09:45:00.123Z by ada: case 7";
        assert_eq!(line(&hold(1, false)), placed);
        assert_eq!(
            line(&hold(1, true)),
            format!("{placed}  lifted 2026-11-21T09:45:00.123Z by bea: closed")
        );
    }
}
