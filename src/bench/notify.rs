//! `parley bench notify`: whether the notifier keeps up with the log, and what it costs.
//!
//! Events are written to the log of a private deployment by a clock, as the commands service would;
//! some of the recipients are online and read each message, the others are away.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use parley_domain::{AccountId, ConversationId, LogId, Timestamp, UserId};
use parley_nats::{
    Connection,
    committer::{Append, Committer, CommitterConfig, event_headers},
    presence::PresenceBucket,
    subjects::{event_subject, shard_of},
    topology::TopologyConfig,
};
use parley_notifier::stats::{Pool, Stats, stats};
use parley_runtime::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{
    processes::CpuSeconds,
    target::{empty, prepare},
};
use crate::{failure::Failure, migrate, topology, up::engines::Engines};

const SHARDS: u16 = 4;
const LEASE: Duration = Duration::from_millis(2_500);
/// How long what was begun may take after the last message.
const SETTLE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// Of a gateway.
const BEAT: Duration = Duration::from_secs(1);
/// How often a share of the messages is written.
const TICK: Duration = Duration::from_millis(10);

/// Measure the notifier alone: decisions a second, rows written a message, CPU.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the private deployment keeps its data; emptied before and after.
    #[arg(long, default_value = ".parley/bench")]
    data: PathBuf,
    /// Messages a second in the log.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Conversations that they are spread over, and so recipients.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    conversations: u32,
    /// How many of a hundred recipients are away.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100))]
    away_percent: u32,
    /// PARLEY_NOTIFY_GRACE_SECONDS
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    grace_seconds: u64,
}

pub async fn run(args: &Args) -> Result<(), Failure> {
    prepare(&args.data)?;
    let data = args.data.canonicalize().map_err(Failure::usage)?;
    let engines = Engines::start(&data, None, None).await?;
    let measured = Box::pin(measure(args, &data, &engines)).await;
    engines.stop().await;
    empty(&args.data)?;
    println!("{}", measured?);
    Ok(())
}

async fn measure(args: &Args, data: &std::path::Path, engines: &Engines) -> Result<Value, Failure> {
    migrate::apply(&engines.database_url).await?;
    let config = TopologyConfig { shards: SHARDS, replicas: 1, lease_ttl: LEASE };
    Box::pin(topology::apply(&engines.nats_url, &config)).await?;
    let nats = parley_nats::connect(&engines.nats_url, "parley bench").await?;
    let pool = parley_projections::connect(&engines.database_url, "parley bench", 1)?;
    let mut log = Log::new(args, &nats)?;
    let bucket = PresenceBucket::new(nats.clone(), "bench".to_owned(), 1);
    bucket.ensure().await?;
    bucket.beat(1).await?;
    for pair in log.pairs.iter().filter(|pair| !pair.is_away) {
        bucket.join(pair.reader.as_str()).await?;
    }
    let beating = tokio::spawn(async move {
        let mut beats = 1;
        loop {
            tokio::time::sleep(BEAT).await;
            beats += 1;
            if let Err(failure) = bucket.beat(beats).await {
                tracing::warn!(%failure, "the bench's people seem to be away");
            }
        }
    });
    let projections = child("projections", args, data, engines)?;
    let mut notifier = child("notifier", args, data, engines)?;
    log.add_endpoints().await?;
    reached(&pool, &mut notifier, log.written, Duration::from_secs(30)).await?;

    let (before, cpu_before) = (settled(&pool).await?, CpuSeconds::now(notifier.id()));
    let begun = Instant::now();
    log.talk(args).await?;
    let talked = begun.elapsed();
    let lag = reached(&pool, &mut notifier, log.written, SETTLE).await?;
    // The last windows.
    tokio::time::sleep(Duration::from_secs(args.grace_seconds)).await;
    let after = settled(&pool).await?;
    let cpu = CpuSeconds::now(notifier.id()).since(&cpu_before);
    beating.abort();
    drop((projections, notifier));
    let messages = f64::from(log.messages);
    let rows = number(after.rows_written.saturating_sub(before.rows_written));
    let notifier_cpu: f64 =
        cpu.0.iter().filter(|(name, _)| *name != "generator").map(|(_, spent)| spent).sum();
    let wall = begun.elapsed().as_secs_f64();
    Ok(json!({
        "messages": log.messages,
        "messagesPerSecond": round(messages / talked.as_secs_f64()),
        "recipients": log.pairs.len(),
        "awayPercent": args.away_percent,
        "decisions": after.decisions,
        "decisionsPerSecond": round(
            number(after.decisions) * 1_000.0 / number(after.decided_within_millis.max(1))
        ),
        "rowsWrittenPerMessage": round(rows / messages),
        "behindAtTheEndSeconds": round(lag.as_secs_f64()),
        "notifierCpuSeconds": round(notifier_cpu),
        "notifierCores": round(notifier_cpu / wall),
        "notifierCpuSecondsPer1000Messages": round(notifier_cpu * 1_000.0 / messages),
    }))
}

