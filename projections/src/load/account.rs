//! An account's state.

use parley_domain::{
    Account, AccountId, DeviceId, Timestamp,
    account::{Device, Devices, MAX_DEVICES},
};
use sqlx::{PgPool, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::{Loaded, parsed};
use crate::{
    Failure,
    database::READ_DEADLINE,
    failure::within,
    number::{all_from_sql, from_sql},
};

/// One statement, so one snapshot. An account remembers the devices that are linked and, up to its
/// bound, those that were unlinked last.
const SELECT: &str = "\
    SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $2), 0) AS checkpoint, \
    COALESCE(a.version, 0) AS version, COALESCE(a.damaged, false) AS damaged, known.* \
    FROM (VALUES (1)) AS always (row) \
    LEFT JOIN accounts a ON a.user_id = $1 \
    CROSS JOIN LATERAL (SELECT \
    COALESCE(array_agg(d.device_id), '{}') AS device_ids, \
    COALESCE(array_agg(d.version), '{}') AS versions, \
    COALESCE(array_agg(d.registered_at), '{}') AS registered_at, \
    COALESCE(array_agg(d.platform), '{}') AS platforms \
    FROM (SELECT * FROM devices WHERE user_id = $1 \
    ORDER BY registered_at IS NULL, version DESC LIMIT $3) d) known";

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
            .bind(i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX));
        Ok(query.fetch_one(pool).await?)
    });
    let row = row.await?;
    Ok(Loaded {
        state: Account { version: from_sql(row.try_get("version")?)?, devices: devices(&row)? },
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
