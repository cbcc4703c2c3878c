//! What is known of files: reserved, uploaded, claimed for a message, fetched, removed. What is in
//! them is in a store that this does not know.
//!
//! `attachments` is written here; which message has a file, the view `attachment_uses` says. Where
//! two could be at one file at once, its row is locked.

use std::time::Duration;

use parley_domain::{
    ClientMessageId, ConversationId, UserId,
    body::{Attachment, File},
};
use sqlx::{PgPool, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    holds,
    number::{from_sql, to_sql},
    queries::rows,
};

/// Nothing that anybody needs: its message was erased from the log, or it has none, and had time.
/// `$1` is how long a file may be without a message, in seconds. Of a conversation that could not be
/// applied to the views, nobody knows.
macro_rules! is_idle {
    () => {
        "(a.erased_at IS NOT NULL \
         OR COALESCE(a.claimed_at, a.created_at) < now() - $1 * interval '1 s' \
         AND NOT EXISTS (SELECT FROM attachment_uses u WHERE u.attachment_id = a.attachment_id) \
         AND NOT EXISTS (SELECT FROM conversations c \
         WHERE c.conversation_id = a.conversation_id AND c.damaged))"
    };
}

/// A file that somebody is about to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub attachment_id: Uuid,
    pub uploader_id: UserId,
    pub conversation_id: ConversationId,
    pub file: File,
}

/// If the files that the uploader has reserved within a day, and that were not removed again, would
/// be more than `most` bytes with this one, nothing is reserved: the answer is how long it takes
/// until there is room. A single file is always let in, and so are those that are reserved at the
/// same moment.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.attachments.reserve", skip_all, err(level = "debug"))]
pub async fn reserve(
    pool: &PgPool,
    reservation: &Reservation,
    most: Option<u64>,
) -> Result<Option<Duration>, Failure> {
    let Reservation { attachment_id, uploader_id, conversation_id, file } = reservation;
    let size = to_sql(file.size_bytes)?;
    let most = most.map(to_sql).transpose()?;
    let wait: Option<i64> = within(READ_DEADLINE, async {
        let query = sqlx::query_scalar(
            "WITH in_the_way AS (SELECT ceil(extract(epoch FROM created_at - (now() - interval '1 d')) \
             * 1000)::bigint AS ms FROM (SELECT a.created_at, \
             sum(a.size_bytes) OVER (ORDER BY a.created_at DESC, a.attachment_id) AS since_then \
             FROM attachments a WHERE a.uploader_id = $2 AND a.created_at > now() - interval '1 d') kept \
             WHERE since_then + $6 > $7 ORDER BY created_at DESC LIMIT 1), \
             reserved AS (INSERT INTO attachments (attachment_id, uploader_id, conversation_id, \
             file_name, content_type, size_bytes) SELECT $1, $2, $3, $4, $5, $6 \
             WHERE NOT EXISTS (SELECT FROM in_the_way)) \
             SELECT ms FROM in_the_way",
        );
        let query = query
            .bind(attachment_id)
            .bind(uploader_id.as_str())
            .bind(conversation_id.as_str())
            .bind(&file.file_name)
            .bind(&file.content_type)
            .bind(size)
            .bind(most);
        Ok(query.fetch_optional(pool).await?)
    })
    .await?;
    wait.map(|ms| Ok(Duration::from_millis(from_sql(ms)?))).transpose()
}

/// How large the file is, and whether all of it has come; `None` if there is no such reservation.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn awaited(pool: &PgPool, id: Uuid) -> Result<Option<(u64, bool)>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT size_bytes, uploaded_at IS NOT NULL AS is_there FROM attachments \
             WHERE attachment_id = $1 AND erased_at IS NULL",
        );
        Ok(query.bind(id).fetch_optional(pool).await?)
    });
    let Some(row) = row.await? else { return Ok(None) };
    Ok(Some((from_sql(row.try_get("size_bytes")?)?, row.try_get("is_there")?)))
}

/// A file that is being put into its place: nobody else does so meanwhile, and nobody removes it.
#[derive(Debug)]
pub struct Arriving {
    transaction: Transaction<'static, Postgres>,
    id: Uuid,
}

