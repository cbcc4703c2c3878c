//! All views of a batch, in one pass over its events.

use sqlx::PgConnection;

use super::Placed;
use crate::{
    Failure,
    views::{
        account::Accounts, attachments::Uses, changes::Changes, cursors::Cursors,
        history::NewMessages, inbox::Conversations, membership::Memberships, settings::Settings,
    },
};

pub(super) async fn write(
    connection: &mut PgConnection,
    shard: u16,
    events: &[Placed],
) -> Result<(), Failure> {
    let mut messages = NewMessages::default();
    let mut uses = Uses::default();
    let mut changes = Changes::default();
    let mut conversations = Conversations::default();
    let mut settings = Settings::default();
    let mut memberships = Memberships::default();
    let mut cursors = Cursors::default();
    let mut accounts = Accounts::default();
    for (event, position) in events {
        messages.evolve(event, *position);
        uses.evolve(event);
        changes.evolve(event, *position);
        conversations.evolve(event, *position);
        settings.evolve(event);
        memberships.evolve(event, *position);
        cursors.evolve(event);
        accounts.evolve(event, *position);
    }
    messages.write(connection).await?;
    uses.write(connection).await?;
    changes.write(connection, shard).await?;
    // What a leaver saw is read from the conversation as it was before the batch.
    memberships.write(connection).await?;
    conversations.write(connection, shard).await?;
    settings.write(connection).await?;
    cursors.write(connection).await?;
    accounts.write(connection, shard).await
}
