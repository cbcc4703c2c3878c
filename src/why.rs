//! `parley why`: why somebody was told of a conversation, or was not.

use parley_domain::{ConversationId, UserId};
use parley_notifier::decisions::{Decision, MAX_DECISIONS, decisions};
use parley_notifier::why::{Waiting, waiting};
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

/// Say why somebody was, or was not, told of a conversation: what was decided, the newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The marketplace's id of the user.
    user: String,
    /// `d.alice.bob`, `g.…`
    conversation: String,
    /// At most so many decisions.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DECISIONS)))]
    limit: u32,
}

pub async fn run(args: Args, mut env: Env) -> Result<(), Failure> {
    let url = settings::database_url(&mut env);
    env.finish()?;
    let user = UserId::parse(&args.user).map_err(Failure::usage)?;
    let conversation = ConversationId::parse(&args.conversation).map_err(Failure::usage)?;
    let pool = parley_projections::connect(&url, "parley why", 1)?;
    let now = waiting(&pool, &user, &conversation).await?;
    println!("{}", sentence(&now));
    let page = decisions(&pool, &user, Some(&conversation), None, args.limit).await?;
    for decision in &page.decisions {
        println!("{}", line(decision));
    }
    if page.decisions.is_empty() {
        println!("nothing was decided yet");
    }
    Ok(())
}

/// How it stands now.
fn sentence(now: &Waiting) -> String {
    let Waiting { last_seq, read_seq, unread, timer } = now;
    let mut sentence =
        format!("now: {unread} unread of {last_seq} messages, read up to {read_seq}; ");
    match timer {
        Some((state, due_at)) => {
            sentence.push_str(match state.as_str() {
                "cooling" => "told, and at the earliest told again",
                "deferred" => "put off",
                _ => "to be decided",
            });
            sentence.push_str(&format!(" at {due_at}"));
        }
        None => sentence.push_str("nothing is due: the next message opens a window"),
    }
    sentence
}

fn line(decision: &Decision) -> String {
    let names =
        |channels: &mut dyn Iterator<Item = &'static str>| channels.collect::<Vec<_>>().join(", ");
    let mut line = format!("{} {}", decision.at, decision.decision);
    if let Some(reason) = decision.reason {
        line.push_str(&format!(" ({})", reason.as_str()));
    }
    line.push_str(&format!(", {} waiting", decision.messages));
    if !decision.channels.is_empty() {
        let channels = names(&mut decision.channels.iter().map(|channel| channel.as_str()));
        line.push_str(&format!(", by {channels}"));
    }
    if !decision.capped.is_empty() {
        let capped = names(&mut decision.capped.iter().map(|capped| capped.channel.as_str()));
        line.push_str(&format!(", {capped} left to a digest over all conversations"));
    }
    if let Some(until) = decision.until {
        line.push_str(&format!(", until {until}"));
    }
    if let Some(id) = decision.notification_id {
        line.push_str(&format!(", notification {id}"));
    }
    line
}
