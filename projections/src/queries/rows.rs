//! The columns that several queries read, and what they are read as.

use parley_domain::{
    Body, ClientMessageId, ConversationId, InvalidId, Kind, Role, Timestamp, UserId,
};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;

use crate::{
    Failure, number,
    views::{Message, Reactions, Summary},
};

/// Of a message `m`; [`message`] reads them. What has expired is not shown, even before it is
/// deleted. Reactions are looked for only where something was changed.
macro_rules! message_columns {
    () => {
        "m.conversation_id AS m_conversation_id, m.conversation_seq, m.version, m.message_id, \
         m.client_message_id, m.sender_id, m.created_at, m.reply_to, m.edited_at, m.deleted_at, \
         m.expires_at, m.by_service, CASE WHEN m.expires_at <= now() THEN NULL ELSE m.body END AS body, \
         CASE WHEN m.changed_position IS NULL OR m.expires_at <= now() THEN NULL ELSE \
         (SELECT jsonb_agg(jsonb_build_object('emoji', e.emoji, 'userIds', e.users) \
         ORDER BY e.emoji COLLATE \"C\") FROM (SELECT r.emoji, \
         jsonb_agg(r.user_id ORDER BY r.position) AS users FROM reactions r \
         WHERE r.conversation_id = m.conversation_id \
         AND r.conversation_seq = m.conversation_seq GROUP BY r.emoji) e) END AS reactions"
    };
}
pub(super) use message_columns;

/// A person's conversations, each as far as they may know it: `c` is what they see of it, `me` their
/// member row and `k` their marks. Of a conversation that they have left, that is how it was then.
///
/// `OFFSET 0` keeps the planner to looking each of the user's conversations up: it would rather read
/// the whole table, which is everybody's.
macro_rules! mine {
    () => {
        "members me CROSS JOIN LATERAL (SELECT * FROM conversations one \
         WHERE one.conversation_id = me.conversation_id OFFSET 0) raw \
         LEFT JOIN conversation_marks k ON k.user_id = me.user_id \
         AND k.conversation_id = me.conversation_id \
         CROSS JOIN LATERAL (SELECT raw.conversation_id, raw.kind, raw.shard, raw.created_at, \
         raw.blocked_by, me.user_id, me.role, me.visible, me.joined_position, me.away_since, \
         me.left_version IS NULL AS is_present, \
         COALESCE(me.left_position, raw.position) AS position, \
         COALESCE(me.left_version, raw.version) AS version, \
         COALESCE(me.left_seq, raw.last_seq) AS last_seq, \
         COALESCE(me.left_at, raw.updated_at) AS updated_at, \
         COALESCE(me.left_at, GREATEST(COALESCE(raw.last_message_at, raw.created_at), \
         me.joined_at)) AS active_at, \
         CASE WHEN me.left_version IS NULL THEN raw.title ELSE me.left_title END AS title, \
         CASE WHEN me.left_version IS NULL THEN raw.timer_seconds ELSE 0 END AS timer_seconds, \
         COALESCE(me.left_member_count, raw.member_count) AS member_count, \
         GREATEST(me.read_seq, LEAST(COALESCE(k.read_through_seq, 0), raw.last_seq)) AS read_seq, \
         GREATEST(me.delivered_seq, LEAST(COALESCE(k.read_through_seq, 0), raw.last_seq)) AS delivered_seq) c "
    };
}
pub(super) use mine;