/// A service as a child, which ends with its handle.
fn child(
    name: &str,
    args: &Args,
    data: &std::path::Path,
    engines: &Engines,
) -> Result<Child, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("where is this program: {error}")))?;
    Command::new(program)
        .arg(name)
        .env("PARLEY_NATS_URL", &engines.nats_url)
        .env("PARLEY_DATABASE_URL", &engines.database_url)
        .env("PARLEY_SHARDS", SHARDS.to_string())
        .env("PARLEY_NOTIFY_GRACE_SECONDS", args.grace_seconds.to_string())
        .env("PARLEY_NOTIFY_LINK_SECRET", "of a bench, whose links lead nowhere")
        .env("PARLEY_NOTIFY_OUTBOX_FILE", data.join("outbox.jsonl"))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::internal(format!("parley {name} cannot be started: {error}")))
}

/// Waits until the notifier has read so many events; says how long that took.
async fn reached(
    pool: &Pool,
    notifier: &mut Child,
    events: u64,
    patience: Duration,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    while stats(pool).await?.seen < events {
        if begun.elapsed() > patience {
            return Err(Failure::internal("the notifier does not keep up"));
        }
        if let Ok(Some(status)) = notifier.try_wait() {
            return Err(Failure::internal(format!("parley notifier ended: {status}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(begun.elapsed())
}

/// What it has done once nothing is due or under way any more.
async fn settled(pool: &Pool) -> Result<Stats, Failure> {
    let begun = Instant::now();
    loop {
        let now = stats(pool).await?;
        if now.open == 0 {
            // PostgreSQL counts its rows a moment later.
            tokio::time::sleep(BEAT * 2).await;
            return Ok(stats(pool).await?);
        }
        if begun.elapsed() > SETTLE {
            return Err(Failure::internal("the notifier does not get done"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who writes to whom.
struct Pair {
    conversation: ConversationId,
    writer: UserId,
    reader: UserId,
    is_away: bool,
    seq: u64,
    version: u64,
}

/// The log, and what was written to it.
struct Log {
    shards: Vec<Arc<Committer>>,
    pairs: Vec<Pair>,
    messages: u32,
    written: u64,
}

impl Log {
    fn new(args: &Args, nats: &Connection) -> Result<Self, Failure> {
        let pairs = (0..args.conversations).map(|number| {
            let (writer, reader) = (format!("bench-a{number}"), format!("bench-b{number}"));
            let (writer, reader) = (UserId::parse(&writer)?, UserId::parse(&reader)?);
            let conversation = ConversationId::direct(&writer, &reader)?;
            let is_away = number % 100 < args.away_percent;
            Ok(Pair { conversation, writer, reader, is_away, seq: 0, version: 0 })
        });
        let pairs: Result<_, parley_domain::InvalidId> = pairs.collect();
        let shards = (0..SHARDS).map(|shard| {
            let committer = Committer::new(shard, 0, CommitterConfig::default());
            let (writing, nats) = (Arc::clone(&committer), nats.clone());
            tokio::spawn(async move { writing.run(&nats).await });
            committer
        });
        let pairs = pairs.map_err(Failure::internal)?;
        Ok(Self { shards: shards.collect(), pairs, messages: 0, written: 0 })
    }

    /// An email address for everybody.
    async fn add_endpoints(&mut self) -> Result<(), Failure> {
        let readers: Vec<UserId> = self.pairs.iter().map(|pair| pair.reader.clone()).collect();
        for reader in readers {
            let account = AccountId::of(&reader);
            let data = json!({
                "endpointId": uuid_of(self.written), "channel": "email", "state": "verified",
                "address": format!("{reader}@example.com"),
            });
            let event = event("endpoint.added", account.as_str(), 1, &reader, &data);
            self.append(&account, 1, &event).await?;
        }
        self.flush().await
    }

    /// Writes messages by the clock; whoever is online reads each.
    async fn talk(&mut self, args: &Args) -> Result<(), Failure> {
        let begun = Instant::now();
        let total = u32::try_from(u64::from(args.rate) * args.seconds).unwrap_or(u32::MAX);
        let mut ticks = tokio::time::interval(TICK);
        while self.messages < total {
            ticks.tick().await;
            let due = begun.elapsed().as_secs_f64() * f64::from(args.rate);
            while self.messages < total && f64::from(self.messages) < due {
                self.say().await?;
            }
        }
        self.flush().await
    }

    async fn say(&mut self) -> Result<(), Failure> {
        let number = self.messages as usize % self.pairs.len();
        let Some(pair) = self.pairs.get_mut(number) else { return Ok(()) };
        pair.seq += 1;
        pair.version += 1;
        let data = json!({
            "conversationSeq": pair.seq, "messageId": uuid_of(self.written),
            "clientMessageId": format!("c-{}", pair.seq),
            "body": {"kind": "text", "text": "x".repeat(100)},
        });
        let id = pair.conversation.clone();
        let sent_version = pair.version;
        let sent = event("message.sent", id.as_str(), sent_version, &pair.writer, &data);
        let read = (!pair.is_away).then(|| {
            pair.version += 1;
            let data = json!({"userId": pair.reader, "throughSeq": pair.seq});
            event("cursor.read", id.as_str(), pair.version, &pair.reader, &data)
        });
        self.messages += 1;
        self.append(&id, sent_version, &sent).await?;
        if let Some(read) = read {
            self.append(&id, sent_version + 1, &read).await?;
        }
        Ok(())
    }

    /// Into its shard's queue; waits while that is full.
    async fn append(
        &mut self,
        id: &impl LogId,
        version: u64,
        event: &Value,
    ) -> Result<(), Failure> {
        let shard = shard_of(id, SHARDS);
        let Some(committer) = self.shards.get(usize::from(shard)) else { return Ok(()) };
        let place = loop {
            match committer.reserve() {
                Ok(place) => break place,
                Err(failure) => {
                    tracing::trace!(%failure, "the log is slower than the clock");
                    tokio::time::sleep(TICK).await;
                }
            }
        };
        let kind = event["type"].as_str().unwrap_or_default();
        place.append(Append {
            subject: event_subject(shard, id),
            payload: event.to_string().into_bytes().into(),
            headers: event_headers(kind, version, None),
        });
        self.written += 1;
        Ok(())
    }

    /// Waits until everything is in the log.
    async fn flush(&self) -> Result<(), Failure> {
        for committer in &self.shards {
            while !committer.is_idle() {
                tokio::time::sleep(TICK).await;
            }
        }
        Ok(())
    }
}

fn event(r#type: &str, subject: &str, version: u64, actor: &UserId, data: &Value) -> Value {
    let now = Timestamp::from_unix_millis(SystemClock.now_millis());
    json!({
        "specversion": "1.0", "id": uuid_of(version), "source": "parley/commands", "type": r#type,
        "subject": subject, "time": now, "version": version, "actor": actor, "data": data,
    })
}

/// A name that is unique in a run.
fn uuid_of(number: u64) -> String {
    format!("01930000-0000-7000-8000-{number:012x}")
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
