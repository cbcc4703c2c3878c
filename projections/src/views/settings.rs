//! What a conversation is called, how it is kept, how many are in it, and who blocks whom: columns of
//! its row that change rarely, so a batch of messages does not write them.

use std::collections::BTreeMap;

use parley_domain::{Event, EventData};
use sqlx::PgConnection;

use crate::{Failure, number::to_sql};

/// What a batch does to them, by conversation.
#[derive(Default)]
pub(crate) struct Settings<'a> {
    changed: BTreeMap<&'a str, Change<'a>>,
}

#[derive(Default)]
struct Change<'a> {
    title: Option<Option<&'a str>>,
    timer_seconds: Option<u64>,
    member_count: Option<u64>,
    /// Whether this person blocks the other.
    blocks: BTreeMap<&'a str, bool>,
}

impl<'a> Settings<'a> {
    pub fn evolve(&mut self, event: &'a Event) {
        let Some(conversation) = event.subject.conversation() else { return };
        let id = conversation.as_str();
        match &event.data {
            EventData::ConversationCreated(created) => {
                let change = self.change(id);
                change.title = Some(created.title.as_deref());
                change.member_count = Some(created.members.len() as u64);
            }
            EventData::MemberAdded(added) => {
                self.change(id).member_count = Some(added.member_count)
            }
            EventData::MemberRemoved(removed) => {
                self.change(id).member_count = Some(removed.member_count);
            }
            EventData::MemberLeft(left) => self.change(id).member_count = Some(left.member_count),
            EventData::ConversationRenamed(renamed) => {
                self.change(id).title = Some(renamed.title.as_deref());
            }
            EventData::ConversationTimerSet(set) => {
                self.change(id).timer_seconds = Some(set.seconds)
            }
            EventData::ConversationBlocked(_) => {
                self.change(id).blocks.insert(event.actor.as_str(), true);
            }
            EventData::ConversationUnblocked(_) => {
                self.change(id).blocks.insert(event.actor.as_str(), false);
            }
            EventData::MessageSent(_)
            | EventData::MessageEdited(_)
            | EventData::MessageDeleted(_)
            | EventData::ReactionAdded(_)
            | EventData::ReactionRemoved(_)
            | EventData::CursorDelivered(_)
            | EventData::CursorRead(_)
            | EventData::MemberRoleChanged(_)
            | EventData::Account(_) => {}
        }
    }

    fn change(&mut self, id: &'a str) -> &mut Change<'a> {
        self.changed.entry(id).or_default()
    }

    /// After the conversations' rows are there.
    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (mut ids, mut titled, mut titles) = (Vec::new(), Vec::new(), Vec::new());
        let (mut timers, mut counts) = (Vec::new(), Vec::new());
        let (mut blocking, mut unblocking) = (Vec::new(), Vec::new());
        for (id, change) in self.changed {
            ids.push(id);
            titled.push(change.title.is_some());
            titles.push(change.title.flatten());
            timers.push(change.timer_seconds.map(to_sql).transpose()?);
            counts.push(change.member_count.map(to_sql).transpose()?);
            let names = |blocks: bool| {
                let names = change.blocks.iter().filter(|(_, now)| **now == blocks);
                names.map(|(user, _)| *user).collect::<Vec<_>>().join(" ")
            };
            blocking.push(names(true));
            unblocking.push(names(false));
        }
        // An id has no spaces, and arrays of arrays cannot be of different lengths.
        sqlx::query(
            "UPDATE conversations c SET \
             title = CASE WHEN s.titled THEN s.title ELSE c.title END, \
             timer_seconds = COALESCE(s.timer_seconds, c.timer_seconds), \
             member_count = COALESCE(s.member_count, c.member_count), \
             blocked_by = ARRAY(SELECT DISTINCT who COLLATE \"C\" FROM \
                 UNNEST(c.blocked_by || string_to_array(s.blocking, ' ')) AS who \
                 WHERE who <> ALL (string_to_array(s.unblocking, ' ')) ORDER BY 1) \
             FROM UNNEST($1::text[], $2::boolean[], $3::text[], $4::bigint[], $5::bigint[], \
             $6::text[], $7::text[]) AS s (conversation_id, titled, title, timer_seconds, \
             member_count, blocking, unblocking) \
             WHERE c.conversation_id = s.conversation_id COLLATE \"C\"",
        )
        .bind(ids)
        .bind(titled)
        .bind(titles)
        .bind(timers)
        .bind(counts)
        .bind(blocking)
        .bind(unblocking)
        .execute(connection)
        .await?;
        Ok(())
    }
}
