//! Membership of groups and channels: who is in them, in which role, and which messages they may see.

use std::collections::BTreeMap;

use parley_domain::{Event, EventData, Role, Timestamp};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{Failure, number::to_sql};

/// What a batch does to memberships. One person may come, go and come back in one batch.
#[derive(Default)]
pub(crate) struct Memberships<'a> {
    /// By conversation and person.
    changed: BTreeMap<(&'a str, &'a str), Change>,
    /// Titles that the batch has given so far.
    titles: BTreeMap<&'a str, Option<&'a str>>,
}

#[derive(Default)]
struct Change {
    role: Option<Role>,
    /// They left before they joined in this batch: what they saw ends with this message.
    closed: Option<u64>,
    /// First and last message of each stay that began in this batch; without a last one, it lasts.
    stays: Vec<(u64, Option<u64>)>,
    joined: Option<Joined>,
    /// Position of the first leaving of the batch.
    first_left: Option<u64>,
    /// How it ends; `None` if they neither joined nor left.
    last: Option<Last>,
}

struct Joined {
    version: u64,
    position: u64,
    at: Timestamp,
}

enum Last {
    Present,
    Gone(Left),
}

struct Left {
    version: u64,
    position: u64,
    at: Timestamp,
    last_seq: u64,
    member_count: u64,
    /// `None`: what it was before the batch.
    title: Option<Option<String>>,
}

impl<'a> Memberships<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        let Some(conversation) = event.subject.conversation() else { return };
        let id = conversation.as_str();
        match &event.data {
            EventData::ConversationCreated(created) => {
                self.titles.insert(id, created.title.as_deref());
                for member in &created.members {
                    self.join(event, position, member.user_id.as_str(), member.role, 0);
                }
            }
            EventData::MemberAdded(added) => {
                self.join(event, position, added.user_id.as_str(), added.role, added.last_seq);
            }
            EventData::MemberRemoved(removed) => {
                let (last_seq, count) = (removed.last_seq, removed.member_count);
                self.leave(event, position, removed.user_id.as_str(), last_seq, count);
            }
            EventData::MemberLeft(left) => {
                let user = left.user_id.as_str();
                self.leave(event, position, user, left.last_seq, left.member_count);
                if let Some(heir) = &left.new_owner_id {
                    self.change(id, heir.as_str()).role = Some(Role::Owner);
                }
            }
            EventData::MemberRoleChanged(changed) => {
                if changed.role == Role::Owner {
                    self.change(id, event.actor.as_str()).role = Some(Role::Admin);
                }
                self.change(id, changed.user_id.as_str()).role = Some(changed.role);
            }
            EventData::ConversationRenamed(renamed) => {
                self.titles.insert(id, renamed.title.as_deref());
            }
            EventData::MessageSent(_)
            | EventData::MessageEdited(_)
            | EventData::MessageDeleted(_)
            | EventData::ReactionAdded(_)
            | EventData::ReactionRemoved(_)
            | EventData::CursorDelivered(_)
            | EventData::CursorRead(_)
            | EventData::ConversationTimerSet(_)
            | EventData::ConversationBlocked(_)
            | EventData::ConversationUnblocked(_)
            | EventData::Account(_) => {}
        }
    }

    fn change(&mut self, id: &'a str, user: &'a str) -> &mut Change {
        self.changed.entry((id, user)).or_default()
    }

    fn join(&mut self, event: &'a Event, position: u64, user: &'a str, role: Role, last_seq: u64) {
        let change = self.change(event.subject.as_str(), user);
        change.role = Some(role);
        change.stays.push((last_seq.saturating_add(1), None));
        change.joined = Some(Joined { version: event.version, position, at: event.time });
        change.last = Some(Last::Present);
    }

    fn leave(
        &mut self,
        event: &'a Event,
        position: u64,
        user: &'a str,
        last_seq: u64,
        member_count: u64,
    ) {
        let id = event.subject.as_str();
        let title = self.titles.get(id).map(|title| title.map(str::to_owned));
        let change = self.change(id, user);
        match change.stays.last_mut() {
            Some((_, last)) => *last = Some(last_seq),
            None => change.closed = Some(last_seq),
        }
        change.first_left.get_or_insert(position);
        let (version, at) = (event.version, event.time);
        change.last =
            Some(Last::Gone(Left { version, position, at, last_seq, member_count, title }));
    }

    /// Before the conversations themselves are written: a title that the batch does not give is read
    /// from there.
    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut new = (Vec::new(), Vec::new());
        let mut columns = Columns::default();
        for ((conversation, user), change) in self.changed {
            if change.joined.is_some() {
                new.0.push(conversation);
                new.1.push(user);
            }
            columns.push(conversation, user, change)?;
        }
        sqlx::query(
            "INSERT INTO members (conversation_id, user_id, read_seq, delivered_seq, visible) \
             SELECT c, u, 0, 0, '{}' FROM UNNEST($1::text[], $2::text[]) AS new (c, u) \
             ON CONFLICT DO NOTHING",
        )
        .bind(new.0)
        .bind(new.1)
        .execute(&mut *connection)
        .await?;
        columns.write(connection).await
    }
}

