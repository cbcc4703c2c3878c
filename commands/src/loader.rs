//! A conversation's state when it is not in memory: from the views, or from the log itself.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use parley_domain::{Conversation, ConversationId, Event};
use parley_nats::{Connection, Failure, read::read_conversation};
use sqlx::PgPool;
use tokio::time::Instant;

/// How long a database that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the database may take before the log is read instead.
const PATIENCE: Duration = Duration::from_secs(2);

/// Loads the conversations of one shard.
#[derive(Debug)]
pub struct Loader {
    pool: PgPool,
    connection: Connection,
    shard: u16,
    away_until: Mutex<Option<Instant>>,
}

impl Loader {
    pub fn new(pool: PgPool, connection: Connection, shard: u16) -> Self {
        Self { pool, connection, shard, away_until: Mutex::new(None) }
    }

    /// The state with every event of the conversation up to `floor` at least, and possibly later
    /// ones. The views serve if their checkpoint has passed the floor and they could apply every
    /// event of the conversation; else the log is read, which is slow but always right.
    pub async fn load(&self, id: &ConversationId, floor: u64) -> Result<Conversation, Failure> {
        if !self.is_away() {
            let loading = parley_projections::load::load_conversation(&self.pool, self.shard, id);
            match tokio::time::timeout(PATIENCE, loading).await {
                Ok(Ok(loaded)) if loaded.checkpoint >= floor && !loaded.damaged => {
                    return Ok(loaded.conversation);
                }
                Ok(Ok(loaded)) => {
                    tracing::debug!(
                        shard = self.shard,
                        checkpoint = loaded.checkpoint,
                        floor,
                        damaged = loaded.damaged,
                        "the views do not have all of a conversation"
                    );
                }
                Ok(Err(error)) => self.note_away(&error.to_string()),
                Err(_) => self.note_away("no answer in time"),
            }
        }
        self.read_log(id).await
    }

    async fn read_log(&self, id: &ConversationId) -> Result<Conversation, Failure> {
        let messages = read_conversation(&self.connection, self.shard, id).await?;
        let mut state = Conversation::default();
        for message in messages {
            match Event::from_json(&message.payload) {
                Ok(event) => state.evolve(&event),
                // As in the views: a poison event is left out, and the rest goes on.
                Err(error) => tracing::warn!(
                    shard = self.shard,
                    position = message.position,
                    %error,
                    "an event that cannot be read is left out"
                ),
            }
        }
        Ok(state)
    }

    fn is_away(&self) -> bool {
        let until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn note_away(&self, why: &str) {
        tracing::warn!(shard = self.shard, why, "the database is away; reading the log instead");
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + PAUSE);
    }
}
