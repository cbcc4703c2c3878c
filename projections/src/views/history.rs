//! History: the messages themselves.

use parley_domain::{
    Body, ClientMessageId, ConversationId, Event, EventData, Timestamp, UserId, event::MessageSent,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Reactions;
use crate::{
    Failure,
    number::{hash_to_sql, to_sql},
};

/// A message as its readers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub conversation_id: ConversationId,
    pub conversation_seq: u64,
    pub message_id: Uuid,
    pub client_message_id: ClientMessageId,
    pub sender_id: UserId,
    /// `None`, written as `null`, once deleted or expired: the message keeps its place.
    pub body: Option<Body>,
    pub created_at: Timestamp,
    /// Of the event that sent it.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reactions>,
}

/// The new messages of a batch.
#[derive(Default)]
pub(crate) struct NewMessages<'a> {
    sent: Vec<(&'a Event, &'a MessageSent, u64)>,
}

impl<'a> NewMessages<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        match &event.data {
            EventData::MessageSent(sent) => self.sent.push((event, sent, position)),
            EventData::MessageEdited(_)
            | EventData::MessageDeleted(_)
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

    /// A message that is there already stays as it is: it may have been changed since.
    pub async fn write(mut self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.sent.is_empty() {
            return Ok(());
        }
        // Neighbours in the index are written one after the other.
        self.sent.sort_by(|(one, sent, _), (other, also, _)| {
            (&one.subject, sent.conversation_seq).cmp(&(&other.subject, also.conversation_seq))
        });
        let mut columns = Columns::default();
        for (event, sent, position) in self.sent {
            columns.push(event, sent, position)?;
        }
        sqlx::query(
            "INSERT INTO messages (conversation_id, conversation_seq, version, position, \
             fingerprint, created_at, message_id, reply_to, expires_at, sender_id, \
             client_message_id, body) \
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], \
             $5::bigint[], $6::timestamptz[], $7::uuid[], $8::bigint[], $9::timestamptz[], \
             $10::text[], $11::text[], $12::jsonb[]) \
             ON CONFLICT (conversation_id, conversation_seq) DO NOTHING",
        )
        .bind(columns.conversation_id)
        .bind(columns.conversation_seq)
        .bind(columns.version)
        .bind(columns.position)
        .bind(columns.fingerprint)
        .bind(columns.created_at)
        .bind(columns.message_id)
        .bind(columns.reply_to)
        .bind(columns.expires_at)
        .bind(columns.sender_id)
        .bind(columns.client_message_id)
        .bind(columns.body)
        .execute(connection)
        .await?;
        Ok(())
    }
}

#[derive(Default)]
struct Columns<'a> {
    conversation_id: Vec<&'a str>,
    conversation_seq: Vec<i64>,
    version: Vec<i64>,
    position: Vec<i64>,
    fingerprint: Vec<i64>,
    created_at: Vec<OffsetDateTime>,
    message_id: Vec<Uuid>,
    reply_to: Vec<Option<i64>>,
    expires_at: Vec<Option<OffsetDateTime>>,
    sender_id: Vec<&'a str>,
    client_message_id: Vec<&'a str>,
    body: Vec<Json<&'a Body>>,
}

impl<'a> Columns<'a> {
    fn push(
        &mut self,
        event: &'a Event,
        sent: &'a MessageSent,
        position: u64,
    ) -> Result<(), Failure> {
        self.conversation_id.push(event.subject.as_str());
        self.conversation_seq.push(to_sql(sent.conversation_seq)?);
        self.version.push(to_sql(event.version)?);
        self.position.push(to_sql(position)?);
        self.fingerprint.push(hash_to_sql(sent.body.fingerprint()));
        self.created_at.push(event.time.to_date_time());
        self.message_id.push(sent.message_id);
        self.reply_to.push(sent.reply_to.map(to_sql).transpose()?);
        self.expires_at.push(sent.expires_at.map(Timestamp::to_date_time));
        self.sender_id.push(event.actor.as_str());
        self.client_message_id.push(sent.client_message_id.as_str());
        self.body.push(Json(&sent.body));
        Ok(())
    }
}