#[derive(Default)]
struct Columns<'a> {
    conversation_id: Vec<&'a str>,
    user_id: Vec<&'a str>,
    role: Vec<Option<&'static str>>,
    closed: Vec<Option<i64>>,
    stays: Vec<String>,
    joined_version: Vec<Option<i64>>,
    joined_position: Vec<Option<i64>>,
    joined_at: Vec<Option<OffsetDateTime>>,
    first_left: Vec<Option<i64>>,
    /// Whether they joined or left at all; then the columns of leaving say how it ended.
    moved: Vec<bool>,
    left_version: Vec<Option<i64>>,
    left_position: Vec<Option<i64>>,
    left_at: Vec<Option<OffsetDateTime>>,
    left_seq: Vec<Option<i64>>,
    left_member_count: Vec<Option<i64>>,
    titled: Vec<bool>,
    left_title: Vec<Option<String>>,
}

impl<'a> Columns<'a> {
    fn push(
        &mut self,
        conversation: &'a str,
        user: &'a str,
        change: Change,
    ) -> Result<(), Failure> {
        self.conversation_id.push(conversation);
        self.user_id.push(user);
        self.role.push(change.role.map(Role::as_str));
        self.closed.push(change.closed.map(to_sql).transpose()?);
        self.stays.push(multirange(&change.stays));
        let joined = change.joined.as_ref();
        self.joined_version.push(joined.map(|joined| to_sql(joined.version)).transpose()?);
        self.joined_position.push(joined.map(|joined| to_sql(joined.position)).transpose()?);
        self.joined_at.push(joined.map(|joined| joined.at.to_date_time()));
        self.first_left.push(change.first_left.map(to_sql).transpose()?);
        self.moved.push(change.last.is_some());
        let left = match change.last {
            Some(Last::Gone(left)) => Some(left),
            Some(Last::Present) | None => None,
        };
        let number = |of: fn(&Left) -> u64| left.as_ref().map(|left| to_sql(of(left))).transpose();
        self.left_version.push(number(|left| left.version)?);
        self.left_position.push(number(|left| left.position)?);
        self.left_seq.push(number(|left| left.last_seq)?);
        self.left_member_count.push(number(|left| left.member_count)?);
        self.left_at.push(left.as_ref().map(|left| left.at.to_date_time()));
        let title = left.and_then(|left| left.title);
        self.titled.push(title.is_some());
        self.left_title.push(title.flatten());
        Ok(())
    }

    async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        sqlx::query(
            "UPDATE members m SET role = COALESCE(s.role, m.role), \
             visible = s.stays::int8multirange + CASE WHEN s.closed IS NULL THEN m.visible \
                 ELSE m.visible * int8multirange(int8range(0, s.closed + 1)) END, \
             joined_version = COALESCE(s.joined_version, m.joined_version), \
             joined_position = COALESCE(s.joined_position, m.joined_position), \
             joined_at = COALESCE(s.joined_at, m.joined_at), \
             away_since = LEAST(m.away_since, s.first_left), \
             left_version = CASE WHEN s.moved THEN s.left_version ELSE m.left_version END, \
             left_position = CASE WHEN s.moved THEN s.left_position ELSE m.left_position END, \
             left_at = CASE WHEN s.moved THEN s.left_at ELSE m.left_at END, \
             left_seq = CASE WHEN s.moved THEN s.left_seq ELSE m.left_seq END, \
             left_member_count = \
                 CASE WHEN s.moved THEN s.left_member_count ELSE m.left_member_count END, \
             left_title = CASE WHEN NOT s.moved THEN m.left_title \
                 WHEN s.left_version IS NULL THEN NULL WHEN s.titled THEN s.left_title \
                 ELSE (SELECT c.title FROM conversations c \
                 WHERE c.conversation_id = m.conversation_id) END \
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], \
             $6::bigint[], $7::bigint[], $8::timestamptz[], $9::bigint[], $10::boolean[], \
             $11::bigint[], $12::bigint[], $13::timestamptz[], $14::bigint[], $15::bigint[], \
             $16::boolean[], $17::text[]) AS s (conversation_id, user_id, role, closed, stays, \
             joined_version, joined_position, joined_at, first_left, moved, left_version, \
             left_position, left_at, left_seq, left_member_count, titled, left_title) \
             WHERE m.conversation_id = s.conversation_id COLLATE \"C\" \
             AND m.user_id = s.user_id COLLATE \"C\"",
        )
        .bind(self.conversation_id)
        .bind(self.user_id)
        .bind(self.role)
        .bind(self.closed)
        .bind(self.stays)
        .bind(self.joined_version)
        .bind(self.joined_position)
        .bind(self.joined_at)
        .bind(self.first_left)
        .bind(self.moved)
        .bind(self.left_version)
        .bind(self.left_position)
        .bind(self.left_at)
        .bind(self.left_seq)
        .bind(self.left_member_count)
        .bind(self.titled)
        .bind(self.left_title)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// As PostgreSQL writes it; a stay without a message is none.
fn multirange(stays: &[(u64, Option<u64>)]) -> String {
    let ranges: Vec<String> = stays
        .iter()
        .filter(|(first, last)| last.is_none_or(|last| *first <= last))
        .map(|(first, last)| match last {
            Some(last) => format!("[{first},{last}]"),
            None => format!("[{first},)"),
        })
        .collect();
    format!("{{{}}}", ranges.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stay_without_a_message_is_none() {
        assert_eq!(multirange(&[]), "{}");
        assert_eq!(multirange(&[(5, Some(4)), (5, None)]), "{[5,)}");
        assert_eq!(multirange(&[(1, Some(1)), (3, Some(7))]), "{[1,1],[3,7]}");
    }
}
