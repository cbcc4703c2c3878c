//! What happens to messages after they were sent: edits, deletions, reactions.
//!
//! A batch is brought together by message first: its last text, whether it is deleted, who reacts.

use std::collections::BTreeMap;

use parley_domain::{
    Body, Emoji, Event, EventData, Timestamp, UserId,
    event::{DeletedMessage, MessageDeleted, Reaction},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Failure,
    number::{hash_to_sql, to_sql},
};

/// Who reacted with one emoji, in the order in which they did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reactions {
    pub emoji: Emoji,
    pub user_ids: Vec<UserId>,
}

/// What a batch does to messages, by conversation and number.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    changed: BTreeMap<(&'a str, u64), Change<'a>>,
}

#[derive(Default)]
struct Change<'a> {
    /// Of the last event that changed it.
    position: u64,
    /// The last edit.
    edit: Option<(&'a Body, Timestamp)>,
    /// Where the edits are.
    edits: Vec<u64>,
    deletion: Option<(&'a MessageDeleted, Timestamp)>,
    reactions: BTreeMap<(&'a Emoji, &'a UserId), Turn>,
}

/// What becomes of a reaction: first it is taken back, then added.
#[derive(Default)]
struct Turn {
    is_taken_back: bool,
    /// The position.
    added: Option<u64>,
}

impl<'a> Changes<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        let id = event.subject.as_str();
        let seq = match &event.data {
            EventData::MessageEdited(edited) => edited.conversation_seq,
            EventData::MessageDeleted(deleted) => deleted.conversation_seq,
            EventData::ReactionAdded(Reaction { conversation_seq, .. })
            | EventData::ReactionRemoved(Reaction { conversation_seq, .. }) => *conversation_seq,
            EventData::MessageSent(_)
            | EventData::CursorDelivered(_)
            | EventData::CursorRead(_)
            | EventData::ConversationCreated(_)
            | EventData::MemberAdded(_)
            | EventData::MemberRemoved(_)
            | EventData::MemberLeft(_)
            | EventData::MemberRoleChanged(_)
            | EventData::ConversationRenamed(_)
            | EventData::ConversationTimerSet(_)
            | EventData::ConversationBlocked(_)
            | EventData::ConversationUnblocked(_)
            | EventData::Account(_) => return,
        };
        let change = self.changed.entry((id, seq)).or_default();
        change.position = position;
        match &event.data {
            EventData::MessageEdited(edited) => {
                change.edit = Some((&edited.body, event.time));
                change.edits.push(position);
            }
            EventData::MessageDeleted(deleted) => change.deletion = Some((deleted, event.time)),
            EventData::ReactionAdded(Reaction { emoji, .. }) => {
                let turn = change.reactions.entry((emoji, &event.actor)).or_default();
                turn.added = turn.added.or(Some(position));
            }
            EventData::ReactionRemoved(Reaction { emoji, .. }) => {
                let turn = Turn { is_taken_back: true, added: None };
                change.reactions.insert((emoji, &event.actor), turn);
            }
            EventData::MessageSent(_)
            | EventData::CursorDelivered(_)
            | EventData::CursorRead(_)
            | EventData::ConversationCreated(_)
            | EventData::MemberAdded(_)
            | EventData::MemberRemoved(_)
            | EventData::MemberLeft(_)
            | EventData::MemberRoleChanged(_)
            | EventData::ConversationRenamed(_)
            | EventData::ConversationTimerSet(_)
            | EventData::ConversationBlocked(_)
            | EventData::ConversationUnblocked(_)
            | EventData::Account(_) => {}
        }
    }

    /// After the batch's new messages are there.
    pub async fn write(self, connection: &mut PgConnection, shard: u16) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut touched = Numbers::default();
        let mut edits = Edits::default();
        let mut deletions = Deletions::default();
        let mut tombstones = Tombstones::default();
        let (mut added, mut taken_back) = (Reacted::default(), Reacted::default());
        for ((id, seq), change) in self.changed {
            for position in change.edits {
                edits.places.push(id, seq, position)?;
            }
            if let Some((deleted, at)) = change.deletion {
                deletions.numbers.push(id, seq, change.position)?;
                deletions.at.push(at.to_date_time());
                if let Some(of) = &deleted.of {
                    tombstones.push(id, seq, change.position, of, at)?;
                }
                continue;
            }
            if let Some((body, at)) = change.edit {
                edits.last.push(id, seq, change.position)?;
                edits.bodies.push(Json(body));
                edits.fingerprints.push(hash_to_sql(body.fingerprint()));
                edits.at.push(at.to_date_time());
            } else {
                touched.push(id, seq, change.position)?;
            }
            for ((emoji, user), turn) in change.reactions {
                if turn.is_taken_back {
                    taken_back.push(id, seq, change.position, emoji, user)?;
                }
                if let Some(position) = turn.added {
                    added.push(id, seq, position, emoji, user)?;
                }
            }
        }
        touched.write(connection).await?;
        edits.write(connection).await?;
        taken_back.remove(connection).await?;
        added.write(connection).await?;
        tombstones.write(connection).await?;
        deletions.write(connection, shard).await
    }
}

