//! An account's state.

use std::collections::BTreeSet;

use parley_domain::{
    Account, AccountId, ConversationId, DeviceId, Timestamp, UserId,
    account::{
        Address, Device, Devices, Draft, Drafts, Endpoint, EndpointState, Endpoints, MAX_DEVICES,
        MAX_DRAFT_TIMES, Mark, Marks, Mute, Settings,
    },
};
use sqlx::{PgPool, Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Loaded, parsed};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql},
};

/// One statement, so one snapshot. An account remembers the devices that are linked and, up to its
/// bound, those that were unlinked last; drafts and those that were cleared likewise. The rest is
/// bounded by the commands.
const SELECT: &str = "\
    SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
    COALESCE(a.version, 0) AS version, COALESCE(a.damaged, false) AS damaged, \
    (SELECT settings FROM account_settings WHERE user_id = $1) AS settings, \
    ARRAY(SELECT contact_id FROM contacts WHERE user_id = $1) AS contacts, \
    known.*, marks.*, drafts.*, endpoints.* \
    FROM (VALUES (1)) AS always (row) \
    LEFT JOIN accounts a ON a.user_id = $1 \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(d.device_id), '{}') AS device_ids, \
    COALESCE(array_agg(d.version), '{}') AS versions, \
    COALESCE(array_agg(d.registered_at), '{}') AS registered_at, \
    COALESCE(array_agg(d.platform), '{}') AS platforms \
    FROM (SELECT * FROM devices WHERE user_id = $1 \
    ORDER BY registered_at IS NULL, version DESC LIMIT $3) d) known \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(m.conversation_id), '{}') AS marked, \
    COALESCE(array_agg(m.muted), '{}') AS muted, \
    COALESCE(array_agg(m.muted_until), '{}') AS muted_until, \
    COALESCE(array_agg(m.pinned), '{}') AS pinned, \
    COALESCE(array_agg(m.archived_through_seq), '{}') AS archived, \
    COALESCE(array_agg(m.read_through_seq), '{}') AS read_through \
    FROM conversation_marks m WHERE m.user_id = $1 AND (m.muted OR m.pinned \
    OR m.archived_through_seq IS NOT NULL OR m.read_through_seq IS NOT NULL)) marks \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(d.conversation_id), '{}') AS drafted, \
    COALESCE(array_agg(d.draft), '{}') AS drafts, \
    COALESCE(array_agg(d.draft_saved_at), '{}') AS drafts_saved_at, \
    COALESCE(array_agg(d.draft_version), '{}') AS draft_versions \
    FROM (SELECT * FROM conversation_marks WHERE user_id = $1 AND draft_version IS NOT NULL \
    ORDER BY draft IS NULL, draft_version DESC LIMIT $4) d) drafts \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(e.endpoint_id), '{}') AS endpoint_ids, \
    COALESCE(array_agg(jsonb_build_object('channel', e.channel, 'address', e.address)), '{}') \
    AS addresses, \
    COALESCE(array_agg(to_jsonb(e.state)), '{}') AS endpoint_states, \
    COALESCE(array_agg(e.added_at), '{}') AS endpoints_added_at \
    FROM notification_endpoints e WHERE e.user_id = $1) endpoints";

/// Reads an account of `shard`: exactly the fold of its events up to the checkpoint.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.account.load", skip_all, err(level = "debug"))]
pub async fn load_account(
    pool: &PgPool,
    shard: u16,
    id: &AccountId,
) -> Result<Loaded<Account>, Failure> {
    let row = within(READ_DEADLINE, async {
        let query = sqlx::query(SELECT)
            .bind(id.user_name())
            .bind(i32::from(shard))
            .bind(i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX))
            .bind(i64::try_from(MAX_DRAFT_TIMES).unwrap_or(i64::MAX));
        Ok(query.fetch_one(pool).await?)
    });
    let row = row.await?;
    Ok(Loaded {
        state: Account {
            version: from_sql(row.try_get("version")?)?,
            devices: devices(&row)?,
            contacts: contacts(&row)?,
            marks: marks(&row)?,
            drafts: drafts(&row)?,
            settings: settings(&row)?,
            endpoints: endpoints(&row)?,
        },
        checkpoint: from_sql(row.try_get("checkpoint")?)?,
        damaged: row.try_get("damaged")?,
    })
}

