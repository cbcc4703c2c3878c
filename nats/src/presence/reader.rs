//! Reads the bucket's entries into a table, the old ones and the new ones. Pure.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parley_domain::UserId;

use super::{Seen, Sign, Table};

/// One following of the bucket, from its oldest entry.
#[derive(Debug)]
pub struct Reader {
    /// Whose signs of life tell how late it is by the server's clock.
    me: String,
    /// Its signs of life up to here are from before the bucket was followed.
    beats_before: u64,
    /// When each gateway last gave a sign of life, by the server's clock; until one of `me` comes,
    /// which tells what the server's clock shows now.
    replay: Option<HashMap<String, i64>>,
}

impl Reader {
    /// The bucket is followed from its beginning (again). Once it is, `me` has to give a sign of
    /// life with a count above `beats_before`.
    pub fn begin(me: &str, beats_before: u64, table: &mut Table, now: Instant) -> Self {
        table.begin(now);
        Self { me: me.to_owned(), beats_before, replay: Some(HashMap::new()) }
    }

    /// Whether everything that is in the bucket was seen; nothing ends before.
    pub fn is_caught_up(&self) -> bool {
        self.replay.is_none()
    }

    /// Takes in an entry; says whether this one was the last of the old ones. Adds to `changed` who
    /// came online or went offline.
    pub fn read(
        &mut self,
        seen: &Seen,
        table: &mut Table,
        now: Instant,
        changed: &mut Vec<UserId>,
    ) -> bool {
        match &seen.sign {
            Sign::Alive { gateway, beat } => {
                return self.alive(gateway, *beat, seen.at_millis, table, now, changed);
            }
            Sign::Ended { gateway } => table.ended(gateway, now),
            Sign::Joined { gateway, user } => {
                if let Ok(user) = UserId::parse(user) {
                    table.joined(gateway, &user, now, changed);
                }
            }
            Sign::Left { gateway, user, at_millis } => {
                if let Ok(user) = UserId::parse(user) {
                    table.left(gateway, &user, *at_millis, changed);
                }
            }
        }
        false
    }

    fn alive(
        &mut self,
        gateway: &str,
        beat: u64,
        at_millis: i64,
        table: &mut Table,
        now: Instant,
        changed: &mut Vec<UserId>,
    ) -> bool {
        let Some(replay) = &mut self.replay else {
            table.alive(gateway, Duration::ZERO, at_millis, now, changed);
            return false;
        };
        replay.insert(gateway.to_owned(), at_millis);
        if gateway != self.me || beat <= self.beats_before {
            return false;
        }
        for (gateway, heard_millis) in self.replay.take().unwrap_or_default() {
            let ago = u64::try_from(at_millis.saturating_sub(heard_millis)).unwrap_or_default();
            table.alive(&gateway, Duration::from_millis(ago), heard_millis, now, changed);
        }
        table.caught_up(now);
        true
    }
}