impl Arriving {
    /// `None` if it is there already, or is not expected any more.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn begin(pool: &PgPool, id: Uuid) -> Result<Option<Self>, Failure> {
        within(READ_DEADLINE, async {
            let mut transaction = pool.begin().await?;
            let expected = sqlx::query(
                "SELECT FROM attachments WHERE attachment_id = $1 AND uploaded_at IS NULL FOR UPDATE",
            );
            let expected = expected.bind(id).fetch_optional(&mut *transaction).await?;
            Ok(expected.map(|_| Self { transaction, id }))
        })
        .await
    }

    /// It is there. Whoever dies before this has uploaded nothing, and may do so again.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn arrived(mut self) -> Result<(), Failure> {
        within(READ_DEADLINE, async {
            sqlx::query("UPDATE attachments SET uploaded_at = now() WHERE attachment_id = $1")
                .bind(self.id)
                .execute(&mut *self.transaction)
                .await?;
            Ok(self.transaction.commit().await?)
        })
        .await
    }
}

/// Those of these files that a message may have: its sender has uploaded them for its conversation,
/// and no other message has them. If all may be, they are the message's from now on: a retry, which
/// comes under the same name, gets them again.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.attachments.claim", skip_all, err(level = "debug"))]
pub async fn claim(
    pool: &PgPool,
    conversation: &ConversationId,
    sender: &UserId,
    name: &ClientMessageId,
    ids: &[Uuid],
) -> Result<Vec<Attachment>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "WITH fit AS (SELECT a.attachment_id, a.file_name, a.content_type, a.size_bytes \
             FROM attachments a WHERE a.attachment_id = ANY($1) AND a.conversation_id = $2 \
             AND a.uploader_id = $3 AND a.uploaded_at IS NOT NULL AND a.erased_at IS NULL \
             AND COALESCE(a.client_message_id, $4) = $4 AND NOT EXISTS \
             (SELECT FROM attachment_uses u WHERE u.attachment_id = a.attachment_id) \
             ORDER BY a.attachment_id FOR UPDATE), \
             claimed AS (UPDATE attachments a SET claimed_at = now(), client_message_id = $4 \
             FROM fit WHERE a.attachment_id = fit.attachment_id \
             AND (SELECT count(*) FROM fit) = cardinality($1)) \
             SELECT * FROM fit",
        );
        let query =
            query.bind(ids).bind(conversation.as_str()).bind(sender.as_str()).bind(name.as_str());
        Ok(query.fetch_all(pool).await?)
    });
    let found = |row: &PgRow| {
        Ok(Attachment { attachment_id: row.try_get("attachment_id")?, file: Some(file(row)?) })
    };
    rows.await?.iter().map(found).collect()
}

/// Whether somebody may fetch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// They see a message that has it, as in history, or have uploaded it and not sent it yet.
    Granted,
    /// A message is on its way with it; the views will say who sees that.
    Undecided,
    Refused,
}

/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.attachments.access", skip_all, err(level = "debug"))]
pub async fn access(pool: &PgPool, id: Uuid, reader: &UserId) -> Result<Access, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT (EXISTS (SELECT FROM attachment_uses u \
             JOIN members me ON me.conversation_id = u.conversation_id AND me.user_id = $2 \
             AND me.visible @> u.conversation_seq \
             JOIN messages m ON m.conversation_id = u.conversation_id \
             AND m.conversation_seq = u.conversation_seq AND m.deleted_at IS NULL \
             AND (m.expires_at IS NULL OR m.expires_at > now()) \
             WHERE u.attachment_id = a.attachment_id) \
             OR a.uploader_id = $2 AND NOT used.is_so) AS is_granted, \
             (NOT used.is_so AND a.claimed_at > now() - interval '10 s') IS TRUE AS is_on_its_way \
             FROM attachments a CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM attachment_uses u \
             WHERE u.attachment_id = a.attachment_id) AS is_so) used \
             WHERE a.attachment_id = $1 AND a.uploaded_at IS NOT NULL AND a.erased_at IS NULL",
        );
        Ok(query.bind(id).bind(reader.as_str()).fetch_optional(pool).await?)
    });
    let Some(row) = row.await? else { return Ok(Access::Refused) };
    Ok(match (row.try_get("is_granted")?, row.try_get("is_on_its_way")?) {
        (true, _) => Access::Granted,
        (false, true) => Access::Undecided,
        (false, false) => Access::Refused,
    })
}

/// A file that is there and whose message, if it has one, was not deleted and has not expired.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.attachments.served", skip_all, err(level = "debug"))]
pub async fn served(pool: &PgPool, id: Uuid) -> Result<Option<File>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT a.file_name, a.content_type, a.size_bytes FROM attachments a \
             WHERE a.attachment_id = $1 AND a.uploaded_at IS NOT NULL AND a.erased_at IS NULL \
             AND NOT EXISTS (SELECT FROM attachment_uses u \
             JOIN messages m ON m.conversation_id = u.conversation_id \
             AND m.conversation_seq = u.conversation_seq \
             WHERE u.attachment_id = a.attachment_id \
             AND (m.deleted_at IS NOT NULL OR m.expires_at <= now()))",
        );
        Ok(query.bind(id).fetch_optional(pool).await?)
    });
    row.await?.as_ref().map(file).transpose()
}

