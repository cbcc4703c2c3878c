//! Who is in a group: asked of the views, and remembered for a moment.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parley_projections::Failure;
use smol_str::SmolStr;
use sqlx::PgConnection;

/// A view may be behind the log by less than this; who has just come is not missed for longer.
const FRESH: Duration = Duration::from_secs(10);
/// Groups that are remembered.
const REMEMBERED: usize = 10_000;

/// The members of groups that were spoken in lately.
#[derive(Debug, Default)]
pub struct Members {
    known: HashMap<SmolStr, (Instant, Vec<SmolStr>)>,
}

impl Members {
    /// Somebody has come or gone.
    pub fn forget(&mut self, conversation: &str) {
        self.known.remove(conversation);
    }

    /// The members of each of these, those that are not known asked for at once.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn learn(
        &mut self,
        connection: &mut PgConnection,
        conversations: Vec<SmolStr>,
    ) -> Result<(), Failure> {
        self.known.retain(|_, (asked, _)| asked.elapsed() < FRESH);
        let unknown: Vec<&str> = conversations
            .iter()
            .filter(|id| !self.known.contains_key(*id))
            .map(SmolStr::as_str)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows: Vec<(String, String)> =
            sqlx::query_as(MEMBERS).bind(&unknown).fetch_all(connection).await?;
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let now = Instant::now();
        for id in unknown {
            self.known.insert(SmolStr::new(id), (now, Vec::new()));
        }
        for (conversation, user) in rows {
            if let Some((_, members)) = self.known.get_mut(conversation.as_str()) {
                members.push(SmolStr::new(user));
            }
        }
        Ok(())
    }

    /// As learnt.
    pub fn of(&self, conversation: &str) -> &[SmolStr] {
        self.known.get(conversation).map_or(&[], |(_, members)| members)
    }
}

/// Who is in a conversation: the one place that says so here. Whoever has left has a place at which
/// they did.
const MEMBERS: &str = "SELECT m.conversation_id, m.user_id FROM members m \
    WHERE m.conversation_id = ANY($1::text[]) AND m.left_position IS NULL";
