//! The `EventStore` of cqrs-es over one shard of the log.
//!
//! A command holds its aggregate from `load_aggregate` until its event has its place in the
//! committer's queue, not until it is durable: the next command of the same aggregate is decided
//! on the state that the first one leaves, while that is on its way into the log. Should it not get
//! there, the whole writer is over, the states in memory with it, and nobody was told otherwise:
//! `commit` returns only what is durable, also when there was nothing to write (the state that the
//! answer speaks of may be on its way still).

use std::{collections::HashMap, future::Future, ops::DerefMut, sync::Arc};

use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use parley_domain::{Event, Subject};

use crate::{
    Connection, Failure,
    committer::{Append, Committer, Ended, Reservation, event_headers},
    read::read_subject,
    subjects::{TRACEPARENT_HEADER, event_subject},
};

/// An aggregate's state, and how far into the shard it reaches.
#[derive(Debug, Clone, Default)]
pub struct Held<A> {
    pub state: A,
    /// Position of its last event; 0 if that is long durable.
    pub position: u64,
}

/// Where states are kept between commands. One command at a time holds a state; those that wait
/// get it in the order in which they asked.
pub trait States<A>: Send + Sync {
    type Guard: DerefMut<Target = Held<A>> + Send;

    fn check_out(&self, id: &str) -> impl Future<Output = Result<Self::Guard, Failure>> + Send;
}

/// One shard's log as a store of aggregates.
pub struct LogStore<S> {
    connection: Connection,
    shard: u16,
    committer: Arc<Committer>,
    states: S,
}

impl<S> LogStore<S> {
    pub fn new(connection: Connection, shard: u16, committer: Arc<Committer>, states: S) -> Self {
        Self { connection, shard, committer, states }
    }
}

/// A held aggregate, with its place in the queue kept, so that what was decided can be appended.
pub struct Checkout<G> {
    guard: G,
    place: Reservation,
}

impl<G> Checkout<G> {
    /// Position of the last event that the held state has seen.
    pub fn position<A>(&self) -> u64
    where
        G: DerefMut<Target = Held<A>>,
    {
        self.guard.position
    }
}

impl<A, G> AggregateContext<A> for Checkout<G>
where
    A: Aggregate,
    G: DerefMut<Target = Held<A>>,
{
    fn aggregate(&mut self) -> &mut A {
        &mut self.guard.state
    }
}

impl<A, S> EventStore<A> for LogStore<S>
where
    A: Aggregate<Event = Event>,
    S: States<A>,
{
    type AC = Checkout<S::Guard>;

    /// From the log itself; for tools, not for requests.
    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let id = Subject::parse(aggregate_id).map_err(broken)?;
        let messages =
            read_subject(&self.connection, self.shard, &id).await.map_err(unreachable)?;
        messages
            .into_iter()
            .map(|message| {
                let event = Event::from_json(&message.payload).map_err(broken)?;
                envelope(aggregate_id, event, HashMap::new())
            })
            .collect()
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<Self::AC, AggregateError<A::Error>> {
        let place = self.committer.reserve().map_err(unreachable)?;
        let guard = self.states.check_out(aggregate_id).await.map_err(unreachable)?;
        Ok(Checkout { guard, place })
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut events = events.into_iter();
        let event = events.next();
        if events.next().is_some() {
            // Two events would need two places; a command makes one at most.
            return Err(AggregateError::UnexpectedError("a command made two events".into()));
        }
        let mut committed = Vec::new();
        if let Some(event) = event {
            let append = Append {
                subject: event_subject(self.shard, &event.subject),
                payload: event.to_json().map_err(broken)?.into(),
                headers: event_headers(
                    event.data.kind(),
                    event.version,
                    metadata.get(TRACEPARENT_HEADER).map(String::as_str),
                ),
            };
            let id = event.subject.to_string();
            committed.push(envelope(&id, event, metadata)?);
            let Checkout { guard: mut held, place } = context;
            held.position = place.append(append);
            let position = held.position;
            drop(held);
            self.committer.durable(position).await.map_err(over)?;
        } else {
            let position = context.guard.position;
            drop(context);
            self.committer.durable(position).await.map_err(over)?;
        }
        Ok(committed)
    }
}

fn envelope<A: Aggregate<Event = Event>>(
    aggregate_id: &str,
    event: Event,
    metadata: HashMap<String, String>,
) -> Result<EventEnvelope<A>, AggregateError<A::Error>> {
    Ok(EventEnvelope {
        aggregate_id: aggregate_id.to_owned(),
        sequence: usize::try_from(event.version).map_err(broken)?,
        payload: event,
        metadata,
    })
}

fn unreachable<E: std::error::Error>(failure: Failure) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(Box::new(failure))
}

fn broken<E: std::error::Error>(
    error: impl std::error::Error + Send + Sync + 'static,
) -> AggregateError<E> {
    AggregateError::DeserializationError(Box::new(error))
}

/// The writer is over: whether the event is in the log is for the next one to find out.
fn over<E: std::error::Error>(_: Ended) -> AggregateError<E> {
    AggregateError::AggregateConflict
}