/// Of a conversation `c` as its reader sees it ([`mine`]), the reader's marks `k`, the other's row
/// `peer` and response time `answers`, and the last message `m`; [`summary`] reads them.
/// [`summary_joins`] brings the last four.
///
/// What is behind one's read cursor was written by others (a message moves its sender's cursor to
/// itself), so unread needs no count but of the deleted ones.
macro_rules! summary_columns {
    () => {
        concat!(
            "c.conversation_id, c.version AS c_version, c.last_seq, c.created_at AS c_created_at, \
             c.updated_at AS c_updated_at, c.read_seq, c.delivered_seq, c.title, c.member_count, \
             c.timer_seconds, c.role, c.is_present, cardinality(c.blocked_by) > 0 AS is_blocked, \
             c.user_id = ANY (c.blocked_by) AS blocked_by_me, \
             peer.shown_read_seq AS peer_read_seq, \
             peer.shown_delivered_seq AS peer_delivered_seq, \
             answers.median_seconds AS peer_response_seconds, ",
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
        "GREATEST(c.last_seq - c.read_seq, 0) - (SELECT count(*) FROM messages gone \
         WHERE gone.conversation_id = c.conversation_id AND gone.conversation_seq > c.read_seq \
         AND gone.conversation_seq <= c.last_seq AND gone.deleted_at IS NOT NULL)"
    };
}
pub(super) use unread;

macro_rules! summary_joins {
    () => {
        " LEFT JOIN members peer ON c.kind = 'direct' \
         AND peer.conversation_id = c.conversation_id AND peer.user_id <> c.user_id \
         LEFT JOIN response_times answers ON answers.user_id = peer.user_id \
         LEFT JOIN messages m ON m.conversation_id = c.conversation_id \
         AND m.conversation_seq = c.last_seq AND c.visible @> m.conversation_seq \
         LEFT JOIN conversation_marks k ON k.user_id = c.user_id \
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
    let reactions: Option<Json<Vec<Reactions>>> = row.try_get("reactions")?;
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
        by_service: row.try_get("by_service")?,
        reactions: reactions.map(|Json(reactions)| reactions).unwrap_or_default(),
    }))
}

pub(super) fn summary(row: &PgRow) -> Result<Summary, Failure> {
    let id = conversation_id(row)?;
    let created_at = moment(row, "c_created_at")?;
    let cursor = |column| -> Result<Option<u64>, Failure> {
        let seq: Option<i64> = row.try_get(column)?;
        Ok(Some(seq.map_or(Ok(0), number::from_sql)?).filter(|_| id.kind() == Kind::Direct))
    };
    let (is_present, is_blocked): (bool, bool) =
        (row.try_get("is_present")?, row.try_get("is_blocked")?);
    let can_send = match id.kind() {
        Kind::Direct => !is_blocked,
        Kind::Group => is_present,
        Kind::Channel => is_present && role(row)?.leads(),
    };
    let untouched = Summary::untouched(&id, created_at);
    let member_count = match id.kind() {
        Kind::Direct => untouched.member_count,
        Kind::Group | Kind::Channel => count(row, "member_count")?,
    };
    Ok(Summary {
        title: row.try_get("title")?,
        member_count,
        timer_seconds: count(row, "timer_seconds")?,
        blocked_by_me: row.try_get("blocked_by_me")?,
        can_send,
        last_seq: count(row, "last_seq")?,
        version: count(row, "c_version")?,
        last_message: message(row)?,
        unread: count(row, "unread")?,
        read_seq: count(row, "read_seq")?,
        delivered_seq: count(row, "delivered_seq")?,
        peer_read_seq: cursor("peer_read_seq")?,
        peer_delivered_seq: cursor("peer_delivered_seq")?,
        peer_response_seconds: response_seconds(row)?,
        muted: row.try_get("muted")?,
        muted_until: optional_moment(row, "muted_until")?,
        pinned: row.try_get("pinned")?,
        archived: row.try_get("archived")?,
        draft: row.try_get("draft")?,
        updated_at: moment(row, "c_updated_at")?,
        ..untouched
    })
}

/// How long the other mostly takes to answer, if that is known.
pub(super) fn response_seconds(row: &PgRow) -> Result<Option<u64>, Failure> {
    let seconds: Option<i64> = row.try_get("peer_response_seconds")?;
    seconds.map(number::from_sql).transpose()
}

pub(super) fn role(row: &PgRow) -> Result<Role, Failure> {
    let role: &str = row.try_get("role")?;
    Role::parse(role).ok_or_else(|| Failure::corrupt("role", role))
}

pub(crate) fn conversation_id(row: &PgRow) -> Result<ConversationId, Failure> {
    id("conversation id", ConversationId::parse(row.try_get("conversation_id")?))
}

pub(crate) fn id<T>(what: &'static str, parsed: Result<T, InvalidId>) -> Result<T, Failure> {
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
