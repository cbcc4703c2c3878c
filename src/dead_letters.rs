//! `parley dead-letters`: notifications that were given up, to be listed, sent again or dropped; and
//! events that could not be applied, to be listed.

use parley_domain::Timestamp;
use parley_notifier::dead_letters::{self, MAX_LISTED, Which};
use parley_runtime::clock::{Clock, SystemClock};
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

/// List notifications that were given up, send them again, or drop them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One a line; and the events that could not be applied to the views.
    List {
        /// At most so many of each.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LISTED)))]
        limit: u32,
    },
    /// Send again; an SMS of unknown outcome perhaps a second time.
    Retry(Chosen),
    /// Forget.
    Drop(Chosen),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// The number that `list` gives it.
    id: Option<i64>,
    #[arg(long)]
    all: bool,
}

impl Chosen {
    fn which(&self) -> Which {
        self.id.map_or(Which::All, Which::One)
    }
}

pub async fn run(args: Args, mut env: Env) -> Result<(), Failure> {
    let url = settings::database_url(&mut env);
    env.finish()?;
    let pool = parley_projections::connect(&url, "parley dead-letters", 1)?;
    let now = Timestamp::from_unix_millis(SystemClock.now_millis());
    match args.action {
        Action::List { limit } => {
            for letter in dead_letters::list(&pool, limit).await? {
                println!(
                    "{} {} {} {} of {} to {} endpoint {} after {} attempts: {}",
                    letter.delivery_id,
                    letter.at,
                    letter.state,
                    letter.channel,
                    if letter.what == "digest" { &letter.conversation } else { &letter.what },
                    letter.user_id,
                    letter.endpoint_id,
                    letter.attempts,
                    letter.reason,
                );
            }
            for event in parley_projections::queries::dead_letters(&pool, limit).await? {
                println!(
                    "event {}/{} {} {}: {}",
                    event.shard, event.position, event.at, event.subject, event.error
                );
            }
            Ok(())
        }
        Action::Retry(chosen) => {
            let count = dead_letters::retry(&pool, chosen.which(), now).await?;
            done(count, "sent again", &chosen)
        }
        Action::Drop(chosen) => {
            let count = dead_letters::drop(&pool, chosen.which(), now).await?;
            done(count, "dropped", &chosen)
        }
    }
}

fn done(count: u64, what: &str, chosen: &Chosen) -> Result<(), Failure> {
    if count == 0 && chosen.id.is_some() {
        return Err(Failure::usage(
            "there is no such dead letter; `parley dead-letters list` shows them",
        ));
    }
    println!("{count} {what}");
    Ok(())
}
