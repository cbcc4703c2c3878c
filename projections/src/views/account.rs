//! Accounts: one row each, and a row a device.

use std::collections::BTreeMap;

use parley_domain::{
    AccountEvent, AccountId, DeviceId, Event, EventData, Timestamp, event::DeviceRegistered,
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{Failure, number::to_sql};

/// A linked device as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub device_id: DeviceId,
    pub platform: String,
    pub registered_at: Timestamp,
}

/// What a batch does to accounts.
#[derive(Default)]
pub(crate) struct Accounts<'a> {
    /// Position and version, by user.
    changed: BTreeMap<&'a str, (u64, u64)>,
    /// By user and device.
    devices: BTreeMap<(&'a str, &'a str), Change<'a>>,
}

struct Change<'a> {
    version: u64,
    /// `None` once unlinked.
    linked: Option<(Timestamp, &'a str)>,
}

impl<'a> Accounts<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        let Some(user) = event.subject.account().map(AccountId::user_name) else { return };
        let (device_id, linked) = match &event.data {
            EventData::Account(AccountEvent::DeviceRegistered(registered)) => {
                let DeviceRegistered { device_id, platform } = registered;
                (device_id, Some((event.time, platform.as_str())))
            }
            EventData::Account(AccountEvent::DeviceUnlinked(unlinked)) => {
                (&unlinked.device_id, None)
            }
            EventData::MessageSent(_)
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
            | EventData::ConversationUnblocked(_) => {
                return;
            }
        };
        let (reached, newest) = self.changed.entry(user).or_default();
        *reached = (*reached).max(position);
        *newest = (*newest).max(event.version);
        let change = Change { version: event.version, linked };
        let place = self.devices.entry((user, device_id.as_str()));
        // Known or late: the newer one stays.
        let known = place.or_insert(Change { version: 0, linked: None });
        if known.version < change.version {
            *known = change;
        }
    }

    pub async fn write(self, connection: &mut PgConnection, shard: u16) -> Result<(), Failure> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (mut users, mut positions, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for (user, (position, version)) in self.changed {
            users.push(user);
            positions.push(to_sql(position)?);
            versions.push(to_sql(version)?);
        }
        sqlx::query(
            "INSERT INTO accounts AS a (shard, user_id, position, version) \
             SELECT $1, * FROM UNNEST($2::text[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (user_id) DO UPDATE SET \
             position = GREATEST(a.position, EXCLUDED.position), \
             version = GREATEST(a.version, EXCLUDED.version)",
        )
        .bind(i32::from(shard))
        .bind(users)
        .bind(positions)
        .bind(versions)
        .execute(&mut *connection)
        .await?;
        write_devices(self.devices, connection).await
    }
}

async fn write_devices(
    devices: BTreeMap<(&str, &str), Change<'_>>,
    connection: &mut PgConnection,
) -> Result<(), Failure> {
    let (mut users, mut ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut registered, mut platforms) = (Vec::new(), Vec::new());
    for ((user, device), change) in devices {
        users.push(user);
        ids.push(device);
        versions.push(to_sql(change.version)?);
        registered.push(change.linked.map(|(at, _)| at.to_date_time()));
        platforms.push(change.linked.map(|(_, platform)| platform));
    }
    sqlx::query(
        "INSERT INTO devices AS d (user_id, device_id, version, registered_at, platform) \
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], \
         $5::text[]) \
         ON CONFLICT (user_id, device_id) DO UPDATE SET version = EXCLUDED.version, \
         registered_at = EXCLUDED.registered_at, platform = EXCLUDED.platform \
         WHERE d.version < EXCLUDED.version",
    )
    .bind(users)
    .bind(ids)
    .bind(versions)
    .bind(registered)
    .bind(platforms)
    .execute(connection)
    .await?;
    Ok(())
}
