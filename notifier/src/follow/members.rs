//! Who is in the groups that are spoken in: asked of the views once, and then kept by the log itself.

use std::collections::{BTreeMap, HashMap};

use parley_projections::{Failure, number::to_sql};
use smol_str::SmolStr;
use sqlx::PgConnection;

/// The members of groups that were spoken in lately, as of where the log has been read.
#[derive(Debug)]
pub struct Members {
    known: HashMap<SmolStr, Vec<SmolStr>>,
    /// Of all known groups together.
    members: usize,
    most: usize,
}

impl Members {
    /// At most so many members are remembered from one batch to the next.
    pub fn new(most: usize) -> Self {
        Self { known: HashMap::new(), members: 0, most }
    }

    pub fn knows(&self, group: &str) -> bool {
        self.known.contains_key(group)
    }

    /// Before a batch: forgets all, if they are too many.
    pub fn trim(&mut self) {
        if self.members > self.most {
            self.known.clear();
            self.members = 0;
        }
    }

    /// A group was made, with these members.
    pub fn created(&mut self, group: SmolStr, members: Vec<SmolStr>) {
        self.members += members.len();
        let before = self.known.insert(group, members);
        self.members -= before.map_or(0, |before| before.len());
    }

    /// Somebody came.
    pub fn joined(&mut self, group: &str, user: SmolStr) {
        if let Some(members) = self.known.get_mut(group)
            && !members.contains(&user)
        {
            members.push(user);
            self.members += 1;
        }
    }

    /// Somebody went.
    pub fn left(&mut self, group: &str, user: &str) {
        if let Some(members) = self.known.get_mut(group)
            && let Some(place) = members.iter().position(|member| member == user)
        {
            members.swap_remove(place);
            self.members -= 1;
        }
    }

    /// Of a group that is known.
    pub fn of(&self, group: &str) -> &[SmolStr] {
        self.known.get(group).map_or(&[], Vec::as_slice)
    }

    /// Asks the views for groups that are not known, each as of just before a position in the log.
    /// Says whether it did: not if the views have not read `through` yet.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn learn(
        &mut self,
        connection: &mut PgConnection,
        shard: u16,
        groups: BTreeMap<SmolStr, u64>,
        through: u64,
    ) -> Result<bool, Failure> {
        let views: Option<i64> =
            sqlx::query_scalar("SELECT position FROM checkpoints WHERE shard = $1")
                .bind(i32::from(shard))
                .fetch_optional(&mut *connection)
                .await?;
        if views.unwrap_or_default() < to_sql(through)? {
            return Ok(false);
        }
        let ids: Vec<&str> = groups.keys().map(SmolStr::as_str).collect();
        let positions =
            groups.values().map(|position| to_sql(*position)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<(String, String)> =
            sqlx::query_as(MEMBERS).bind(ids).bind(positions).fetch_all(connection).await?;
        let mut members: BTreeMap<SmolStr, Vec<SmolStr>> =
            groups.into_keys().map(|group| (group, Vec::new())).collect();
        for (group, user) in rows {
            members.entry(group.into()).or_default().push(user.into());
        }
        for (group, members) in members {
            self.created(group, members);
        }
        Ok(true)
    }
}

/// Who was in a group just before a position. Whoever has left and come back since counts from their
/// coming: nothing from before waits for them.
const MEMBERS: &str = "SELECT m.conversation_id, m.user_id \
    FROM UNNEST($1::text[], $2::bigint[]) AS g (conversation_id, position) \
    JOIN members m ON m.conversation_id = g.conversation_id \
    WHERE m.joined_position < g.position \
    AND (m.left_position IS NULL OR m.left_position >= g.position)";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(members: &Members, group: &str) -> Vec<String> {
        let mut names: Vec<String> = members.of(group).iter().map(SmolStr::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn who_comes_and_goes_is_followed() {
        let mut members = Members::new(100);
        members.joined("g.1", "zoe".into());
        assert!(!members.knows("g.1"), "only part of it would be known");
        members.created("g.1".into(), vec!["alice".into(), "bob".into()]);
        for _ in 0..2 {
            members.joined("g.1", "carol".into());
            members.left("g.1", "alice");
        }
        assert_eq!(names(&members, "g.1"), ["bob", "carol"]);
        assert_eq!(members.members, 2);
    }

    #[test]
    fn no_more_are_remembered_than_allowed() {
        let mut members = Members::new(10);
        for n in 0..100 {
            members.trim();
            let group = SmolStr::from(format!("g.{n}"));
            members.created(group.clone(), vec!["alice".into(); 7]);
            members.created(group.clone(), vec!["alice".into(); 7]);
            assert_eq!(members.of(&group).len(), 7);
            assert!(members.members <= 17);
        }
    }
}
