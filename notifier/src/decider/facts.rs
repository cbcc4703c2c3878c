//! What is true now, of many threads in a few questions.

use std::collections::{BTreeMap, BTreeSet};

use parley_domain::{ConversationId, Timestamp, account::Settings};
use parley_projections::Failure;
use sqlx::{PgConnection, Row, types::Json};
use time::OffsetDateTime;

use super::timers::Timer;
use crate::{
    channels::ChannelKind,
    policy::{Capped, Policy, Standing, Target, decide::Facts, later},
    standing::{self, Pair},
};

/// The span of the caps.
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);
/// Of the locks of people, so that nobody else's is taken for ours.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"ParU");

/// Answers, by thread and by person.
#[derive(Debug, Default)]
pub struct Gathered {
    conversations: BTreeMap<Pair, Standing>,
    people: BTreeMap<String, Person>,
}

#[derive(Debug, Default)]
struct Person {
    settings: Settings,
    endpoints: Vec<Target>,
    /// When they were told within the last hour, the oldest first.
    told: BTreeMap<ChannelKind, Vec<Timestamp>>,
}

/// Asks everything that the threads of these timers need. Until the transaction ends, nobody else
/// decides about these people: their caps are over all of their conversations.
pub async fn gather(
    connection: &mut PgConnection,
    timers: &[Timer],
    policy: &Policy,
    now: Timestamp,
) -> Result<Gathered, Failure> {
    let users: BTreeSet<&str> = timers.iter().map(|timer| timer.user.as_str()).collect();
    if users.is_empty() {
        return Ok(Gathered::default());
    }
    let users: Vec<&str> = users.into_iter().collect();
    lock_people(connection, &users).await?;
    let mut gathered = Gathered::default();
    for user in &users {
        gathered.people.insert((*user).to_owned(), Person::default());
    }
    let (over_all_of, of_one): (Vec<&Timer>, Vec<&Timer>) =
        timers.iter().partition(|timer| timer.over_all().is_some());
    let pairs = of_one.iter().map(|timer| (timer.user.as_str(), timer.conversation.as_str()));
    gathered.conversations = standing::of(connection, pairs, now).await?;
    over_all(connection, &over_all_of, now, &mut gathered).await?;
    people(connection, &users, &mut gathered).await?;
    told(connection, &users, policy, now, &mut gathered).await?;
    Ok(gathered)
}

/// In one order, so that two deciders cannot wait for each other.
async fn lock_people(connection: &mut PgConnection, users: &[&str]) -> Result<(), Failure> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock($1, key) FROM (SELECT DISTINCT hashtext(u) AS key \
         FROM UNNEST($2::text[]) AS u ORDER BY key) AS keys",
    )
    .bind(LOCK_CLASS)
    .bind(users)
    .execute(connection)
    .await?;
    Ok(())
}

/// For the digests over all conversations: the sum of what waits anywhere and may be told.
async fn over_all(
    connection: &mut PgConnection,
    timers: &[&Timer],
    now: Timestamp,
    gathered: &mut Gathered,
) -> Result<(), Failure> {
    if timers.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = timers.iter().map(|timer| timer.user.as_str()).collect();
    let sums = standing::over_all(connection, &users, now).await?;
    for timer in timers {
        let pair = (timer.user.clone(), timer.conversation.clone());
        let all = sums.get(&timer.user).copied().unwrap_or_default();
        gathered.conversations.insert(pair, all);
    }
    Ok(())
}

async fn people(
    connection: &mut PgConnection,
    users: &[&str],
    gathered: &mut Gathered,
) -> Result<(), Failure> {
    let rows =
        sqlx::query("SELECT user_id, settings FROM account_settings WHERE user_id = ANY($1)")
            .bind(users)
            .fetch_all(&mut *connection)
            .await?;
    for row in rows {
        let Json(settings): Json<Settings> = row.try_get("settings")?;
        gathered.person(row.try_get("user_id")?).settings = settings;
    }
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT e.user_id, e.endpoint_id, e.channel FROM notification_endpoints e \
         WHERE e.user_id = ANY($1) AND e.state = 'verified' AND NOT EXISTS (SELECT FROM dead_endpoints d \
         WHERE d.user_id = e.user_id AND d.endpoint_id = e.endpoint_id) ORDER BY e.channel, e.endpoint_id",
    )
    .bind(users)
    .fetch_all(connection)
    .await?;
    for (user, endpoint_id, channel) in rows {
        if let Some(channel) = ChannelKind::parse(&channel) {
            gathered.person(user).endpoints.push(Target { channel, endpoint_id });
        }
    }
    Ok(())
}

async fn told(
    connection: &mut PgConnection,
    users: &[&str],
    policy: &Policy,
    now: Timestamp,
    gathered: &mut Gathered,
) -> Result<(), Failure> {
    let capped = ChannelKind::ALL.into_iter().filter(|kind| policy.per_hour(*kind).is_some());
    let capped: Vec<&str> = capped.map(ChannelKind::as_str).collect();
    let since = now.to_date_time() - HOUR;
    let rows: Vec<(String, String, OffsetDateTime)> = sqlx::query_as(
        "SELECT user_id, channel, min(created_at) AS at FROM notification_deliveries \
         WHERE what = 'digest' AND state <> 'cancelled' AND user_id = ANY($1) AND channel = ANY($2) \
         AND created_at > $3 GROUP BY user_id, channel, notification_id ORDER BY at",
    )
    .bind(users)
    .bind(capped)
    .bind(since)
    .fetch_all(connection)
    .await?;
    for (user, channel, at) in rows {
        if let Some(channel) = ChannelKind::parse(&channel) {
            gathered.person(user).told.entry(channel).or_default().push(Timestamp::from(at));
        }
    }
    Ok(())
}

impl Gathered {
    fn person(&mut self, user: String) -> &mut Person {
        self.people.entry(user).or_default()
    }

    /// What is true of a thread; `told`: digests that were decided on for this person just now.
    pub fn facts(
        &self,
        timer: &Timer,
        policy: &Policy,
        online: bool,
        told: &BTreeMap<ChannelKind, usize>,
        now: Timestamp,
    ) -> Result<Facts, Failure> {
        let key = (timer.user.clone(), timer.conversation.clone());
        let standing = self.conversations.get(&key).copied().unwrap_or_default();
        let over_all = timer.over_all();
        let conversation = if over_all.is_some() {
            None
        } else {
            let id = ConversationId::parse(&timer.conversation);
            Some(id.map_err(|error| Failure::Corrupt { what: "timer", why: error.to_string() })?)
        };
        let nobody = Person::default();
        let person = self.people.get(&timer.user).unwrap_or(&nobody);
        let endpoints = person.endpoints.iter();
        let endpoints =
            endpoints.filter(|target| over_all.is_none_or(|channel| channel == target.channel));
        let full = ChannelKind::ALL.into_iter().filter_map(|channel| {
            let most = policy.per_hour(channel)? as usize;
            let before = person.told.get(&channel).map_or(&[][..], Vec::as_slice);
            let count = before.len() + told.get(&channel).copied().unwrap_or_default();
            // When so many are old enough that there is room for one.
            let surplus = count.checked_sub(most)?;
            let oldest = before.get(surplus).copied().unwrap_or(now);
            Some(Capped { channel, until: later(oldest, HOUR) })
        });
        Ok(Facts {
            trigger: timer.trigger,
            thread_id: timer.thread_id(),
            conversation,
            standing,
            online,
            settings: person.settings.clone(),
            endpoints: endpoints.cloned().collect(),
            full: full.collect(),
        })
    }
}
