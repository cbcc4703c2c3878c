//! What has to be erased from the log, and that it was.
//!
//! A deleted message waits in `erasures` until the log has nothing of it any more. Whoever is killed
//! in between has left it there, and erasing what is erased does nothing.

use std::time::Duration;

use parley_domain::ConversationId;
use sqlx::{PgPool, Postgres, Row, Transaction};

use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    holds,
    number::{all_from_sql, bound, from_sql},
    queries::rows,
};

/// The conversations of a shard that have messages to be erased, `grace` after they were deleted;
/// those first that wait longest. A conversation under a hold is not among them.
///
/// # Errors
/// If PostgreSQL does not answer.
pub async fn due(
    pool: &PgPool,
    shard: u16,
    grace: Duration,
    limit: u32,
) -> Result<Vec<ConversationId>, Failure> {
    let rows = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT e.conversation_id FROM erasures e \
             WHERE e.shard = $1 AND e.deleted_at <= now() - $2 * interval '1 s' \
             AND e.failure IS NULL AND NOT EXISTS (SELECT FROM holds h \
             WHERE h.conversation_id = e.conversation_id AND h.lifted_at IS NULL) \
             GROUP BY e.conversation_id ORDER BY min(e.deleted_at) LIMIT $3",
        );
        let query = query
            .bind(i32::from(shard))
            .bind(i64::try_from(grace.as_secs()).unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        Ok(query.fetch_all(pool).await?)
    })
    .await?;
    rows.iter().map(rows::conversation_id).collect()
}

/// A deleted message, and the positions of what said something of it: its edits first, the event
/// that sent it last. As long as that one is there, there may be others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    pub conversation_seq: u64,
    pub positions: Vec<u64>,
}

/// A conversation whose messages are being erased: no hold can be placed on it meanwhile.
#[derive(Debug)]
pub struct Erasing {
    transaction: Transaction<'static, Postgres>,
    id: ConversationId,
}

impl Erasing {
    /// `None` if a hold stands.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn begin(pool: &PgPool, id: ConversationId) -> Result<Option<Self>, Failure> {
        within(READ_DEADLINE, async {
            let mut transaction = pool.begin().await?;
            if holds::is_held(&mut transaction, &id).await? {
                return Ok(None);
            }
            Ok(Some(Self { transaction, id }))
        })
        .await
    }

    /// What is due of it.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn messages(&mut self, grace: Duration, limit: u32) -> Result<Vec<Erasure>, Failure> {
        let rows = within(READ_DEADLINE, async {
            let query = sqlx::query(
                "SELECT e.conversation_seq, ARRAY(SELECT d.position FROM edits d \
                 WHERE d.conversation_id = e.conversation_id \
                 AND d.conversation_seq = e.conversation_seq) || m.position AS positions \
                 FROM erasures e JOIN messages m ON m.conversation_id = e.conversation_id \
                 AND m.conversation_seq = e.conversation_seq \
                 WHERE e.conversation_id = $1 AND e.failure IS NULL \
                 AND e.deleted_at <= now() - $2 * interval '1 s' \
                 ORDER BY e.conversation_seq LIMIT $3",
            );
            let query = query
                .bind(self.id.as_str())
                .bind(i64::try_from(grace.as_secs()).unwrap_or(i64::MAX))
                .bind(i64::from(limit));
            Ok(query.fetch_all(&mut *self.transaction).await?)
        })
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Erasure {
                    conversation_seq: from_sql(row.try_get("conversation_seq")?)?,
                    positions: all_from_sql(row.try_get("positions")?)?,
                })
            })
            .collect()
    }

    /// The log has nothing of the message any more; its files are to follow.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn done(&mut self, seq: u64) -> Result<(), Failure> {
        for statement in [
            "UPDATE attachments a SET erased_at = now() FROM attachment_uses u \
             WHERE u.conversation_id = $1 AND u.conversation_seq = $2 \
             AND a.attachment_id = u.attachment_id",
            "DELETE FROM attachment_uses WHERE conversation_id = $1 AND conversation_seq = $2",
            "DELETE FROM edits WHERE conversation_id = $1 AND conversation_seq = $2",
            "DELETE FROM erasures WHERE conversation_id = $1 AND conversation_seq = $2",
        ] {
            let query = sqlx::query(statement).bind(self.id.as_str()).bind(bound(seq));
            query.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// The log is not what these views were made from: a person has to look.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn failed(&mut self, seq: u64, why: &str) -> Result<(), Failure> {
        sqlx::query(
            "UPDATE erasures SET failure = $3 WHERE conversation_id = $1 AND conversation_seq = $2",
        )
        .bind(self.id.as_str())
        .bind(bound(seq))
        .bind(why)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Keeps what was noted, and lets holds be placed again.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn end(self) -> Result<(), Failure> {
        Ok(self.transaction.commit().await?)
    }
}