fn devices(row: &PgRow) -> Result<Devices, Failure> {
    let ids: Vec<String> = row.try_get("device_ids")?;
    let versions = all_from_sql(row.try_get("versions")?)?;
    let registered: Vec<Option<OffsetDateTime>> = row.try_get("registered_at")?;
    let platforms: Vec<Option<String>> = row.try_get("platforms")?;
    let (mut linked, mut unlinked) = (Vec::new(), Vec::new());
    let states = versions.into_iter().zip(registered.into_iter().zip(platforms));
    for (id, (version, state)) in ids.iter().zip(states) {
        let id = parsed("device id", DeviceId::parse(id))?;
        match state {
            (Some(at), platform) => {
                let platform = platform.unwrap_or_default();
                let registered_at = Timestamp::from(at);
                linked.push((id, Device { platform, registered_at, registration: version }));
            }
            (None, _) => unlinked.push((id, version)),
        }
    }
    Ok(Devices::new(linked, unlinked))
}

fn contacts(row: &PgRow) -> Result<BTreeSet<UserId>, Failure> {
    let ids: Vec<String> = row.try_get("contacts")?;
    ids.iter().map(|id| parsed("user id", UserId::parse(id))).collect()
}

fn settings(row: &PgRow) -> Result<Settings, Failure> {
    let settings: Option<Json<Settings>> = row.try_get("settings")?;
    Ok(settings.map(|Json(settings)| settings).unwrap_or_default())
}

fn marks(row: &PgRow) -> Result<Marks, Failure> {
    let ids: Vec<String> = row.try_get("marked")?;
    let muted: Vec<bool> = row.try_get("muted")?;
    let until: Vec<Option<OffsetDateTime>> = row.try_get("muted_until")?;
    let pinned: Vec<bool> = row.try_get("pinned")?;
    let archived: Vec<Option<i64>> = row.try_get("archived")?;
    let read: Vec<Option<i64>> = row.try_get("read_through")?;
    let mutes = muted.into_iter().zip(until);
    let numbers = archived.into_iter().zip(read);
    let rows = ids.iter().zip(mutes).zip(pinned).zip(numbers);
    let marks = rows.map(|(((id, (muted, until)), pinned), (archived, read))| {
        let mark = Mark {
            muted: muted.then(|| Mute::new(until.map(Timestamp::from))),
            pinned,
            archived_through: archived.map(from_sql).transpose()?,
            read_through: read.map(from_sql).transpose()?,
        };
        Ok((parsed("conversation id", ConversationId::parse(id))?, mark))
    });
    Ok(Marks::new(marks.collect::<Result<Vec<_>, Failure>>()?))
}

fn drafts(row: &PgRow) -> Result<Drafts, Failure> {
    let ids: Vec<String> = row.try_get("drafted")?;
    let texts: Vec<Option<String>> = row.try_get("drafts")?;
    let saved: Vec<OffsetDateTime> = row.try_get("drafts_saved_at")?;
    let versions = all_from_sql(row.try_get("draft_versions")?)?;
    let rows = ids.iter().zip(texts).zip(saved.into_iter().zip(versions));
    let drafts = rows.map(|((id, text), (saved_at, version))| {
        let draft = Draft { text, saved_at: Timestamp::from(saved_at), version };
        Ok((parsed("conversation id", ConversationId::parse(id))?, draft))
    });
    Ok(Drafts::new(drafts.collect::<Result<Vec<_>, Failure>>()?))
}

fn endpoints(row: &PgRow) -> Result<Endpoints, Failure> {
    let ids: Vec<String> = row.try_get("endpoint_ids")?;
    let addresses: Vec<Json<Address>> = row.try_get("addresses")?;
    let states: Vec<Json<EndpointState>> = row.try_get("endpoint_states")?;
    let added: Vec<OffsetDateTime> = row.try_get("endpoints_added_at")?;
    let rows = ids.iter().zip(addresses).zip(states.into_iter().zip(added));
    let endpoints = rows.map(|((id, Json(address)), (Json(state), added_at))| {
        let id = Uuid::try_parse(id).map_err(|error| Failure::corrupt("endpoint id", error))?;
        Ok((id, Endpoint { address, state, added_at: Timestamp::from(added_at) }))
    });
    Ok(Endpoints::new(endpoints.collect::<Result<Vec<_>, Failure>>()?))
}
