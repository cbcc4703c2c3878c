//! An aggregate's state when it is not in memory: from the views, or from the log itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use parley_domain::{Action, Command, ConversationId, Event, body::Attachment, conversation::Sent};
use parley_nats::{Connection, Failure, read::read_subject};
use parley_projections::{Loaded, attachments, load_message};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::served::Served;

/// How long a database that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the database may take before the log is read instead.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at views that are behind.
const VIEWS_PAUSE: Duration = Duration::from_millis(20);

/// Loads the aggregates of one shard; clones know of the same outage.
#[derive(Debug, Clone)]
pub struct Loader {
    pool: PgPool,
    connection: Connection,
    shard: u16,
    away_until: Arc<Mutex<Option<Instant>>>,
}

impl Loader {
    pub fn new(pool: PgPool, connection: Connection, shard: u16) -> Self {
        Self { pool, connection, shard, away_until: Arc::default() }
    }

    /// The state with every event of the aggregate up to `floor` at least, and possibly later
    /// ones. The views serve if their checkpoint has passed the floor and they could apply every
    /// event of it; else the log is read, which is slow but always right.
    pub async fn load<A: Served>(&self, id: &A::Id, floor: u64) -> Result<A, Failure> {
        if !self.is_away() {
            let loading = A::load(&self.pool, self.shard, id);
            match tokio::time::timeout(PATIENCE, loading).await {
                Ok(Ok(Loaded { state, checkpoint, damaged: false })) if checkpoint >= floor => {
                    return Ok(state);
                }
                Ok(Ok(Loaded { checkpoint, damaged, .. })) => {
                    let (shard, aggregate) = (self.shard, A::TYPE);
                    tracing::debug!(
                        shard,
                        aggregate,
                        checkpoint,
                        floor,
                        damaged,
                        "the views do not have all of it"
                    );
                }
                Ok(Err(error)) => self.note_away(&error.to_string()),
                Err(_) => self.note_away("no answer in time"),
            }
        }
        self.read_log(id).await
    }

    /// A message that is older than those that a conversation's state holds, as it is after the
    /// event at `position`, the conversation's last. The views are given a moment to have that one;
    /// the conversation is held meanwhile, so nothing comes in between.
    pub async fn message(
        &self,
        id: &ConversationId,
        seq: u64,
        position: u64,
    ) -> Result<Option<Sent>, Failure> {
        let behind = || Failure::Overloaded("the views are too far behind");
        let until = Instant::now() + PATIENCE;
        while !self.is_away() && Instant::now() < until {
            let loading = load_message(&self.pool, self.shard, id, seq);
            match tokio::time::timeout_at(until, loading).await {
                Ok(Ok(Loaded { state, checkpoint, .. })) if checkpoint >= position => {
                    return Ok(state);
                }
                Ok(Ok(_)) => tokio::time::sleep(VIEWS_PAUSE).await,
                Ok(Err(error)) => self.note_away(&error.to_string()),
                Err(_) => return Err(behind()),
            }
        }
        Err(if self.is_away() { Failure::Views("it did not answer".to_owned()) } else { behind() })
    }

    /// Those of these files that the message may have: its sender has uploaded them for this
    /// conversation, and no other message has them. From now on none will.
    pub async fn attachments(
        &self,
        command: &Command,
        ids: &[Uuid],
    ) -> Result<Vec<Attachment>, Failure> {
        let Action::SendMessage { client_message_id, .. } = &command.action else {
            return Ok(Vec::new());
        };
        let (id, sender) = (&command.conversation_id, &command.actor.user_id);
        let away = || Failure::Views("it did not answer".to_owned());
        if self.is_away() {
            return Err(away());
        }
        let claiming = attachments::claim(&self.pool, id, sender, client_message_id, ids);
        match tokio::time::timeout(PATIENCE, claiming).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                self.note_away(&error.to_string());
                Err(away())
            }
            Err(_) => {
                self.note_away("no answer in time");
                Err(away())
            }
        }
    }

    async fn read_log<A: Served>(&self, id: &A::Id) -> Result<A, Failure> {
        let messages = read_subject(&self.connection, self.shard, id).await?;
        let mut state = A::default();
        for message in messages {
            match Event::from_json(&message.payload) {
                Ok(event) => state.apply(event),
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
