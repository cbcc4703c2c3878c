//! Inbox: one row a conversation, and what its members see of it.

use std::collections::BTreeMap;

use parley_domain::{ConversationId, Event, EventData, Kind, Member, Role, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::Message;
use crate::{Failure, number::to_sql};

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub conversation_id: ConversationId,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub member_count: u64,
    /// Always there for a direct conversation. Of a channel, those who lead it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    pub last_seq: u64,
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Message>,
    /// Messages of others after `read_seq` that are not deleted.
    pub unread: u64,
    pub read_seq: u64,
    pub delivered_seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_read_seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_delivered_seq: Option<u64>,
    pub muted: bool,
    /// When that ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub archived: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    pub blocked_by_me: bool,
    /// Whether the reader may write: nobody blocks, and they are there and, in a channel, lead.
    pub can_send: bool,
    pub timer_seconds: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Summary {
    /// A conversation before its first event: a direct one exists without being created. `now`
    /// stands for the times that it does not have yet.
    pub(crate) fn untouched(id: &ConversationId, now: Timestamp) -> Self {
        let members = direct_members(id);
        let is_direct = members.is_some();
        Self {
            conversation_id: id.clone(),
            kind: id.kind(),
            title: None,
            member_count: if is_direct { 2 } else { 0 },
            members,
            last_seq: 0,
            version: 0,
            last_message: None,
            unread: 0,
            read_seq: 0,
            delivered_seq: 0,
            peer_read_seq: is_direct.then_some(0),
            peer_delivered_seq: is_direct.then_some(0),
            muted: false,
            muted_until: None,
            pinned: false,
            archived: false,
            draft: None,
            blocked_by_me: false,
            can_send: is_direct,
            timer_seconds: 0,
            created_at: now,
            updated_at: now,
        }
    }
}

fn direct_members(id: &ConversationId) -> Option<Vec<Member>> {
    let member = |user_id| Member { user_id, role: Role::Member };
    id.direct_members().map(|members| members.map(member).to_vec())
}

/// What a batch does to conversations, by conversation.
#[derive(Default)]
pub(crate) struct Conversations<'a> {
    changed: BTreeMap<&'a ConversationId, Change>,
}

struct Change {
    position: u64,
    version: u64,
    last_seq: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_message_at: Option<Timestamp>,
    /// Of the conversation's first event, which was erased from the log with its message.
    first_erased_at: Option<Timestamp>,
}

impl<'a> Conversations<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        let Some(id) = event.subject.conversation() else { return };
        let change = self.changed.entry(id).or_insert_with(|| Change {
            position,
            version: event.version,
            last_seq: 0,
            created_at: event.time,
            updated_at: event.time,
            last_message_at: None,
            first_erased_at: None,
        });
        change.position = change.position.max(position);
        change.version = change.version.max(event.version);
        change.updated_at = change.updated_at.max(event.time);
        match &event.data {
            EventData::MessageSent(sent) => {
                change.last_seq = change.last_seq.max(sent.conversation_seq);
                change.last_message_at = change.last_message_at.max(Some(event.time));
            }
            EventData::MessageDeleted(deleted) => {
                // Nothing new, unless the message is gone from the log.
                let Some(of) = &deleted.of else { return };
                change.last_seq = change.last_seq.max(deleted.conversation_seq);
                change.last_message_at = change.last_message_at.max(Some(of.created_at));
                if of.version == 1 {
                    change.first_erased_at = Some(of.created_at);
                }
            }
            EventData::MessageEdited(_)
            | EventData::ReactionAdded(_)
            | EventData::ReactionRemoved(_)
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

    pub async fn write(self, connection: &mut PgConnection, shard: u16) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (mut ids, mut kinds) = (Vec::new(), Vec::new());
        let (mut positions, mut versions, mut last_seqs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut created, mut updated, mut spoken) = (Vec::new(), Vec::new(), Vec::new());
        let (mut erased, mut begun) = (Vec::new(), Vec::new());
        for (id, change) in self.changed {
            ids.push(id.as_str());
            kinds.push(id.kind().as_str());
            positions.push(to_sql(change.position)?);
            versions.push(to_sql(change.version)?);
            last_seqs.push(to_sql(change.last_seq)?);
            created.push(change.created_at.to_date_time());
            updated.push(change.updated_at.to_date_time());
            spoken.push(change.last_message_at.map(Timestamp::to_date_time));
            if let Some(at) = change.first_erased_at {
                erased.push(id.as_str());
                begun.push(at.to_date_time());
            }
        }
        // A row of version 0 only remembers that the conversation is damaged.
        sqlx::query(
            "INSERT INTO conversations AS c (shard, conversation_id, kind, position, version, \
             last_seq, created_at, updated_at, last_message_at) \
             SELECT $1, * FROM UNNEST($2::text[], $3::text[], $4::bigint[], $5::bigint[], \
             $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) \
             ON CONFLICT (conversation_id) DO UPDATE SET \
             position = GREATEST(c.position, EXCLUDED.position), \
             version = GREATEST(c.version, EXCLUDED.version), \
             last_seq = GREATEST(c.last_seq, EXCLUDED.last_seq), \
             created_at = CASE WHEN c.version = 0 THEN EXCLUDED.created_at \
                 ELSE c.created_at END, \
             updated_at = CASE WHEN c.version = 0 THEN EXCLUDED.updated_at \
                 ELSE GREATEST(c.updated_at, EXCLUDED.updated_at) END, \
             last_message_at = GREATEST(c.last_message_at, EXCLUDED.last_message_at)",
        )
        .bind(i32::from(shard))
        .bind(ids)
        .bind(kinds)
        .bind(positions)
        .bind(versions)
        .bind(last_seqs)
        .bind(created)
        .bind(updated)
        .bind(spoken)
        .execute(&mut *connection)
        .await?;
        if !erased.is_empty() {
            sqlx::query(
                "UPDATE conversations c SET created_at = b.at \
                 FROM UNNEST($1::text[], $2::timestamptz[]) b (id, at) \
                 WHERE c.conversation_id = b.id COLLATE \"C\" AND c.created_at <> b.at",
            )
            .bind(erased)
            .bind(begun)
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}
