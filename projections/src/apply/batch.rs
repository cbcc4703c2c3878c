//! All views of a batch, in one pass over its events.

use sqlx::PgConnection;

use super::Placed;
use crate::{
    Failure,
    views::{cursors::Cursors, history::NewMessages, inbox::Conversations},
};

pub(super) async fn write(
    connection: &mut PgConnection,
    shard: u16,
    events: &[Placed],
) -> Result<(), Failure> {
    let mut messages = NewMessages::default();
    let mut conversations = Conversations::default();
    let mut cursors = Cursors::default();
    for (event, position) in events {
        messages.evolve(event, *position);
        conversations.evolve(event, *position);
        cursors.evolve(event);
    }
    messages.write(connection).await?;
    conversations.write(connection, shard).await?;
    cursors.write(connection).await
}
