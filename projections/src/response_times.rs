//! How fast people answer in their direct conversations, for those who write to them.
//!
//! Whoever has written waits here until their time may be computed again. What is lost with a
//! process, or does not fit, is made up for when they write the next time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use parley_domain::{Event, EventData, Kind, Timestamp, UserId};
use parley_runtime::clock::{Clock, SystemClock};
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use crate::{
    Config, Failure,
    config::ResponseTimes,
    database::{READ_DEADLINE, connect},
    failure::within,
};

/// How many replies make a median.
const FEWEST_REPLIES: i64 = 3;
/// How far back conversations are looked at.
const DAYS: i64 = 30;
const CONVERSATIONS: i64 = 100;
/// The last ones of each.
const MESSAGES: i64 = 200;
/// How often it is looked for people whose time is to be computed, and how many then are.
const TICK: Duration = Duration::from_secs(1);
const PEOPLE_A_TICK: usize = 50;

/// The median of the last replies of `$1`: from the first message of the other that was not answered
/// to the first that answers it. Only what people write counts.
const COMPUTE: &str = "\
    WITH mine AS MATERIALIZED (SELECT c.conversation_id, c.last_seq \
    FROM members me CROSS JOIN LATERAL (SELECT * FROM conversations one \
    WHERE one.conversation_id = me.conversation_id OFFSET 0) c \
    WHERE me.user_id = $1 AND c.kind = 'direct' \
    AND c.last_message_at > $2::timestamptz - $4 * interval '1 day' \
    ORDER BY c.last_message_at DESC LIMIT $5), \
    said AS (SELECT m.conversation_id, m.conversation_seq, m.created_at, m.sender_id = $1 AS is_mine \
    FROM mine CROSS JOIN LATERAL (SELECT * FROM messages one \
    WHERE one.conversation_id = mine.conversation_id \
    AND one.conversation_seq > mine.last_seq - $6 OFFSET 0) m \
    WHERE NOT m.by_service AND m.body->>'kind' IN ('text', 'encrypted')), \
    turns AS (SELECT *, lag(is_mine) OVER (PARTITION BY conversation_id \
    ORDER BY conversation_seq) AS was_mine FROM said), \
    replies AS (SELECT created_at - max(created_at) \
    FILTER (WHERE NOT is_mine AND was_mine IS NOT FALSE) OVER (PARTITION BY conversation_id \
    ORDER BY conversation_seq) AS after, is_mine AND NOT was_mine AS is_reply FROM turns), \
    found AS (SELECT count(*) AS replies, percentile_disc(0.5) WITHIN GROUP \
    (ORDER BY GREATEST(EXTRACT(EPOCH FROM after), 0)) AS median FROM replies WHERE is_reply) \
    INSERT INTO response_times (user_id, computed_at, replies, median_seconds) \
    SELECT $1, $2, replies, CASE WHEN replies >= $3 THEN round(median)::bigint END FROM found \
    ON CONFLICT (user_id) DO UPDATE SET computed_at = EXCLUDED.computed_at, \
    replies = EXCLUDED.replies, median_seconds = EXCLUDED.median_seconds";

