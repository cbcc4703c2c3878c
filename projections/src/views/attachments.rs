//! Which message has which file.

use parley_domain::{Event, EventData};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Failure, number::to_sql};

/// The files of a batch's new messages. An edit changes none of them; a deletion leaves them to
/// whoever erases the message from the log.
#[derive(Default)]
pub(crate) struct Uses<'a> {
    conversation_id: Vec<&'a str>,
    conversation_seq: Vec<u64>,
    attachment_id: Vec<Uuid>,
}

impl<'a> Uses<'a> {
    pub fn evolve(&mut self, event: &'a Event) {
        match &event.data {
            EventData::MessageSent(sent) => {
                for attachment in sent.body.attachments() {
                    self.conversation_id.push(event.subject.as_str());
                    self.conversation_seq.push(sent.conversation_seq);
                    self.attachment_id.push(attachment.attachment_id);
                }
            }
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

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.attachment_id.is_empty() {
            return Ok(());
        }
        let seqs: Vec<i64> =
            self.conversation_seq.into_iter().map(to_sql).collect::<Result<_, _>>()?;
        sqlx::query(
            "INSERT INTO attachment_uses (conversation_id, conversation_seq, attachment_id) \
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::uuid[]) ON CONFLICT DO NOTHING",
        )
        .bind(self.conversation_id)
        .bind(seqs)
        .bind(self.attachment_id)
        .execute(connection)
        .await?;
        Ok(())
    }
}
