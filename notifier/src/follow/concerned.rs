//! Whom a reading may concern at all: people who talk read all the time, and hardly any of it ends a
//! timer or takes anything back. Asking the database for each would cost it more than the rest.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use parley_projections::Failure;
use sqlx::PgConnection;

use crate::policy::windows::Key;

/// A superset of those who have a timer, or deliveries that could be taken back. In a shard only its
/// follower adds to them.
#[derive(Debug)]
pub struct Concerned {
    hasher: RandomState,
    /// `None`: more than are kept; everybody may be.
    known: Option<HashSet<u64>>,
    most: usize,
}

impl Concerned {
    /// What the tables have of a shard; at most `most` are kept in memory, 16 bytes each or so.
    pub async fn load(
        connection: &mut PgConnection,
        shard: u16,
        most: usize,
    ) -> Result<Self, Failure> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT user_id, conversation_id FROM notification_timers WHERE shard = $1 UNION \
             SELECT user_id, conversation_id FROM notification_deliveries WHERE shard = $1 \
             AND what = 'digest' AND state IN ('pending', 'sending', 'sent') LIMIT $2",
        )
        .bind(i32::from(shard))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
        let mut concerned = Self { hasher: RandomState::new(), known: Some(HashSet::new()), most };
        for (user, conversation) in rows {
            concerned.add(&Key { user: user.into(), conversation: conversation.into() });
        }
        Ok(concerned)
    }

    pub fn contains(&self, key: &Key) -> bool {
        let known = self.known.as_ref();
        known.is_none_or(|known| known.contains(&self.hasher.hash_one(key)))
    }

    pub fn add(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        if let Some(known) = &mut self.known {
            known.insert(hash);
            if known.len() >= self.most {
                self.known = None;
            }
        }
    }

    /// Everything of theirs was taken back. (Should two have the same hash, the other one's next
    /// reading takes nothing back: one in 10^19.)
    pub fn remove(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        if let Some(known) = &mut self.known {
            known.remove(&hash);
        }
    }
}
