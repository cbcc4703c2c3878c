//! What a follower has seen, written with its checkpoint in one transaction.

use std::collections::BTreeMap;

use parley_domain::Timestamp;
use parley_projections::{Failure, number::to_sql};
use smol_str::SmolStr;
use sqlx::{Connection, PgConnection};

use crate::{
    channels::ChannelKind,
    policy::{
        decide::notification_id,
        timers::Trigger,
        windows::{Key, Window},
    },
};

/// What there is to write.
#[derive(Debug, Default)]
pub struct Flush {
    /// Who read something where, and the position of the last time.
    pub reads: BTreeMap<Key, u64>,
    /// Windows that a reading cancelled while the person was away.
    pub cancelled: Vec<Key>,
    /// Windows that have ended.
    pub ended: Vec<(Key, Window)>,
    /// Endpoints to be verified.
    pub added: Vec<Added>,
}

/// An endpoint that nobody has proved to be theirs yet.
#[derive(Debug)]
pub struct Added {
    pub user: SmolStr,
    pub endpoint_id: SmolStr,
    pub channel: ChannelKind,
}

/// From where to where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub shard: u16,
    /// The checkpoint that is expected.
    pub from: u64,
    /// The checkpoint afterwards.
    pub to: u64,
    /// How far the log was read.
    pub seen: u64,
}

impl Flush {
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
            && self.cancelled.is_empty()
            && self.ended.is_empty()
            && self.added.is_empty()
    }

    /// How many rows it may touch.
    pub fn len(&self) -> usize {
        self.reads.len() + self.cancelled.len() + self.ended.len() + self.added.len()
    }

    /// Writes it; says whether it did: not if somebody else has moved the checkpoint.
    ///
    /// # Errors
    /// If PostgreSQL does not answer; nothing is known then, and the checkpoint tells.
    pub async fn write(
        self,
        connection: &mut PgConnection,
        step: Step,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let mut transaction = connection.begin().await?;
        if !advance(&mut transaction, step).await? {
            return Ok(false);
        }
        take_back(&mut transaction, &self.reads, now).await?;
        let position = to_sql(step.seen)?;
        let cancelled = self.cancelled.iter().map(|key| (key, now)).collect();
        insert(&mut transaction, step.shard, position, Trigger::Read, cancelled).await?;
        let ended = self.ended.iter().map(|(key, window)| (key, window.due)).collect();
        insert(&mut transaction, step.shard, position, Trigger::Open, ended).await?;
        verify(&mut transaction, step.shard, position, &self.added, now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Compares and sets; its row's lock keeps every other follower of the shard out.
async fn advance(connection: &mut PgConnection, step: Step) -> Result<bool, Failure> {
    let updated = sqlx::query(
        "UPDATE notification_checkpoints SET position = $3, seen = $4, updated_at = now() \
         WHERE shard = $1 AND position = $2",
    )
    .bind(i32::from(step.shard))
    .bind(to_sql(step.from)?)
    .bind(to_sql(step.to)?)
    .bind(to_sql(step.seen)?)
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Where to go on from. A shard without a row begins at its beginning.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn begin(connection: &mut PgConnection, shard: u16) -> Result<u64, Failure> {
    sqlx::query(
        "INSERT INTO notification_checkpoints (shard, position, seen) VALUES ($1, 0, 0) \
         ON CONFLICT DO NOTHING",
    )
    .bind(i32::from(shard))
    .execute(&mut *connection)
    .await?;
    let position: i64 =
        sqlx::query_scalar("SELECT position FROM notification_checkpoints WHERE shard = $1")
            .bind(i32::from(shard))
            .fetch_one(connection)
            .await?;
    parley_projections::number::from_sql(position)
}

/// Ends what was pending when somebody read: timers, deliveries that have not begun, and pushes that
/// are shown. What is newer than the reading stays, so that seeing the reading again is harmless.
async fn take_back(
    connection: &mut PgConnection,
    reads: &BTreeMap<Key, u64>,
    now: Timestamp,
) -> Result<(), Failure> {
    if reads.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = reads.keys().map(|key| key.user.as_str()).collect();
    let conversations: Vec<&str> = reads.keys().map(|key| key.conversation.as_str()).collect();
    let positions =
        reads.values().map(|position| to_sql(*position)).collect::<Result<Vec<_>, _>>()?;
    let now = now.to_date_time();
    sqlx::query(
        "DELETE FROM notification_timers t USING UNNEST($1::text[], $2::text[], $3::bigint[]) \
         AS r (user_id, conversation_id, position) \
         WHERE t.user_id = r.user_id AND t.conversation_id = r.conversation_id \
         AND t.state = 'cooling' AND t.position < r.position",
    )
    .bind(&users)
    .bind(&conversations)
    .bind(&positions)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE notification_timers t SET state = 'read', due_at = $4 \
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS r (user_id, conversation_id, position) \
         WHERE t.user_id = r.user_id AND t.conversation_id = r.conversation_id \
         AND t.state IN ('open', 'deferred') AND t.position < r.position",
    )
    .bind(&users)
    .bind(&conversations)
    .bind(&positions)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE notification_deliveries d SET state = 'cancelled', reason = 'read', updated_at = $4 \
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS r (user_id, conversation_id, position) \
         WHERE d.user_id = r.user_id AND d.conversation_id = r.conversation_id \
         AND d.what = 'digest' AND d.state = 'pending' AND d.position < r.position",
    )
    .bind(&users)
    .bind(&conversations)
    .bind(&positions)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    // One that is under way is closed behind it.
    sqlx::query(
        "WITH shown AS (UPDATE notification_deliveries d SET state = 'closed', updated_at = $4 \
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS r (user_id, conversation_id, position) \
         WHERE d.user_id = r.user_id AND d.conversation_id = r.conversation_id \
         AND d.what = 'digest' AND d.state IN ('sent', 'sending') AND d.channel = ANY($5) \
         AND d.position < r.position RETURNING d.*) \
         INSERT INTO notification_deliveries (created_at, updated_at, next_at, position, first_seq, \
         messages, shard, notification_id, what, channel, user_id, conversation_id, endpoint_id) \
         SELECT $4, $4, $4, position, first_seq, messages, shard, notification_id, 'close', channel, \
         user_id, conversation_id, endpoint_id FROM shown ON CONFLICT DO NOTHING",
    )
    .bind(&users)
    .bind(&conversations)
    .bind(&positions)
    .bind(now)
    .bind(closing())
    .execute(connection)
    .await?;
    Ok(())
}

/// The channels that can take back what they have shown.
fn closing() -> Vec<&'static str> {
    ChannelKind::ALL.into_iter().filter(|kind| kind.closes()).map(ChannelKind::as_str).collect()
}

