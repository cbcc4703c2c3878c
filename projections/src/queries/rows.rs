//! The columns that several queries read, and what they are read as.

use parley_domain::{Body, ClientMessageId, ConversationId, InvalidId, Kind, Timestamp, UserId};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Failure, number,
    views::{Message, Summary},
};

/// Of a message `m`; [`message`] reads them. What has expired is not shown, even before it is
/// erased.
macro_rules! message_columns {
    () => {
        "m.conversation_id AS m_conversation_id, m.conversation_seq, m.version, m.message_id, \
         m.client_message_id, m.sender_id, m.created_at, m.reply_to, m.edited_at, m.deleted_at, \
         m.expires_at, CASE WHEN m.expires_at <= now() THEN NULL ELSE m.body END AS body"
    };
}
pub(super) use message_columns;

/// Of a conversation `c`, the reader's member row `me` and marks `k`, the other's row `peer` and the
/// last message `m`; [`summary`] reads them. [`summary_joins`] brings the last three.
///
/// What is behind one's read cursor was written by others (a message moves its sender's cursor to
/// itself), so unread needs no count but of the deleted ones.
macro_rules! summary_columns {
    () => {
        concat!(
            "c.conversation_id, c.version AS c_version, c.last_seq, c.created_at AS c_created_at, \
             c.updated_at AS c_updated_at, me.read_seq, me.delivered_seq, \
             peer.read_seq AS peer_read_seq, peer.delivered_seq AS peer_delivered_seq, ",
            mark_columns!(),
            ", ",
            archived!(),
            " AS archived, ",
            unread!(),
            " AS unread, ",
            message_columns!()
        )
    };
}
pub(super) use summary_columns;

/// Of the reader's marks `k`, which may be missing.
macro_rules! mark_columns {
    () => {
        "COALESCE(k.muted AND (k.muted_until IS NULL OR k.muted_until > now()), false) AS muted, \
         CASE WHEN k.muted AND k.muted_until > now() THEN k.muted_until END AS muted_until, \
         COALESCE(k.pinned, false) AS pinned, k.draft"
    };
}
pub(super) use mark_columns;

/// Whether `k` has archived `c`, and nothing came after that.
macro_rules! archived {
    () => {
        "COALESCE(k.archived_through_seq >= c.last_seq, false)"
    };
}
pub(super) use archived;

macro_rules! unread {
    () => {
        "GREATEST(c.last_seq - me.read_seq, 0) - (SELECT count(*) FROM messages gone \
         WHERE gone.conversation_id = c.conversation_id \
         AND gone.conversation_seq > me.read_seq AND gone.deleted_at IS NOT NULL)"
    };
}
pub(super) use unread;

macro_rules! summary_joins {
    () => {
        " LEFT JOIN members peer ON c.kind = 'direct' \
         AND peer.conversation_id = c.conversation_id AND peer.user_id <> me.user_id \
         LEFT JOIN messages m ON m.conversation_id = c.conversation_id \
         AND m.conversation_seq = c.last_seq \
         LEFT JOIN conversation_marks k ON k.user_id = me.user_id \
         AND k.conversation_id = c.conversation_id "
    };
}
pub(super) use summary_joins;

/// `None` if an outer join found no message.
pub(super) fn message(row: &PgRow) -> Result<Option<Message>, Failure> {
    let Some(conversation_id) = row.try_get::<Option<&str>, _>("m_conversation_id")? else {
        return Ok(None);
    };
    let body: Option<Json<Body>> = row.try_get("body")?;
    let reply_to: Option<i64> = row.try_get("reply_to")?;
    Ok(Some(Message {
        conversation_id: id("conversation id", ConversationId::parse(conversation_id))?,
        conversation_seq: count(row, "conversation_seq")?,
        message_id: row.try_get("message_id")?,
        client_message_id: id(
            "clientMessageId",
            ClientMessageId::parse(row.try_get("client_message_id")?),
        )?,
        sender_id: id("user id", UserId::parse(row.try_get("sender_id")?))?,
        body: body.map(|Json(body)| body),
        created_at: moment(row, "created_at")?,
        version: count(row, "version")?,
        reply_to: reply_to.map(number::from_sql).transpose()?,
        edited_at: optional_moment(row, "edited_at")?,
        deleted_at: optional_moment(row, "deleted_at")?,
        expires_at: optional_moment(row, "expires_at")?,
    }))
}

pub(super) fn summary(row: &PgRow) -> Result<Summary, Failure> {
    let id = conversation_id(row)?;
    let created_at = moment(row, "c_created_at")?;
    let cursor = |column| -> Result<Option<u64>, Failure> {
        let seq: Option<i64> = row.try_get(column)?;
        Ok(Some(seq.map_or(Ok(0), number::from_sql)?).filter(|_| id.kind() == Kind::Direct))
    };
    Ok(Summary {
        last_seq: count(row, "last_seq")?,
        version: count(row, "c_version")?,
        last_message: message(row)?,
        unread: count(row, "unread")?,
        read_seq: count(row, "read_seq")?,
        delivered_seq: count(row, "delivered_seq")?,
        peer_read_seq: cursor("peer_read_seq")?,
        peer_delivered_seq: cursor("peer_delivered_seq")?,
        muted: row.try_get("muted")?,
        muted_until: optional_moment(row, "muted_until")?,
        pinned: row.try_get("pinned")?,
        archived: row.try_get("archived")?,
        draft: row.try_get("draft")?,
        updated_at: moment(row, "c_updated_at")?,
        ..Summary::untouched(&id, created_at)
    })
}

pub(super) fn conversation_id(row: &PgRow) -> Result<ConversationId, Failure> {
    id("conversation id", ConversationId::parse(row.try_get("conversation_id")?))
}

pub(super) fn id<T>(what: &'static str, parsed: Result<T, InvalidId>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::corrupt(what, error))
}

pub(super) fn count(row: &PgRow, column: &str) -> Result<u64, Failure> {
    number::from_sql(row.try_get(column)?)
}

pub(super) fn moment(row: &PgRow, column: &str) -> Result<Timestamp, Failure> {
    let moment: OffsetDateTime = row.try_get(column)?;
    Ok(Timestamp::from(moment))
}

pub(super) fn optional_moment(row: &PgRow, column: &str) -> Result<Option<Timestamp>, Failure> {
    let moment: Option<OffsetDateTime> = row.try_get(column)?;
    Ok(moment.map(Timestamp::from))
}