/// Computes how fast `user` answers, unless that was done less than `every` ago: then it is said
/// when it may be done again.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(
    name = "projections.response_time.refresh",
    level = "debug",
    skip_all,
    err(level = "debug")
)]
pub async fn refresh(
    pool: &PgPool,
    user: &UserId,
    now: Timestamp,
    every: Duration,
) -> Result<Option<Timestamp>, Failure> {
    within(READ_DEADLINE, async {
        let last = sqlx::query("SELECT computed_at FROM response_times WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(pool)
            .await?;
        if let Some(row) = last {
            let again: OffsetDateTime = row.try_get::<OffsetDateTime, _>("computed_at")? + every;
            if again > now.to_date_time() {
                return Ok(Some(Timestamp::from(again)));
            }
        }
        sqlx::query(COMPUTE)
            .bind(user.as_str())
            .bind(now.to_date_time())
            .bind(FEWEST_REPLIES)
            .bind(DAYS)
            .bind(CONVERSATIONS)
            .bind(MESSAGES)
            .execute(pool)
            .await?;
        Ok(None)
    })
    .await
}

/// Who may have answered somebody.
pub(crate) fn writers<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeSet<UserId> {
    let writers = events.filter_map(|event| {
        let EventData::MessageSent(sent) = &event.data else { return None };
        let is_direct = event.subject.conversation()?.kind() == Kind::Direct;
        let counts = is_direct && !sent.by_service && !sent.body.is_of_the_marketplace();
        counts.then(|| event.actor.clone())
    });
    writers.collect()
}

/// People whose time is to be computed, and when that may be.
#[derive(Debug)]
pub(crate) struct Waiting {
    people: Mutex<BTreeMap<UserId, Timestamp>>,
    most: usize,
}

impl Waiting {
    fn new(most: usize) -> Self {
        Self { people: Mutex::default(), most }
    }

    pub fn wrote(&self, people: impl IntoIterator<Item = UserId>) {
        for user in people {
            self.put(user, Timestamp::from_unix_millis(0));
        }
    }

    fn put(&self, user: UserId, when: Timestamp) {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() < self.most || people.contains_key(&user) {
            let known = people.entry(user).or_insert(when);
            *known = when.max(*known);
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<UserId> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let due = people.iter().filter(|(_, when)| **when <= now);
        let due: Vec<UserId> = due.map(|(user, _)| user.clone()).take(PEOPLE_A_TICK).collect();
        for user in &due {
            people.remove(user);
        }
        due
    }
}

/// What keeps the times up to date, beside the projectors.
pub(crate) struct Keeper {
    pool: PgPool,
    /// `None`: there shall be none.
    wanted: Option<(ResponseTimes, Arc<Waiting>)>,
}

impl Keeper {
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let pool = connect(&config.database_url, "parley-response-times", 1)?;
        let wanted = config.response_times;
        let wanted = wanted.map(|wanted| (wanted, Arc::new(Waiting::new(wanted.waiting_people))));
        Ok(Self { pool, wanted })
    }

    pub fn waiting(&self) -> Option<Arc<Waiting>> {
        self.wanted.as_ref().map(|(_, waiting)| Arc::clone(waiting))
    }

    /// Until it is dropped; a database that is away is waited for.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let Some((wanted, waiting)) = &self.wanted else {
            // What was computed once would be shown for ever.
            while let Err(failure) = self.forget().await {
                tracing::debug!(%failure, "response times cannot be forgotten yet");
                ticks.tick().await;
            }
            return;
        };
        loop {
            ticks.tick().await;
            let now = Timestamp::from_unix_millis(SystemClock.now_millis());
            for user in waiting.take_due(now) {
                match refresh(&self.pool, &user, now, wanted.every).await {
                    Ok(None) => {}
                    Ok(Some(again)) => waiting.put(user, again),
                    Err(failure) => {
                        tracing::debug!(%failure, "a response time is computed later");
                        waiting.put(user, now);
                    }
                }
            }
        }
    }

    async fn forget(&self) -> Result<(), Failure> {
        within(READ_DEADLINE, async {
            sqlx::query("DELETE FROM response_times").execute(&self.pool).await?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    #[test]
    fn people_wait_until_they_are_due_and_no_more_than_so_many() {
        let waiting = Waiting::new(2);
        let at = Timestamp::from_unix_millis;
        waiting.wrote([user("ann"), user("bob"), user("cid")]);
        assert_eq!(waiting.take_due(at(0)), [user("ann"), user("bob")]);
        waiting.put(user("ann"), at(10));
        // Writing again does not bring it forward.
        waiting.wrote([user("ann"), user("dan"), user("eve")]);
        assert_eq!(waiting.take_due(at(9)), [user("dan")]);
        assert_eq!(waiting.take_due(at(10)), [user("ann")]);
        assert_eq!(waiting.take_due(at(99)), []);
    }
}