/// Messages, and a position each.
#[derive(Default)]
struct Numbers<'a> {
    ids: Vec<&'a str>,
    seqs: Vec<i64>,
    positions: Vec<i64>,
}

impl<'a> Numbers<'a> {
    fn push(&mut self, id: &'a str, seq: u64, position: u64) -> Result<(), Failure> {
        self.ids.push(id);
        self.seqs.push(to_sql(seq)?);
        self.positions.push(to_sql(position)?);
        Ok(())
    }

    /// They are given again to whoever has not seen this.
    async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE messages m SET changed_position = n.position \
             FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) n (id, seq, position) \
             WHERE m.conversation_id = n.id COLLATE \"C\" AND m.conversation_seq = n.seq \
             AND m.deleted_at IS NULL",
        )
        .bind(self.ids)
        .bind(self.seqs)
        .bind(self.positions)
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[derive(Default)]
struct Edits<'a> {
    places: Numbers<'a>,
    last: Numbers<'a>,
    bodies: Vec<Json<&'a Body>>,
    fingerprints: Vec<i64>,
    at: Vec<OffsetDateTime>,
}

impl Edits<'_> {
    async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if !self.places.ids.is_empty() {
            sqlx::query(
                "INSERT INTO edits (conversation_id, conversation_seq, position) \
                 SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.places.ids)
            .bind(self.places.seqs)
            .bind(self.places.positions)
            .execute(&mut *connection)
            .await?;
        }
        if !self.last.ids.is_empty() {
            sqlx::query(
                "UPDATE messages m SET body = e.body, edited_fingerprint = e.fingerprint, \
                 edited_at = e.at, changed_position = e.position \
                 FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::jsonb[], \
                 $5::bigint[], $6::timestamptz[]) e (id, seq, position, body, fingerprint, at) \
                 WHERE m.conversation_id = e.id COLLATE \"C\" AND m.conversation_seq = e.seq \
                 AND m.deleted_at IS NULL",
            )
            .bind(self.last.ids)
            .bind(self.last.seqs)
            .bind(self.last.positions)
            .bind(self.bodies)
            .bind(self.fingerprints)
            .bind(self.at)
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}

/// Messages that may have been erased from the log before they were ever in these views.
#[derive(Default)]
struct Tombstones<'a> {
    numbers: Numbers<'a>,
    versions: Vec<i64>,
    created_at: Vec<OffsetDateTime>,
    message_ids: Vec<Uuid>,
    reply_to: Vec<Option<i64>>,
    expires_at: Vec<Option<OffsetDateTime>>,
    senders: Vec<&'a str>,
    names: Vec<&'a str>,
    deleted_at: Vec<OffsetDateTime>,
}

impl<'a> Tombstones<'a> {
    fn push(
        &mut self,
        id: &'a str,
        seq: u64,
        position: u64,
        of: &'a DeletedMessage,
        at: Timestamp,
    ) -> Result<(), Failure> {
        self.numbers.push(id, seq, position)?;
        self.versions.push(to_sql(of.version)?);
        self.created_at.push(of.created_at.to_date_time());
        self.message_ids.push(of.message_id);
        self.reply_to.push(of.reply_to.map(to_sql).transpose()?);
        self.expires_at.push(of.expires_at.map(Timestamp::to_date_time));
        self.senders.push(of.sender_id.as_str());
        self.names.push(of.client_message_id.as_str());
        self.deleted_at.push(at.to_date_time());
        Ok(())
    }

