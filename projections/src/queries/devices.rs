//! The devices of an account, and whether one of them is still linked.

use parley_domain::{DeviceId, UserId};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool, Row, postgres::PgRow};

use super::rows;
use crate::{Failure, database::READ_DEADLINE, failure::within, views::Device};

/// An account as its owner's devices see it, up to a version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountDevices {
    pub version: u64,
    /// Linked, the newest first.
    pub devices: Vec<Device>,
}

const DEVICES: &str = "SELECT device_id, platform, registered_at FROM devices \
    WHERE user_id = $1 AND registered_at IS NOT NULL ORDER BY version DESC";

/// In one snapshot.
///
/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.devices.read", skip_all, err(level = "debug"))]
pub async fn devices(pool: &PgPool, user: &UserId) -> Result<AccountDevices, Failure> {
    within(READ_DEADLINE, async {
        let mut snapshot =
            pool.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let version = sqlx::query_scalar("SELECT version FROM accounts WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(&mut *snapshot)
            .await?;
        let version = version.map_or(Ok(0), crate::number::from_sql)?;
        let devices = linked(&mut *snapshot, user).await?;
        snapshot.commit().await?;
        Ok(AccountDevices { version, devices })
    })
    .await
}

pub(super) async fn linked(
    executor: impl PgExecutor<'_>,
    user: &UserId,
) -> Result<Vec<Device>, Failure> {
    let found = sqlx::query(DEVICES).bind(user.as_str()).fetch_all(executor).await?;
    found.iter().map(device).collect()
}

fn device(row: &PgRow) -> Result<Device, Failure> {
    Ok(Device {
        device_id: rows::id("device id", DeviceId::parse(row.try_get("device_id")?))?,
        platform: row.try_get("platform")?,
        registered_at: rows::moment(row, "registered_at")?,
    })
}

/// What the views know of the sessions of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Sessions of registrations up to this version are over.
    pub over_through: u64,
    /// Position in the account's shard: later events are not in it.
    pub checkpoint: u64,
}

/// # Errors
/// If PostgreSQL does not answer.
#[tracing::instrument(name = "projections.device.read", skip_all, err(level = "debug"))]
pub async fn standing(
    pool: &PgPool,
    shard: u16,
    user: &UserId,
    device: &DeviceId,
) -> Result<Standing, Failure> {
    within(READ_DEADLINE, async {
        // One statement, so one snapshot. Before a registration the device was unlinked, or new.
        let row = sqlx::query(
            "SELECT COALESCE((SELECT position FROM checkpoints WHERE shard = $1), 0) AS checkpoint, \
             COALESCE((SELECT CASE WHEN registered_at IS NULL THEN version ELSE version - 1 END \
             FROM devices WHERE user_id = $2 AND device_id = $3), 0) AS over_through",
        )
        .bind(i32::from(shard))
        .bind(user.as_str())
        .bind(device.as_str())
        .fetch_one(pool)
        .await?;
        Ok(Standing {
            over_through: rows::count(&row, "over_through")?,
            checkpoint: rows::count(&row, "checkpoint")?,
        })
    })
    .await
}
