//! The timers that are due.

use parley_domain::Timestamp;
use parley_projections::Failure;
use sqlx::{PgConnection, Row};

use crate::{
    channels::ChannelKind,
    policy::timers::{Next, Trigger},
};

/// What stands for a conversation in the digests over all conversations by one channel.
pub fn over_all(channel: ChannelKind) -> String {
    format!("*{}", channel.as_str())
}

/// A timer that is due, and locked.
#[derive(Debug, Clone)]
pub struct Timer {
    pub user: String,
    /// Or [`over_all`].
    pub conversation: String,
    pub trigger: Trigger,
    pub shard: i32,
    pub position: i64,
    pub due: Timestamp,
}

impl Timer {
    /// The thread that it is for.
    pub fn thread_id(&self) -> String {
        format!("{} {}", self.user, self.conversation)
    }

    /// The channel, if it is for a digest over all conversations.
    pub fn over_all(&self) -> Option<ChannelKind> {
        ChannelKind::parse(self.conversation.strip_prefix('*')?)
    }
}

/// Locks some that are due, and of which the views know enough; what another decider has is left.
pub async fn lock(
    connection: &mut PgConnection,
    now: Timestamp,
    most: u32,
) -> Result<Vec<Timer>, Failure> {
    let rows = sqlx::query(
        "SELECT t.user_id, t.conversation_id, t.state, t.shard, t.position, t.due_at \
         FROM notification_timers t LEFT JOIN checkpoints v ON v.shard = t.shard \
         WHERE t.due_at <= $1 AND (t.conversation_id LIKE '*%' OR coalesce(v.position, 0) >= t.position) \
         ORDER BY t.due_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED",
    )
    .bind(now.to_date_time())
    .bind(i64::from(most))
    .fetch_all(connection)
    .await?;
    let mut timers = Vec::with_capacity(rows.len());
    for row in rows {
        let state: &str = row.try_get("state")?;
        let due: time::OffsetDateTime = row.try_get("due_at")?;
        timers.push(Timer {
            user: row.try_get("user_id")?,
            conversation: row.try_get("conversation_id")?,
            trigger: Trigger::parse(state)
                .ok_or_else(|| Failure::Corrupt { what: "timer", why: state.to_owned() })?,
            shard: row.try_get("shard")?,
            position: row.try_get("position")?,
            due: Timestamp::from(due),
        });
    }
    Ok(timers)
}

/// Sets those apart that may be decided on, from those that wait until the views hold everything
/// that the followers have seen.
///
/// What came while a timer waited has left no trace at it. Its follower has either committed before
/// the lock, then `seen` says how far; or it waits for the lock, and makes a new timer if this one
/// ends. What waits for the views is like a window that has ended: what comes then moves it on.
pub async fn split(
    connection: &mut PgConnection,
    due: Vec<Timer>,
) -> Result<(Vec<Timer>, Vec<(Timer, Next)>), Failure> {
    let waited = |timer: &Timer| match timer.trigger {
        Trigger::Cooling | Trigger::Deferred => timer.over_all().is_none(),
        Trigger::Open | Trigger::Read => false,
    };
    if !due.iter().any(waited) {
        return Ok((due, Vec::new()));
    }
    let rows: Vec<(i32, i64, i64)> = sqlx::query_as(
        "SELECT n.shard, n.seen, coalesce(v.position, 0) FROM notification_checkpoints n \
         LEFT JOIN checkpoints v ON v.shard = n.shard",
    )
    .fetch_all(connection)
    .await?;
    let (mut ready, mut behind) = (Vec::new(), Vec::new());
    for timer in due {
        let shard = rows.iter().find(|(shard, ..)| *shard == timer.shard);
        match shard {
            Some((_, seen, views)) if waited(&timer) && views < seen => {
                let next = Next::At(Trigger::Open, timer.due);
                behind.push((Timer { position: *seen, ..timer }, next));
            }
            Some(_) | None => ready.push(timer),
        }
    }
    Ok((ready, behind))
}