/// A file that nobody needs, as it seems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    pub attachment_id: Uuid,
    pub conversation_id: ConversationId,
}

/// Where a walk over the files goes on.
#[derive(Debug, Default)]
pub struct Walk {
    after: Uuid,
}

impl Walk {
    /// The idle ones among the next `limit` files, and then from the beginning again: what has a
    /// message is never idle before that is erased, and is only passed by.
    ///
    /// The views must have everything that was in the log `unused` ago.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn next(
        &mut self,
        pool: &PgPool,
        unused: Duration,
        limit: u32,
    ) -> Result<Vec<Idle>, Failure> {
        let rows = within(READ_DEADLINE, async {
            let query = sqlx::query(concat!(
                "SELECT a.attachment_id, a.conversation_id, ",
                is_idle!(),
                " AS is_idle FROM attachments a WHERE a.attachment_id > $2 \
                 AND a.created_at < now() - $1 * interval '1 s' \
                 ORDER BY a.attachment_id LIMIT $3",
            ));
            let query = query.bind(seconds(unused)).bind(self.after).bind(i64::from(limit));
            Ok(query.fetch_all(pool).await?)
        })
        .await?;
        let is_last = rows.len() < limit as usize;
        let last = rows.last().map(|row| row.try_get("attachment_id")).transpose()?;
        let mut found = Vec::new();
        for row in &rows {
            if row.try_get("is_idle")? {
                found.push(idle(row)?);
            }
        }
        self.after = last.filter(|_| !is_last).unwrap_or_default();
        Ok(found)
    }
}

/// Files whose message was erased from the log, the first first.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn erased(pool: &PgPool, limit: u32) -> Result<Vec<Idle>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT a.attachment_id, a.conversation_id FROM attachments a \
             WHERE a.erased_at IS NOT NULL AND NOT EXISTS (SELECT FROM holds h \
             WHERE h.conversation_id = a.conversation_id AND h.lifted_at IS NULL) \
             ORDER BY a.erased_at LIMIT $1",
        );
        Ok(query.bind(i64::from(limit)).fetch_all(pool).await?)
    });
    rows.await?.iter().map(idle).collect()
}

/// A file that is being removed: no message gets it meanwhile, and no hold is placed on its
/// conversation.
#[derive(Debug)]
pub struct Removing {
    transaction: Transaction<'static, Postgres>,
    id: Uuid,
}

impl Removing {
    /// `None` if it is needed after all, a hold stands, or somebody else is at it.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn begin(
        pool: &PgPool,
        idle: &Idle,
        unused: Duration,
    ) -> Result<Option<Self>, Failure> {
        within(READ_DEADLINE, async {
            let mut transaction = pool.begin().await?;
            if holds::is_held(&mut transaction, &idle.conversation_id).await? {
                return Ok(None);
            }
            let still = sqlx::query(concat!(
                "SELECT FROM attachments a WHERE a.attachment_id = $2 AND ",
                is_idle!(),
                " FOR UPDATE SKIP LOCKED",
            ));
            let still = still.bind(seconds(unused)).bind(idle.attachment_id);
            let still = still.fetch_optional(&mut *transaction).await?;
            Ok(still.map(|_| Self { transaction, id: idle.attachment_id }))
        })
        .await
    }

    /// The store does not have it any more. Whoever dies before this removes it again.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn removed(mut self) -> Result<(), Failure> {
        within(READ_DEADLINE, async {
            sqlx::query("DELETE FROM attachments WHERE attachment_id = $1")
                .bind(self.id)
                .execute(&mut *self.transaction)
                .await?;
            Ok(self.transaction.commit().await?)
        })
        .await
    }
}

fn idle(row: &PgRow) -> Result<Idle, Failure> {
    Ok(Idle {
        attachment_id: row.try_get("attachment_id")?,
        conversation_id: rows::conversation_id(row)?,
    })
}

fn file(row: &PgRow) -> Result<File, Failure> {
    Ok(File {
        file_name: row.try_get("file_name")?,
        content_type: row.try_get("content_type")?,
        size_bytes: from_sql(row.try_get("size_bytes")?)?,
    })
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
