//! Marks: a row for each conversation that a person ever marked.

use std::collections::BTreeMap;

use parley_domain::{ConversationId, Timestamp, account::Mute};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{Failure, number::to_sql};

/// The marks of a conversation as the account's owner sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    pub conversation_id: ConversationId,
    /// Now.
    pub muted: bool,
    /// When that ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    /// Archived while the last message is not beyond it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_through_seq: Option<u64>,
    /// Of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_through_seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// By the device's clock, of the draft or of its clearing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_saved_at: Option<Timestamp>,
}

/// What a batch does to the marks of one conversation; `None` is left as it is.
#[derive(Default)]
pub(super) struct Change<'a> {
    position: u64,
    version: u64,
    pub muted: Option<Option<Mute>>,
    pub pinned: Option<bool>,
    pub archived_through: Option<Option<u64>>,
    pub read_through: Option<u64>,
    /// Version, text, and when by the device's clock.
    pub draft: Option<(u64, Option<&'a str>, Timestamp)>,
}

/// By user and conversation.
#[derive(Default)]
pub(super) struct Marks<'a>(BTreeMap<(&'a str, &'a str), Change<'a>>);

impl<'a> Marks<'a> {
    /// For an event of this version; they come in order.
    pub fn of(
        &mut self,
        user: &'a str,
        id: &'a ConversationId,
        version: u64,
        position: u64,
    ) -> &mut Change<'a> {
        let change = self.0.entry((user, id.as_str())).or_default();
        change.version = change.version.max(version);
        change.position = change.position.max(position);
        change
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (mut users, mut ids) = (Vec::new(), Vec::new());
        let (mut versions, mut positions) = (Vec::new(), Vec::new());
        let (mut muted, mut muted_until) = (Vec::new(), Vec::new());
        let (mut pinned, mut moves, mut archived) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = Vec::new();
        let (mut drafted, mut drafts, mut saved) = (Vec::new(), Vec::new(), Vec::new());
        for ((user, id), change) in self.0 {
            users.push(user);
            ids.push(id);
            versions.push(to_sql(change.version)?);
            positions.push(to_sql(change.position)?);
            muted.push(change.muted.map(|mute| mute.is_some()));
            muted_until.push(change.muted.flatten().and_then(|mute| match mute {
                Mute::Forever => None,
                Mute::Until(until) => Some(until.to_date_time()),
            }));
            pinned.push(change.pinned);
            moves.push(change.archived_through.is_some());
            archived.push(change.archived_through.flatten().map(to_sql).transpose()?);
            read.push(change.read_through.map(to_sql).transpose()?);
            drafted.push(change.draft.map(|(version, ..)| to_sql(version)).transpose()?);
            drafts.push(change.draft.and_then(|(_, text, _)| text));
            saved.push(change.draft.map(|(.., at)| at.to_date_time()));
        }
        sqlx::query(
            "INSERT INTO conversation_marks (user_id, conversation_id, version, position) \
             SELECT *, 0, 0 FROM UNNEST($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
        )
        .bind(&users)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "UPDATE conversation_marks m SET version = n.version, position = n.position, \
             muted = COALESCE(n.muted, m.muted), \
             muted_until = CASE WHEN n.muted IS NULL THEN m.muted_until ELSE n.muted_until END, \
             pinned = COALESCE(n.pinned, m.pinned), \
             archived_through_seq = CASE WHEN n.moves THEN n.archived \
                 ELSE m.archived_through_seq END, \
             read_through_seq = GREATEST(m.read_through_seq, n.read), \
             draft_version = COALESCE(n.drafted, m.draft_version), \
             draft = CASE WHEN n.drafted IS NULL THEN m.draft ELSE n.draft END, \
             draft_saved_at = CASE WHEN n.drafted IS NULL THEN m.draft_saved_at ELSE n.saved END \
             FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], \
             $6::timestamptz[], $7::boolean[], $8::boolean[], $9::bigint[], $10::bigint[], \
             $11::bigint[], $12::text[], $13::timestamptz[]) AS n (user_id, conversation_id, \
             version, position, muted, muted_until, pinned, moves, archived, read, drafted, draft, \
             saved) \
             WHERE m.user_id = n.user_id AND m.conversation_id = n.conversation_id \
             AND m.version < n.version",
        )
        .bind(users)
        .bind(ids)
        .bind(versions)
        .bind(positions)
        .bind(muted)
        .bind(muted_until)
        .bind(pinned)
        .bind(moves)
        .bind(archived)
        .bind(read)
        .bind(drafted)
        .bind(drafts)
        .bind(saved)
        .execute(connection)
        .await?;
        Ok(())
    }
}
