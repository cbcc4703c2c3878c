//! Cursors: how far each member has come. In a direct conversation, a member's row is also their
//! membership; elsewhere it is there before anything moves it.

use std::collections::BTreeMap;

use parley_domain::{Cursor, Event, EventData};
use sqlx::PgConnection;

use crate::{Failure, number::to_sql};

/// What a batch does to cursors, by conversation and person.
#[derive(Default)]
pub(crate) struct Cursors<'a> {
    direct: BTreeMap<(&'a str, &'a str), Moved>,
    others: BTreeMap<(&'a str, &'a str), Moved>,
}

/// Where one's cursors are, and how much of that others may know.
#[derive(Default, PartialEq, Eq)]
struct Moved {
    own: Cursor,
    shown: Cursor,
}

fn raise(cursor: &mut Cursor, read: u64, delivered: u64) {
    cursor.read = cursor.read.max(read);
    cursor.delivered = cursor.delivered.max(delivered).max(cursor.read);
}

impl<'a> Cursors<'a> {
    pub fn evolve(&mut self, event: &'a Event) {
        let Some(conversation) = event.subject.conversation() else { return };
        let id = conversation.as_str();
        // Both people of a direct conversation are there with its first event, moved or not.
        let moved = if let Some((lo, hi)) = conversation.direct_names() {
            self.direct.entry((id, lo)).or_default();
            self.direct.entry((id, hi)).or_default();
            &mut self.direct
        } else {
            &mut self.others
        };
        let mut raise = |user: &'a str, read: u64, delivered: u64, hidden: bool| {
            let moved = moved.entry((id, user)).or_default();
            raise(&mut moved.own, read, delivered);
            if !hidden {
                raise(&mut moved.shown, read, delivered);
            }
        };
        match &event.data {
            EventData::MessageSent(sent) => {
                let seq = sent.conversation_seq;
                raise(event.actor.as_str(), seq, seq, false);
            }
            EventData::MessageDeleted(deleted) => {
                // The message may be gone from the log, and with it what it did to its sender's.
                if let Some(of) = &deleted.of {
                    let seq = deleted.conversation_seq;
                    raise(of.sender_id.as_str(), seq, seq, false);
                }
            }
            EventData::CursorDelivered(moved) => {
                raise(moved.user_id.as_str(), 0, moved.through_seq, moved.hidden);
            }
            EventData::CursorRead(moved) => {
                let seq = moved.through_seq;
                raise(moved.user_id.as_str(), seq, seq, moved.hidden);
            }
            // Nothing of before is unread.
            EventData::MemberAdded(added) => {
                raise(added.user_id.as_str(), added.last_seq, added.last_seq, false);
            }
            EventData::ConversationCreated(_)
            | EventData::MemberRemoved(_)
            | EventData::MemberLeft(_)
            | EventData::MemberRoleChanged(_)
            | EventData::ConversationRenamed(_)
            | EventData::ConversationTimerSet(_)
            | EventData::ConversationBlocked(_)
            | EventData::ConversationUnblocked(_)
            | EventData::MessageEdited(_)
            | EventData::ReactionAdded(_)
            | EventData::ReactionRemoved(_)
            | EventData::Account(_) => {}
        }
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let (present, moved): (Vec<_>, Vec<_>) =
            self.direct.into_iter().partition(|(_, moved)| *moved == Moved::default());
        if !moved.is_empty() {
            let sql = "INSERT INTO members AS m (conversation_id, user_id, read_seq, \
                 delivered_seq, shown_read_seq, shown_delivered_seq) \
                 SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], \
                 $5::bigint[], $6::bigint[]) \
                 ON CONFLICT (conversation_id, user_id) DO UPDATE SET \
                 read_seq = GREATEST(m.read_seq, EXCLUDED.read_seq), \
                 delivered_seq = GREATEST(m.delivered_seq, EXCLUDED.delivered_seq), \
                 shown_read_seq = GREATEST(m.shown_read_seq, EXCLUDED.shown_read_seq), \
                 shown_delivered_seq = \
                     GREATEST(m.shown_delivered_seq, EXCLUDED.shown_delivered_seq)";
            Columns::of(moved)?.execute(sql, connection).await?;
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
            .execute(&mut *connection)
            .await?;
        }
        if !self.others.is_empty() {
            // Never a new row: it would be a membership.
            let sql = "UPDATE members m SET read_seq = GREATEST(m.read_seq, s.read_seq), \
                 delivered_seq = GREATEST(m.delivered_seq, s.delivered_seq), \
                 shown_read_seq = GREATEST(m.shown_read_seq, s.shown_read_seq), \
                 shown_delivered_seq = GREATEST(m.shown_delivered_seq, s.shown_delivered_seq) \
                 FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[], \
                 $5::bigint[], $6::bigint[]) AS s (conversation_id, user_id, read_seq, \
                 delivered_seq, shown_read_seq, shown_delivered_seq) \
                 WHERE m.conversation_id = s.conversation_id COLLATE \"C\" \
                 AND m.user_id = s.user_id COLLATE \"C\"";
            Columns::of(self.others)?.execute(sql, connection).await?;
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
    shown_read_seq: Vec<i64>,
    shown_delivered_seq: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(rows: impl IntoIterator<Item = ((&'a str, &'a str), Moved)>) -> Result<Self, Failure> {
        let mut columns = Self::default();
        for ((conversation_id, user_id), Moved { own, shown }) in rows {
            columns.conversation_id.push(conversation_id);
            columns.user_id.push(user_id);
            columns.read_seq.push(to_sql(own.read)?);
            columns.delivered_seq.push(to_sql(own.delivered)?);
            columns.shown_read_seq.push(to_sql(shown.read)?);
            columns.shown_delivered_seq.push(to_sql(shown.delivered)?);
        }
        Ok(columns)
    }

    async fn execute(
        self,
        sql: &'static str,
        connection: &mut PgConnection,
    ) -> Result<(), Failure> {
        sqlx::query(sql)
            .bind(self.conversation_id)
            .bind(self.user_id)
            .bind(self.read_seq)
            .bind(self.delivered_seq)
            .bind(self.shown_read_seq)
            .bind(self.shown_delivered_seq)
            .execute(connection)
            .await?;
        Ok(())
    }
}
