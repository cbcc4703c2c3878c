//! An account as its owner's devices see it.

use parley_domain::{
    ConversationId, UserId,
    account::{Address, EndpointState, Settings, Visibility},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, PgPool, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{devices, rows};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{bound, from_sql},
    views::{Contact, Device, Endpoint, Mark},
};

/// What a device learns of its account when it syncs: all of it, but of the marks only those that
/// changed since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountState {
    pub version: u64,
    /// Linked, the newest first.
    pub devices: Vec<Device>,
    pub contacts: Vec<Contact>,
    pub settings: Settings,
    pub endpoints: Vec<Endpoint>,
    /// Without a beginning, those that say something; else also those that were taken back.
    pub marks: Vec<Mark>,
}

/// By the id of the contact.
const CONTACTS: &str = "SELECT contact_id, added_at FROM contacts \
    WHERE user_id = $1 ORDER BY contact_id";

const CONTACT: &str = "SELECT contact_id, added_at FROM contacts \
    WHERE user_id = $1 AND contact_id = $2";

/// In the order in which they were added.
const ENDPOINTS: &str = "SELECT endpoint_id, \
    jsonb_build_object('channel', channel, 'address', address) AS address, \
    to_jsonb(state) AS state, added_at FROM notification_endpoints \
    WHERE user_id = $1 ORDER BY added_at, endpoint_id";

/// Of a position by shard that is known, what changed after it; of none, what says something.
const MARKS: &str = concat!(
    "SELECT k.conversation_id, k.read_through_seq, k.archived_through_seq, k.draft_saved_at, ",
    rows::mark_columns!(),
    " FROM conversation_marks k WHERE k.user_id = $1 AND CASE WHEN $2::bigint IS NULL \
    THEN k.muted OR k.pinned OR k.archived_through_seq IS NOT NULL \
    OR k.read_through_seq IS NOT NULL OR k.draft IS NOT NULL \
    ELSE k.position > $2 END ORDER BY k.conversation_id"
);

