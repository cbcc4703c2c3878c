//! Threads in PostgreSQL, through postgres-es in its event-store mode: no snapshots, no dispatch.

use std::collections::HashMap;

use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, EventStore,
    persist::{EventStoreAggregateContext, PersistedEventStore},
};
use parley_domain::Timestamp;
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use super::{Never, NotificationThread};
use crate::policy::{
    Policy,
    decide::{Decision, Facts},
};

const EVENTS: &str = "notification_events";
/// Named because the library wants a name; there is no such table.
const NO_SNAPSHOTS: &str = "notification_snapshots";

/// A decision could not be stored, or what is stored not be read.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// Somebody else decided at the same time; asked again, theirs is known.
    #[error("somebody else has decided meanwhile")]
    Conflict,
    #[error("the decisions cannot be reached: {0}")]
    Failed(String),
    #[error("a decision cannot be read: {0}")]
    Corrupt(String),
}

impl From<AggregateError<Never>> for NotDecided {
    fn from(error: AggregateError<Never>) -> Self {
        match error {
            AggregateError::AggregateConflict => Self::Conflict,
            AggregateError::UserError(never) => match never {},
            AggregateError::DeserializationError(error) => Self::Corrupt(error.to_string()),
            AggregateError::DatabaseConnectionError(error)
            | AggregateError::UnexpectedError(error) => Self::Failed(error.to_string()),
        }
    }
}

/// The threads.
pub struct Threads {
    store: PersistedEventStore<PostgresEventRepository, NotificationThread>,
}

impl Threads {
    pub fn new(pool: PgPool) -> Self {
        let repository = PostgresEventRepository::new(pool).with_tables(EVENTS, NO_SNAPSHOTS);
        Self { store: PersistedEventStore::new_event_store(repository) }
    }

    /// Decides on a thread and stores the event, if there is one; the thread as it is then.
    ///
    /// What follows from the event is derived from it afterwards, as often as needed, so nothing is
    /// lost if this process dies in between.
    ///
    /// # Errors
    /// If nothing was stored, as far as is known; asking again tells.
    pub async fn decide(
        &self,
        facts: &Facts,
        policy: &Policy,
        at: Timestamp,
    ) -> Result<(NotificationThread, Decision), NotDecided> {
        let mut context: EventStoreAggregateContext<NotificationThread> =
            self.store.load_aggregate(&facts.thread_id).await?;
        let mut thread = context.aggregate().clone();
        let decision = thread.decide(facts, policy, at);
        if let Decision::Event(event) = &decision {
            self.store.commit(vec![event.clone()], context, HashMap::new()).await?;
            thread.apply(event.clone());
        }
        Ok((thread, decision))
    }
}
