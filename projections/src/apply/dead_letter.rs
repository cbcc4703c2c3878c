//! Events that could not be applied, kept for a person to look at.

use std::collections::BTreeMap;

use bytes::Bytes;
use parley_domain::{AccountId, ConversationId, Subject};
use parley_nats::{subjects::parse_event_subject, tail::LogMessage};
use sqlx::PgConnection;

use super::Poison;
use crate::{Failure, number::to_sql};

/// One of them.
#[derive(Debug)]
pub struct DeadLetter {
    pub position: u64,
    pub subject: String,
    /// As its subject says.
    pub about: Option<Subject>,
    pub poison: Poison,
    payload: Bytes,
}

impl DeadLetter {
    pub(super) fn new(message: &LogMessage, poison: Poison) -> Self {
        Self {
            position: message.position,
            subject: storable(&message.subject),
            about: parse_event_subject(&message.subject).map(|(_, about)| about),
            poison,
            payload: message.payload.clone(),
        }
    }

    pub(super) fn log(&self, shard: u16) {
        tracing::error!(
            shard,
            position = self.position,
            subject = self.subject,
            reason = self.poison.reason(),
            "an event could not be applied; it is in dead_letters"
        );
    }
}

/// The one character that PostgreSQL does not store.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Keeps the letters and marks their conversations and accounts as damaged: what is loaded of one afterwards is
/// known not to be the fold of its log.
pub(super) async fn write(
    connection: &mut PgConnection,
    shard: u16,
    letters: &[DeadLetter],
) -> Result<(), Failure> {
    let mut damaged: BTreeMap<&Subject, i64> = BTreeMap::new();
    for letter in letters {
        let position = to_sql(letter.position)?;
        let conversation = letter.about.as_ref().and_then(Subject::conversation);
        sqlx::query(
            "INSERT INTO dead_letters (shard, position, subject, conversation_id, error, payload) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(i32::from(shard))
        .bind(position)
        .bind(&letter.subject)
        .bind(conversation.map(ConversationId::as_str))
        .bind(storable(&letter.poison.to_string()))
        .bind(&letter.payload[..])
        .execute(&mut *connection)
        .await?;
        damaged.extend(letter.about.as_ref().map(|about| (about, position)));
    }
    for (about, position) in damaged {
        match about {
            Subject::Conversation(id) => {
                damage_conversation(connection, shard, id, position).await?;
            }
            Subject::Account(id) => damage_account(connection, shard, id, position).await?,
        }
    }
    Ok(())
}

/// Without members a row is in nobody's inbox: it waits for the conversation's first event that can
/// be applied.
async fn damage_conversation(
    connection: &mut PgConnection,
    shard: u16,
    id: &ConversationId,
    position: i64,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO conversations (shard, conversation_id, kind, position, version, \
         last_seq, created_at, updated_at, damaged) \
         VALUES ($1, $2, $3, $4, 0, 0, now(), now(), true) \
         ON CONFLICT (conversation_id) DO UPDATE SET damaged = true",
    )
    .bind(i32::from(shard))
    .bind(id.as_str())
    .bind(id.kind().as_str())
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}

async fn damage_account(
    connection: &mut PgConnection,
    shard: u16,
    id: &AccountId,
    position: i64,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO accounts (shard, user_id, position, version, damaged) \
         VALUES ($1, $2, $3, 0, true) ON CONFLICT (user_id) DO UPDATE SET damaged = true",
    )
    .bind(i32::from(shard))
    .bind(id.user_name())
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}