    /// Where it stood in the log nobody knows any more: see the column.
    async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.numbers.ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO messages (conversation_id, conversation_seq, changed_position, version, \
             created_at, message_id, reply_to, expires_at, sender_id, client_message_id, \
             deleted_at, position) \
             SELECT t.*, COALESCE((SELECT before.position FROM messages before \
             WHERE before.conversation_id = t.id COLLATE \"C\" AND before.conversation_seq < t.seq \
             ORDER BY before.conversation_seq DESC LIMIT 1), 0) \
             FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], \
             $5::timestamptz[], $6::uuid[], $7::bigint[], $8::timestamptz[], $9::text[], \
             $10::text[], $11::timestamptz[]) t (id, seq) \
             ON CONFLICT (conversation_id, conversation_seq) DO NOTHING",
        )
        .bind(self.numbers.ids)
        .bind(self.numbers.seqs)
        .bind(self.numbers.positions)
        .bind(self.versions)
        .bind(self.created_at)
        .bind(self.message_ids)
        .bind(self.reply_to)
        .bind(self.expires_at)
        .bind(self.senders)
        .bind(self.names)
        .bind(self.deleted_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[derive(Default)]
struct Deletions<'a> {
    numbers: Numbers<'a>,
    at: Vec<OffsetDateTime>,
}

impl Deletions<'_> {
    /// What was there is to be erased from the log; a tombstone was already. Who edited it when is
    /// gone as well: the events that said so will be.
    async fn write(self, connection: &mut PgConnection, shard: u16) -> Result<(), Failure> {
        if self.numbers.ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "WITH deleted AS (SELECT * FROM UNNEST($2::text[], $3::bigint[], $4::bigint[], \
             $5::timestamptz[]) d (id, seq, position, at)), \
             forgotten AS (DELETE FROM reactions r USING deleted d \
             WHERE r.conversation_id = d.id COLLATE \"C\" AND r.conversation_seq = d.seq), \
             emptied AS (UPDATE messages m SET body = NULL, fingerprint = NULL, \
             edited_fingerprint = NULL, edited_at = NULL, deleted_at = d.at, \
             changed_position = d.position FROM deleted d \
             WHERE m.conversation_id = d.id COLLATE \"C\" AND m.conversation_seq = d.seq \
             AND m.deleted_at IS NULL RETURNING d.id, d.seq, d.at) \
             INSERT INTO erasures (shard, conversation_id, conversation_seq, deleted_at) \
             SELECT $1, id, seq, at FROM emptied ON CONFLICT DO NOTHING",
        )
        .bind(i32::from(shard))
        .bind(self.numbers.ids)
        .bind(self.numbers.seqs)
        .bind(self.numbers.positions)
        .bind(self.at)
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[derive(Default)]
struct Reacted<'a> {
    numbers: Numbers<'a>,
    emoji: Vec<&'a str>,
    users: Vec<&'a str>,
}

impl<'a> Reacted<'a> {
    fn push(
        &mut self,
        id: &'a str,
        seq: u64,
        position: u64,
        emoji: &'a Emoji,
        user: &'a UserId,
    ) -> Result<(), Failure> {
        self.numbers.push(id, seq, position)?;
        self.emoji.push(emoji.as_str());
        self.users.push(user.as_str());
        Ok(())
    }

    /// To messages that are there and say something.
    async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.users.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO reactions (conversation_id, conversation_seq, position, emoji, user_id) \
             SELECT n.* FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[], \
             $5::text[]) n (id, seq) \
             JOIN messages m ON m.conversation_id = n.id COLLATE \"C\" \
             AND m.conversation_seq = n.seq AND m.deleted_at IS NULL \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.numbers.ids)
        .bind(self.numbers.seqs)
        .bind(self.numbers.positions)
        .bind(self.emoji)
        .bind(self.users)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn remove(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.users.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "DELETE FROM reactions r USING UNNEST($1::text[], $2::bigint[], $3::text[], \
             $4::text[]) n (id, seq, emoji, user_id) \
             WHERE r.conversation_id = n.id COLLATE \"C\" AND r.conversation_seq = n.seq \
             AND r.emoji = n.emoji COLLATE \"C\" AND r.user_id = n.user_id COLLATE \"C\"",
        )
        .bind(self.numbers.ids)
        .bind(self.numbers.seqs)
        .bind(self.emoji)
        .bind(self.users)
        .execute(connection)
        .await?;
        Ok(())
    }
}
