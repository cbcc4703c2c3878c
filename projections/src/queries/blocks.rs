//! Whom a person blocks.

use parley_domain::{ConversationId, UserId};
use sqlx::{PgPool, Row};

use super::rows;
use crate::{Failure, database::READ_DEADLINE, failure::within};

/// The most people of the list.
const MAX_BLOCKS: i64 = 10_000;

const SELECT: &str = "SELECT conversation_id FROM conversations \
    WHERE blocked_by @> ARRAY[$1] AND blocked_by <> '{}' LIMIT $2";

/// In byte order of their ids.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.blocks.read", skip_all, err(level = "debug"))]
pub async fn blocks(pool: &PgPool, user: &UserId) -> Result<Vec<UserId>, Failure> {
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT).bind(user.as_str()).bind(MAX_BLOCKS);
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    let mut blocked = Vec::with_capacity(found.len());
    for row in &found {
        let id = row.try_get("conversation_id")?;
        let id = rows::id("conversation id", ConversationId::parse(id))?;
        let people = id.direct_members().into_iter().flatten();
        blocked.extend(people.filter(|person| person != user));
    }
    blocked.sort_unstable();
    Ok(blocked)
}
