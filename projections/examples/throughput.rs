//! How fast batches are written: into the empty database of `PARLEY_DATABASE_URL`, without a log.
//!
//! ```text
//! PARLEY_DATABASE_URL=postgres://…/empty \
//!     cargo run --release -p parley-projections --example throughput [events [conversations [shards]]]
//! ```
//!
//! Four events in five are messages of 400 bytes or so, the fifth a read cursor; conversations are
//! chosen at random. Each shard has a connection of its own, as its projector has.

use std::{error::Error, time::Instant};

use parley_domain::{
    Body, ClientMessageId, ConversationId, Event, EventData, Timestamp, UserId,
    event::{CursorMoved, MessageSent},
};
use parley_nats::{subjects::event_subject, tail::LogMessage};
use parley_projections::apply::apply;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("PARLEY_DATABASE_URL")?;
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<usize>());
    let events = numbers.next().transpose()?.unwrap_or(400_000);
    let conversations = numbers.next().transpose()?.unwrap_or(50_000);
    let shards = u16::try_from(numbers.next().transpose()?.unwrap_or(1))?;
    let pool = parley_projections::connect(&url, "throughput", 1)?;
    parley_projections::migrate(&pool).await?;

    let mut logs = Vec::new();
    for shard in 0..shards {
        sqlx::query("INSERT INTO checkpoints (shard, position) VALUES ($1, 0)")
            .bind(i32::from(shard))
            .execute(&pool)
            .await?;
        let shards = usize::from(shards);
        logs.push((shard, log(shard, events / shards, conversations / shards)?));
    }
    let began = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for (shard, log) in logs {
        let url = url.clone();
        writers.spawn(
            async move { write(&url, shard, &log).await.map_err(|error| error.to_string()) },
        );
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = events as f64 / seconds;
    println!("{events} events, {conversations} conversations, {shards} shards: {rate:.0} events/s");
    Ok(())
}

async fn write(url: &str, shard: u16, log: &[LogMessage]) -> Result<(), Box<dyn Error>> {
    let mut connection = PgConnection::connect(url).await?;
    let mut position = 0;
    for batch in log.chunks(BATCH) {
        position = apply(&mut connection, shard, position, batch).await?.checkpoint;
    }
    Ok(())
}

fn log(shard: u16, events: usize, conversations: usize) -> Result<Vec<LogMessage>, Box<dyn Error>> {
    let mut random = StdRng::seed_from_u64(7);
    // Version and last message of each.
    let mut states = vec![(0_u64, 0_u64); conversations.max(1)];
    let mut log = Vec::with_capacity(events);
    for position in 1..=events as u64 {
        let which = random.random_range(0..states.len());
        let one = UserId::parse(&format!("buyer-{shard}-{which}"))?;
        let other = UserId::parse(&format!("seller-{}", which % 1_000))?;
        let subject = ConversationId::direct(&one, &other)?;
        let (version, last_seq) = &mut states[which];
        *version += 1;
        let (actor, data) = if *last_seq > 0 && random.random_range(0..5) == 0 {
            (
                other.clone(),
                EventData::CursorRead(CursorMoved {
                    user_id: other,
                    through_seq: *last_seq,
                    hidden: false,
                }),
            )
        } else {
            *last_seq += 1;
            (one, EventData::MessageSent(message(position, *last_seq)?))
        };
        let event = Event {
            id: Uuid::from_u128(u128::from(position)),
            time: Timestamp::from_unix_millis(1_795_254_300_000 + i64::try_from(position)?),
            version: *version,
            device: None,
            subject: subject.into(),
            actor,
            data,
        };
        log.push(LogMessage {
            position,
            subject: event_subject(shard, &event.subject).into(),
            payload: event.to_json()?.into(),
        });
    }
    Ok(log)
}

fn message(position: u64, conversation_seq: u64) -> Result<MessageSent, Box<dyn Error>> {
    Ok(MessageSent {
        conversation_seq,
        message_id: Uuid::from_u128(u128::from(position)),
        client_message_id: ClientMessageId::parse(&format!("c-{position}"))?,
        body: Body::Text { text: "ship it tomorrow ".repeat(4) },
        reply_to: None,
        expires_at: None,
        by_service: false,
    })
}
