//! `parley replay`: events of the log on standard output, one JSON object a line, as they are
//! stored.

use std::io::{self, ErrorKind, Write};

use parley_domain::Subject;
use parley_nats::subjects::shard_of;
use parley_nats::tail::{LogMessage, Tail, TailOptions};
use parley_nats::{Connection, read, topology};
use parley_runtime::config::Env;

use crate::failure::Failure;
use crate::settings;

const BATCH: usize = 1_000;

/// Print events of the log, one JSON object a line: of one conversation or account, or of all.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A conversation (`d.alice.bob`, `g.…`, `c.…`) or account (`a.alice`); all if it is left out.
    subject: Option<String>,
    /// Only this shard.
    #[arg(long, conflicts_with = "subject")]
    shard: Option<u16>,
    /// Only what is behind this position of the shard.
    #[arg(long, requires = "shard")]
    after: Option<u64>,
    /// Go on with what comes, until stopped; with --shard.
    #[arg(long, requires = "shard")]
    follow: bool,
}

pub async fn run(args: Args, mut env: Env) -> Result<(), Failure> {
    let url = settings::nats_url(&mut env);
    env.finish()?;
    let subject = args.subject.as_deref().map(Subject::parse).transpose();
    let subject = subject.map_err(|error| Failure::usage(format!("the subject: {error}")))?;
    let nats = parley_nats::connect(&url, "parley replay").await?;
    let deployment = topology::find(&nats).await?;
    let shards = deployment.ok_or_else(|| Failure::usage("there is no deployment there"))?.shards;
    if let Some(shard) = args.shard.filter(|shard| *shard >= shards) {
        return Err(Failure::usage(format!("--shard {shard}: there are {shards}, from 0")));
    }
    let printed = match (subject, args.shard) {
        (Some(subject), _) => one(&nats, &subject, shards).await,
        (None, Some(shard)) if args.follow => follow(&nats, shard, args.after).await,
        (None, Some(shard)) => to_end(&nats, shard, args.after.unwrap_or_default()).await,
        (None, None) => all(&nats, shards).await,
    };
    match printed {
        // Whoever reads has enough: `parley replay | head`.
        Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(Stopped::Output(error)) => Err(Failure::internal(error)),
        Err(Stopped::Log(failure)) => Err(failure.into()),
        Ok(()) => Ok(()),
    }
}

enum Stopped {
    Output(io::Error),
    Log(parley_nats::Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<parley_nats::Failure> for Stopped {
    fn from(failure: parley_nats::Failure) -> Self {
        Self::Log(failure)
    }
}

async fn one(nats: &Connection, subject: &Subject, shards: u16) -> Result<(), Stopped> {
    let messages = match subject {
        Subject::Conversation(id) => read::read_subject(nats, shard_of(id, shards), id).await?,
        Subject::Account(id) => read::read_subject(nats, shard_of(id, shards), id).await?,
    };
    Ok(print(&messages)?)
}

async fn all(nats: &Connection, shards: u16) -> Result<(), Stopped> {
    for shard in 0..shards {
        to_end(nats, shard, 0).await?;
    }
    Ok(())
}

async fn to_end(nats: &Connection, shard: u16, after: u64) -> Result<(), Stopped> {
    let mut printed = Ok(());
    read::read_to_end(nats, shard, after, |message| {
        if printed.is_ok() {
            printed = print(&[message]);
        }
    })
    .await?;
    Ok(printed?)
}

async fn follow(nats: &Connection, shard: u16, after: Option<u64>) -> Result<(), Stopped> {
    let after = match after {
        Some(after) => after,
        None => read::last_position(nats, shard).await?,
    };
    let mut tail = Tail::open(nats, shard, after, TailOptions::default());
    loop {
        print(&tail.next_batch(BATCH, std::time::Duration::ZERO).await)?;
    }
}

fn print(messages: &[LogMessage]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for message in messages {
        out.write_all(&message.payload)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
