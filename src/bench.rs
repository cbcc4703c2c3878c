//! `parley bench`: pairs of people talk over WebSockets; how much, how fast, at what cost, and
//! whether history holds every acknowledged message exactly once afterwards.

mod history;
mod http;
mod notify;
mod processes;
mod report;
mod talker;
mod target;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use self::{
    history::Check,
    http::Http,
    processes::CpuSeconds,
    report::{Report, Settings},
    talker::{Plan, Talker, Told},
    target::Target,
};
use crate::failure::Failure;

/// Measure a deployment: a private one that is started for it, or one that runs in dev mode.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Measure the gateway here (http://host:port) instead of a private deployment.
    #[arg(long)]
    url: Option<String>,
    /// Where the private deployment keeps its data; emptied before and after. Choose a disk, not a
    /// memory file system, or its fsync costs nothing.
    #[arg(long, default_value = ".parley/bench")]
    data: PathBuf,
    /// Conversations; two people in each, on a socket each.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    /// Unacknowledged messages that each socket may have out.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=512))]
    in_flight: u32,
    /// Messages a second over all sockets, sent by a clock; without it, as fast as acks come.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    #[arg(long, default_value_t = 3)]
    warm_up_seconds: u64,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Characters of each message's text.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    text_characters: u32,
}

/// One service by itself.
#[derive(Debug, clap::Subcommand)]
enum Part {
    Notify(notify::Args),
}

/// How long stragglers may take after the last message was sent.
const SETTLE: Duration = Duration::from_secs(15);

pub async fn run(args: Args) -> Result<(), Failure> {
    if let Some(Part::Notify(args)) = &args.part {
        return notify::run(args).await;
    }
    let target = Target::start(args.url.as_deref(), &args.data).await?;
    let measured = measure(&args, &target).await;
    target.stop().await;
    let report = measured?;
    println!("{}", report.json());
    println!("{}", report.line());
    if report.history.is_good() {
        Ok(())
    } else {
        Err(Failure::internal("history does not hold every acknowledged message exactly once"))
    }
}

async fn measure(args: &Args, target: &Target) -> Result<Report, Failure> {
    let http = Http::new(&target.url);
    let run = std::process::id();
    let begin = Instant::now();
    let warm = Duration::from_secs(args.warm_up_seconds);
    let sockets = args.pairs * 2;
    let mut talkers = Vec::new();
    for pair in 0..args.pairs {
        let people = [format!("bench{run}-a{pair}"), format!("bench{run}-b{pair}")];
        for (side, user) in people.iter().enumerate() {
            let token = http.sign_in(user).await?;
            let conversation = format!("d.{}.{}", people[0], people[1]);
            let socket = u32::try_from(side).unwrap_or_default() + pair * 2;
            talkers.push(Talker::connect(&target.url, &token, socket, conversation).await?);
        }
    }
    let start = Instant::now();
    let plan = Arc::new(Plan {
        begin,
        measure_from: start + warm,
        end: start + warm + Duration::from_secs(args.seconds),
        settled: start + warm + Duration::from_secs(args.seconds) + SETTLE,
        in_flight: args.in_flight as usize,
        pause: args.rate.map(|rate| Duration::from_secs(1) * sockets / rate),
        sockets,
        text: "x".repeat(args.text_characters as usize),
    });
    let mut talking = JoinSet::new();
    for talker in talkers {
        talking.spawn(talker.talk(Arc::clone(&plan)));
    }
    tokio::time::sleep_until(plan.measure_from.into()).await;
    let before = CpuSeconds::now(target.pid());
    tokio::time::sleep_until(plan.end.into()).await;
    let after = CpuSeconds::now(target.pid());
    let mut told = Told::default();
    while let Some(joined) = talking.join_next().await {
        let one = joined.map_err(|error| Failure::internal(error.to_string()))??;
        told.merge(one);
    }
    let history = Check::run(&http, &told.acknowledged).await?;
    Ok(Report::new(
        Settings {
            pairs: args.pairs,
            in_flight: args.in_flight,
            rate_per_second: args.rate,
            seconds: args.seconds,
            text_characters: args.text_characters,
        },
        told,
        after.since(&before),
        history,
    ))
}
