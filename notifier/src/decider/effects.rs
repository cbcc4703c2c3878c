//! What follows from decisions: deliveries, and the next timers; many at once, and again without
//! harm.

use std::collections::BTreeMap;

use parley_domain::Timestamp;
use parley_projections::{Failure, number::to_sql};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::timers::{self, Timer};
use crate::{
    policy::{
        Capped,
        timers::{Next, Trigger},
    },
    thread::{ThreadEvent, Told},
};

/// Gathered for one transaction.
pub struct Effects {
    now: Timestamp,
    done: Vec<Timer>,
    at: Vec<(Timer, Trigger, Timestamp)>,
    told: Vec<(Timer, Told)>,
    /// People who get a digest over all conversations.
    over_all: Vec<(String, Capped)>,
}

impl Effects {
    pub fn new(now: Timestamp) -> Self {
        Self { now, done: Vec::new(), at: Vec::new(), told: Vec::new(), over_all: Vec::new() }
    }

    /// A timer's future.
    pub fn set(&mut self, timer: Timer, next: Next) {
        match next {
            Next::Done => self.done.push(timer),
            Next::At(trigger, due) => self.at.push((timer, trigger, due)),
        }
    }

    /// A timer's future, and what else follows from the thread's last event.
    pub fn add(&mut self, timer: Timer, next: Next, event: Option<ThreadEvent>) {
        let capped = match &event {
            Some(ThreadEvent::Told(told)) => &told.capped[..],
            Some(ThreadEvent::Skipped { capped, .. }) => capped,
            Some(ThreadEvent::Deferred { .. }) | None => &[],
        };
        self.over_all.extend(capped.iter().map(|capped| (timer.user.clone(), *capped)));
        if let Some(ThreadEvent::Told(told)) = event {
            self.told.push((timer.clone(), told));
        }
        self.set(timer, next);
    }

    /// Writes everything; says whether there are deliveries.
    pub async fn write(self, connection: &mut PgConnection) -> Result<bool, Failure> {
        let delivers = !self.told.is_empty();
        deliveries(connection, self.told, self.now).await?;
        done(connection, &self.done).await?;
        at(connection, &self.at).await?;
        over_all(connection, self.over_all).await?;
        Ok(delivers)
    }
}

async fn deliveries(
    connection: &mut PgConnection,
    told: Vec<(Timer, Told)>,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut columns = Columns::default();
    for (timer, told) in told {
        for target in told.targets {
            columns.created_at.push(told.at.to_date_time());
            columns.position.push(timer.position);
            columns.first_seq.push(to_sql(told.first_seq)?);
            columns.messages.push(to_sql(told.messages)?);
            columns.shard.push(timer.shard);
            columns.notification_id.push(told.notification_id);
            columns.channel.push(target.channel.as_str());
            columns.user_id.push(timer.user.clone());
            columns.conversation_id.push(timer.conversation.clone());
            columns.endpoint_id.push(target.endpoint_id);
        }
    }
    if columns.channel.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO notification_deliveries (created_at, updated_at, next_at, position, first_seq, \
         messages, shard, notification_id, what, channel, user_id, conversation_id, endpoint_id) \
         SELECT created_at, $1, $1, position, first_seq, messages, shard, notification_id, 'digest', \
         channel, user_id, conversation_id, endpoint_id \
         FROM UNNEST($2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], \
         $7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[]) AS n (created_at, position, \
         first_seq, messages, shard, notification_id, channel, user_id, conversation_id, endpoint_id) \
         ON CONFLICT (notification_id, channel, endpoint_id, what) DO NOTHING",
    )
    .bind(now.to_date_time())
    .bind(columns.created_at)
    .bind(columns.position)
    .bind(columns.first_seq)
    .bind(columns.messages)
    .bind(columns.shard)
    .bind(columns.notification_id)
    .bind(columns.channel)
    .bind(columns.user_id)
    .bind(columns.conversation_id)
    .bind(columns.endpoint_id)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Columns {
    created_at: Vec<OffsetDateTime>,
    position: Vec<i64>,
    first_seq: Vec<i64>,
    messages: Vec<i64>,
    shard: Vec<i32>,
    notification_id: Vec<Uuid>,
    channel: Vec<&'static str>,
    user_id: Vec<String>,
    conversation_id: Vec<String>,
    endpoint_id: Vec<String>,
}

async fn done(connection: &mut PgConnection, timers: &[Timer]) -> Result<(), Failure> {
    if timers.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = timers.iter().map(|timer| timer.user.as_str()).collect();
    let conversations: Vec<&str> = timers.iter().map(|timer| timer.conversation.as_str()).collect();
    sqlx::query(
        "DELETE FROM notification_timers t USING UNNEST($1::text[], $2::text[]) \
         AS n (user_id, conversation_id) \
         WHERE t.user_id = n.user_id AND t.conversation_id = n.conversation_id",
    )
    .bind(users)
    .bind(conversations)
    .execute(connection)
    .await?;
    Ok(())
}

async fn at(
    connection: &mut PgConnection,
    timers: &[(Timer, Trigger, Timestamp)],
) -> Result<(), Failure> {
    if timers.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = timers.iter().map(|(timer, ..)| timer.user.as_str()).collect();
    let conversations: Vec<&str> =
        timers.iter().map(|(timer, ..)| timer.conversation.as_str()).collect();
    let states: Vec<&str> = timers.iter().map(|(_, trigger, _)| trigger.as_str()).collect();
    let positions: Vec<i64> = timers.iter().map(|(timer, ..)| timer.position).collect();
    let times: Vec<_> = timers.iter().map(|(.., due)| due.to_date_time()).collect();
    sqlx::query(
        "UPDATE notification_timers t SET state = n.state, position = n.position, due_at = n.due_at \
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) \
         AS n (user_id, conversation_id, state, position, due_at) \
         WHERE t.user_id = n.user_id AND t.conversation_id = n.conversation_id",
    )
    .bind(users)
    .bind(conversations)
    .bind(states)
    .bind(positions)
    .bind(times)
    .execute(connection)
    .await?;
    Ok(())
}

/// One timer a person and channel; one that is there stays.
async fn over_all(
    connection: &mut PgConnection,
    people: Vec<(String, Capped)>,
) -> Result<(), Failure> {
    let people: BTreeMap<(String, String), Timestamp> = people
        .into_iter()
        .map(|(user, capped)| ((user, timers::over_all(capped.channel)), capped.until))
        .collect();
    if people.is_empty() {
        return Ok(());
    }
    let times: Vec<_> = people.values().map(|due| due.to_date_time()).collect();
    let (users, channels): (Vec<String>, Vec<String>) = people.into_keys().unzip();
    sqlx::query(
        "INSERT INTO notification_timers (user_id, conversation_id, due_at, shard, position, state) \
         SELECT user_id, conversation_id, due_at, 0, 0, 'open' \
         FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS n (user_id, conversation_id, due_at) \
         ON CONFLICT DO NOTHING",
    )
    .bind(users)
    .bind(channels)
    .bind(times)
    .execute(connection)
    .await?;
    Ok(())
}