/// Timers of threads that have none. One that waits goes on waiting: what came meanwhile counts.
async fn insert(
    connection: &mut PgConnection,
    shard: u16,
    position: i64,
    trigger: Trigger,
    due: Vec<(&Key, Timestamp)>,
) -> Result<(), Failure> {
    if due.is_empty() {
        return Ok(());
    }
    // In one order, so that two who write the same rows cannot wait for each other.
    let due: BTreeMap<&Key, Timestamp> = due.into_iter().collect();
    let users: Vec<&str> = due.keys().map(|key| key.user.as_str()).collect();
    let conversations: Vec<&str> = due.keys().map(|key| key.conversation.as_str()).collect();
    let times: Vec<_> = due.values().map(|due| due.to_date_time()).collect();
    // Also where nothing is changed the row is locked: a decider that is about to end the thread's
    // timer is waited for, and the row then made anew.
    sqlx::query(
        "INSERT INTO notification_timers AS t (user_id, conversation_id, due_at, shard, position, state) \
         SELECT user_id, conversation_id, due_at, $4, $5, $6 \
         FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS n (user_id, conversation_id, due_at) \
         ON CONFLICT (user_id, conversation_id) DO UPDATE SET position = EXCLUDED.position, \
         state = EXCLUDED.state, due_at = LEAST(t.due_at, EXCLUDED.due_at) \
         WHERE t.state IN ('open', 'read') AND EXCLUDED.state = 'open'",
    )
    .bind(users)
    .bind(conversations)
    .bind(times)
    .bind(i32::from(shard))
    .bind(position)
    .bind(trigger.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// A message to each new endpoint. However often its event is seen, there is one.
async fn verify(
    connection: &mut PgConnection,
    shard: u16,
    position: i64,
    added: &[Added],
    now: Timestamp,
) -> Result<(), Failure> {
    for Added { user, endpoint_id, channel } in added {
        sqlx::query(
            "INSERT INTO notification_deliveries (created_at, updated_at, next_at, position, \
             first_seq, messages, shard, notification_id, what, channel, user_id, conversation_id, \
             endpoint_id) VALUES ($1, $1, $1, $2, 0, 0, $3, $4, 'verify', $5, $6, '', $7) \
             ON CONFLICT DO NOTHING",
        )
        .bind(now.to_date_time())
        .bind(position)
        .bind(i32::from(shard))
        .bind(notification_id(&format!("{user} verify {endpoint_id}"), 0))
        .bind(channel.as_str())
        .bind(user.as_str())
        .bind(endpoint_id.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
