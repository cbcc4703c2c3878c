//! Cursors: how far each member has come. A member's row is also their membership.

use std::collections::BTreeMap;

use parley_domain::{Cursor, Event, EventData};
use sqlx::PgConnection;

use crate::{Failure, number::to_sql};

/// What a batch does to cursors, by conversation and person.
#[derive(Default)]
pub(crate) struct Cursors<'a> {
    moved: BTreeMap<(&'a str, &'a str), Cursor>,
}

impl<'a> Cursors<'a> {
    pub fn evolve(&mut self, event: &'a Event) {
        let Some(conversation) = event.subject.conversation() else { return };
        let id = conversation.as_str();
        // Both people of a direct conversation are there with its first event, moved or not.
        if let Some((lo, hi)) = conversation.direct_names() {
            self.moved.entry((id, lo)).or_default();
            self.moved.entry((id, hi)).or_default();
        }
        match &event.data {
            EventData::MessageSent(sent) => {
                let seq = sent.conversation_seq;
                self.raise(id, event.actor.as_str(), seq, seq);
            }
            EventData::CursorDelivered(moved) => {
                self.raise(id, moved.user_id.as_str(), 0, moved.through_seq);
            }
            EventData::CursorRead(moved) => {
                let seq = moved.through_seq;
                self.raise(id, moved.user_id.as_str(), seq, seq);
            }
            EventData::ConversationCreated(_)
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

    fn raise(&mut self, id: &'a str, user: &'a str, read: u64, delivered: u64) {
        let cursor = self.moved.entry((id, user)).or_default();
        cursor.read = cursor.read.max(read);
        cursor.delivered = cursor.delivered.max(delivered).max(cursor.read);
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let (present, moved): (Vec<_>, Vec<_>) =
            self.moved.into_iter().partition(|(_, cursor)| *cursor == Cursor::default());
        if !moved.is_empty() {
            let columns = Columns::of(moved)?;
            sqlx::query(
                "INSERT INTO members AS m (conversation_id, user_id, read_seq, delivered_seq) \
                 SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[]) \
                 ON CONFLICT (conversation_id, user_id) DO UPDATE SET \
                 read_seq = GREATEST(m.read_seq, EXCLUDED.read_seq), \
                 delivered_seq = GREATEST(m.delivered_seq, EXCLUDED.delivered_seq)",
            )
            .bind(columns.conversation_id)
            .bind(columns.user_id)
            .bind(columns.read_seq)
            .bind(columns.delivered_seq)
            .execute(&mut *connection)
            .await?;
        }
        if !present.is_empty() {
            // Hardly ever a new row, so it must neither lock nor write the one that is there.
            let columns = Columns::of(present)?;
            sqlx::query(
                "INSERT INTO members (conversation_id, user_id, read_seq, delivered_seq) \
                 SELECT c, u, 0, 0 FROM UNNEST($1::text[], $2::text[]) AS present (c, u) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(columns.conversation_id)
            .bind(columns.user_id)
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Columns<'a> {
    conversation_id: Vec<&'a str>,
    user_id: Vec<&'a str>,
    read_seq: Vec<i64>,
    delivered_seq: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(rows: Vec<((&'a str, &'a str), Cursor)>) -> Result<Self, Failure> {
        let mut columns = Self::default();
        for ((conversation_id, user_id), cursor) in rows {
            columns.conversation_id.push(conversation_id);
            columns.user_id.push(user_id);
            columns.read_seq.push(to_sql(cursor.read)?);
            columns.delivered_seq.push(to_sql(cursor.delivered)?);
        }
        Ok(columns)
    }
}