/// The newest version of an account that is in the views; 0 before its first event.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.account_version.read", skip_all, err(level = "debug"))]
pub async fn account_version(pool: &PgPool, user: &UserId) -> Result<u64, Failure> {
    within(READ_DEADLINE, async {
        let version = sqlx::query_scalar("SELECT version FROM accounts WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(pool)
            .await?;
        version.map_or(Ok(0), from_sql)
    })
    .await
}

/// All of them: an account's commands bound them.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.contacts.read", skip_all, err(level = "debug"))]
pub async fn contacts(pool: &PgPool, user: &UserId) -> Result<Vec<Contact>, Failure> {
    within(READ_DEADLINE, all_contacts(pool, user)).await
}

/// `None` for somebody who is not a contact.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.contact.read", skip_all, err(level = "debug"))]
pub async fn contact(
    pool: &PgPool,
    user: &UserId,
    contact: &UserId,
) -> Result<Option<Contact>, Failure> {
    within(READ_DEADLINE, async {
        let query = sqlx::query(CONTACT).bind(user.as_str()).bind(contact.as_str());
        query.fetch_optional(pool).await?.as_ref().map(read_contact).transpose()
    })
    .await
}

/// The defaults for somebody who never set any.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.settings.read", skip_all, err(level = "debug"))]
pub async fn settings(pool: &PgPool, user: &UserId) -> Result<Settings, Failure> {
    within(READ_DEADLINE, current_settings(pool, user)).await
}

/// All of them: an account's commands bound them.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.endpoints.read", skip_all, err(level = "debug"))]
pub async fn endpoints(pool: &PgPool, user: &UserId) -> Result<Vec<Endpoint>, Failure> {
    within(READ_DEADLINE, all_endpoints(pool, user)).await
}

/// The account, if it changed after `since`, the positions by shard that the caller knows; without
/// them, always.
pub(super) async fn changed(
    snapshot: &mut PgConnection,
    user: &UserId,
    since: Option<&[u64]>,
) -> Result<Option<AccountState>, Failure> {
    let since: Option<Vec<i64>> = since.map(|since| since.iter().copied().map(bound).collect());
    let known: Option<(i64, i64)> = sqlx::query_as(
        "SELECT version, COALESCE(($2::bigint[])[shard + 1], 0) FROM accounts WHERE user_id = $1 \
         AND ($2::bigint[] IS NULL OR position > COALESCE(($2::bigint[])[shard + 1], 0))",
    )
    .bind(user.as_str())
    .bind(&since)
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some((version, known_through)) = known else {
        // Who asks for everything is told that there is nothing.
        return Ok(since.is_none().then(AccountState::default));
    };
    let known_through = since.is_some().then_some(known_through);
    Ok(Some(AccountState {
        version: from_sql(version)?,
        devices: devices::linked(&mut *snapshot, user).await?,
        contacts: all_contacts(&mut *snapshot, user).await?,
        settings: current_settings(&mut *snapshot, user).await?,
        endpoints: all_endpoints(&mut *snapshot, user).await?,
        marks: marks(&mut *snapshot, user, known_through).await?,
    }))
}

async fn all_contacts(
    executor: impl PgExecutor<'_>,
    user: &UserId,
) -> Result<Vec<Contact>, Failure> {
    let found = sqlx::query(CONTACTS).bind(user.as_str()).fetch_all(executor).await?;
    found.iter().map(read_contact).collect()
}

fn read_contact(row: &PgRow) -> Result<Contact, Failure> {
    Ok(Contact {
        user_id: rows::id("user id", UserId::parse(row.try_get("contact_id")?))?,
        added_at: rows::moment(row, "added_at")?,
    })
}

async fn current_settings(
    executor: impl PgExecutor<'_>,
    user: &UserId,
) -> Result<Settings, Failure> {
    let settings: Option<Json<Settings>> =
        sqlx::query_scalar("SELECT settings FROM account_settings WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(executor)
            .await?;
    Ok(settings.map(|Json(settings)| settings).unwrap_or_default())
}

async fn all_endpoints(
    executor: impl PgExecutor<'_>,
    user: &UserId,
) -> Result<Vec<Endpoint>, Failure> {
    let found = sqlx::query(ENDPOINTS).bind(user.as_str()).fetch_all(executor).await?;
    let endpoints = found.iter().map(|row| {
        let id: &str = row.try_get("endpoint_id")?;
        let Json(address): Json<Address> = row.try_get("address")?;
        let Json(state): Json<EndpointState> = row.try_get("state")?;
        Ok(Endpoint {
            endpoint_id: Uuid::try_parse(id)
                .map_err(|error| Failure::corrupt("endpoint id", error))?,
            address,
            state,
            added_at: rows::moment(row, "added_at")?,
        })
    });
    endpoints.collect()
}

async fn marks(
    executor: impl PgExecutor<'_>,
    user: &UserId,
    after: Option<i64>,
) -> Result<Vec<Mark>, Failure> {
    let found = sqlx::query(MARKS).bind(user.as_str()).bind(after).fetch_all(executor).await?;
    let marks = found.iter().map(|row| {
        let number = |column| -> Result<Option<u64>, Failure> {
            row.try_get::<Option<i64>, _>(column)?.map(from_sql).transpose()
        };
        Ok(Mark {
            conversation_id: rows::id(
                "conversation id",
                ConversationId::parse(row.try_get("conversation_id")?),
            )?,
            muted: row.try_get("muted")?,
            muted_until: rows::optional_moment(row, "muted_until")?,
            pinned: row.try_get("pinned")?,
            archived_through_seq: number("archived_through_seq")?,
            read_through_seq: number("read_through_seq")?,
            draft: row.try_get("draft")?,
            draft_saved_at: rows::optional_moment(row, "draft_saved_at")?,
        })
    });
    marks.collect()
}

/// What somebody shows of themselves to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownTo {
    /// Of the account.
    pub version: u64,
    /// Position in the account's shard: later events are not in it.
    pub checkpoint: u64,
    pub visibility: Visibility,
    pub read_receipts: bool,
    /// Whether the other is one of their contacts.
    pub is_contact: bool,
}

/// For each shard of an account, the one who is shown and the other, in this order.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.shown_to.read", skip_all, err(level = "debug"))]
pub async fn shown_to(
    pool: &PgPool,
    pairs: &[(u16, &UserId, &UserId)],
) -> Result<Vec<ShownTo>, Failure> {
    let shards: Vec<i32> = pairs.iter().map(|(shard, ..)| i32::from(*shard)).collect();
    let shown: Vec<&str> = pairs.iter().map(|(_, shown, _)| shown.as_str()).collect();
    let others: Vec<&str> = pairs.iter().map(|(.., other)| other.as_str()).collect();
    let found = within(READ_DEADLINE, async {
        let query = sqlx::query(
            "SELECT COALESCE(a.version, 0) AS version, COALESCE(p.position, 0) AS checkpoint, \
             s.settings, k.user_id IS NOT NULL AS is_contact \
             FROM UNNEST($1::int[], $2::text[], $3::text[]) \
             WITH ORDINALITY AS asked (shard, user_id, other, place) \
             LEFT JOIN checkpoints p ON p.shard = asked.shard \
             LEFT JOIN accounts a ON a.user_id = asked.user_id \
             LEFT JOIN account_settings s ON s.user_id = asked.user_id \
             LEFT JOIN contacts k ON k.user_id = asked.user_id AND k.contact_id = asked.other \
             ORDER BY asked.place",
        );
        Ok(query.bind(shards).bind(shown).bind(others).fetch_all(pool).await?)
    })
    .await?;
    let answers = found.iter().map(|row| {
        let settings: Option<Json<Settings>> = row.try_get("settings")?;
        let settings = settings.map(|Json(settings)| settings).unwrap_or_default();
        Ok(ShownTo {
            version: rows::count(row, "version")?,
            checkpoint: rows::count(row, "checkpoint")?,
            visibility: settings.presence_visibility,
            read_receipts: settings.read_receipts,
            is_contact: row.try_get("is_contact")?,
        })
    });
    answers.collect()
}
