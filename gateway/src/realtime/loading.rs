//! Who was in a group just before a position of the log: what [`super::hub`] has to know before it
//! routes the first event of a group in a while.
//!
//! The views know who is in it at some other position, before or after; what the group's own log
//! says of the time between is added, or taken back. Without the views, the whole of its log tells.
//! One of the two is asked until it answers: the shard waits, as a guess would skip somebody or
//! tell somebody who has been removed.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use parley_domain::ConversationId;
use parley_nats::{Connection, Failure, read::read_subject_after};
use parley_projections::queries::{self, Crowd};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout};

use super::{
    hub::{Loaded, Unknown},
    members::Change,
};

/// Groups whose log is read at the same time.
const AT_ONCE: usize = 16;
/// How long the views may take before the log is read instead.
const VIEWS_PATIENCE: Duration = Duration::from_secs(2);
/// How long views that did not answer are left alone.
const VIEWS_PAUSE: Duration = Duration::from_secs(1);
/// How long reading one group's log may take before it is begun again.
const LOG_PATIENCE: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(250);

/// Loads the groups of one shard.
#[derive(Debug)]
pub struct Loader {
    pool: PgPool,
    connection: Connection,
    shard: u16,
    away_until: Option<Instant>,
}

/// Who is in a group at a position, as the views or an empty log have it.
#[derive(Debug, Clone, Default)]
struct Known {
    position: u64,
    version: u64,
    /// With the version of the event that made them one.
    members: HashMap<SmolStr, u64>,
}

impl Loader {
    pub fn new(pool: PgPool, connection: Connection, shard: u16) -> Self {
        Self { pool, connection, shard, away_until: None }
    }

    /// Goes on until it knows.
    pub async fn load(&mut self, unknown: Vec<Unknown>) -> Vec<Loaded> {
        // Whoever is there from the first event on is named by that event.
        let (new, old): (Vec<_>, Vec<_>) =
            unknown.into_iter().partition(|unknown| unknown.version == Some(1));
        let new =
            new.into_iter().map(|Unknown { group, .. }| Loaded { group, members: Vec::new() });
        let mut loaded: Vec<Loaded> = new.collect();
        if old.is_empty() {
            return loaded;
        }
        let mut known = self.ask_views(&old).await;
        let (connection, shard) = (&self.connection, self.shard);
        let reading = old.into_iter().map(|unknown| {
            let known = known.remove(&unknown.group).unwrap_or_default();
            async move {
                loop {
                    let tried = settle(connection, shard, &unknown, known.clone());
                    match timeout(LOG_PATIENCE, tried).await {
                        Ok(Ok(loaded)) => return loaded,
                        Ok(Err(error)) => {
                            tracing::warn!(shard, %error, "a shard waits for a group")
                        }
                        Err(_) => tracing::warn!(shard, "a shard waits for a group's log"),
                    }
                    sleep(RETRY).await;
                }
            }
        });
        loaded.extend(stream::iter(reading).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        loaded
    }

    /// What the views say, by group; nothing of those that only the log can tell of.
    async fn ask_views(&mut self, unknown: &[Unknown]) -> HashMap<SmolStr, Known> {
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            return HashMap::new();
        }
        let groups: Vec<&str> = unknown.iter().map(|unknown| unknown.group.as_str()).collect();
        let asked = queries::crowds(&self.pool, self.shard, &groups);
        let why = match timeout(VIEWS_PATIENCE, asked).await {
            Ok(Ok(crowds)) => return known(crowds),
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(
            shard = self.shard,
            why,
            "the database is away; groups are read from the log"
        );
        self.away_until = Some(Instant::now() + VIEWS_PAUSE);
        HashMap::new()
    }
}

fn known(crowds: Vec<Crowd>) -> HashMap<SmolStr, Known> {
    let known = |Crowd { conversation_id, position, version, members }| {
        let members = members.into_iter().map(|(user, since)| (user.into(), since)).collect();
        (SmolStr::from(conversation_id), Known { position, version, members })
    };
    crowds.into_iter().map(known).collect()
}

/// Brings what is known to the position that is wanted.
async fn settle(
    connection: &Connection,
    shard: u16,
    unknown: &Unknown,
    known: Known,
) -> Result<Loaded, Failure> {
    let Unknown { group, position, version } = unknown;
    let before = position.saturating_sub(1);
    let is_next = version.is_some_and(|version| version == known.version + 1);
    let mut members = known.members;
    // What is no id has no log.
    if let (false, Ok(id)) = (is_next, ConversationId::parse(group)) {
        let after = before.min(known.position);
        let through = before.max(known.position);
        let messages = read_subject_after(connection, shard, &id, after).await?;
        let mut changes: Vec<(Change, u64)> = Vec::new();
        for message in messages.iter().filter(|message| message.position <= through) {
            match change(&message.payload) {
                Ok(change) => changes.extend(change),
                Err(error) => tracing::warn!(
                    shard,
                    position = message.position,
                    %error,
                    "an event that cannot be read is left out"
                ),
            }
        }
        if known.position <= before {
            changes.into_iter().for_each(|(change, version)| redo(&mut members, change, version));
        } else {
            changes.into_iter().rev().for_each(|(change, _)| undo(&mut members, change));
        }
    }
    Ok(Loaded { group: group.clone(), members: members.into_iter().collect() })
}

/// With the version of the event.
fn change(payload: &[u8]) -> Result<Option<(Change, u64)>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        r#type: &'a str,
        version: u64,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let Typed { r#type, version, data } = serde_json::from_slice(payload)?;
    Ok(Change::read(r#type, data.get())?.map(|change| (change, version)))
}

fn redo(members: &mut HashMap<SmolStr, u64>, change: Change, version: u64) {
    match change {
        Change::Created(users) => members.extend(users.into_iter().map(|user| (user, 0))),
        Change::Joined(user) => {
            members.entry(user).or_insert(version);
        }
        Change::Left(user) => {
            members.remove(&user);
        }
    }
}

/// Whoever is brought back is taken to have come just now: they are told less than they might be,
/// never more.
fn undo(members: &mut HashMap<SmolStr, u64>, change: Change) {
    match change {
        Change::Created(_) => members.clear(),
        Change::Joined(user) => {
            members.remove(&user);
        }
        Change::Left(user) => {
            members.insert(user, u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_taken_back_is_what_was_before() {
        let changes = || {
            [
                Change::Created(["a", "b"].map(SmolStr::new).to_vec()),
                Change::Joined("c".into()),
                Change::Left("a".into()),
                Change::Joined("a".into()),
                Change::Left("b".into()),
            ]
        };
        let mut members = HashMap::new();
        let names =
            |members: &HashMap<SmolStr, u64>| members.keys().cloned().collect::<BTreeSet<_>>();
        let mut states = vec![names(&members)];
        for change in changes() {
            redo(&mut members, change, 7);
            states.push(names(&members));
        }
        for change in changes().into_iter().rev() {
            assert_eq!(Some(names(&members)), states.pop());
            undo(&mut members, change);
        }
        assert_eq!(names(&members), states[0]);
    }
}
