//! Accounts: one row each, and rows for what they hold: devices here, the rest in files of its own.

mod contacts;
mod endpoints;
mod marks;
mod settings;

use std::collections::BTreeMap;

use parley_domain::{
    AccountEvent, AccountId, DeviceId, Event, EventData, Timestamp,
    account::Mute,
    event::{DeviceRegistered, DeviceUnlinked},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

pub use contacts::Contact;
pub use endpoints::Endpoint;
pub use marks::Mark;

use self::{contacts::Contacts, endpoints::Endpoints, marks::Marks, settings::NewSettings};
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
    contacts: Contacts<'a>,
    marks: Marks<'a>,
    settings: NewSettings<'a>,
    endpoints: Endpoints<'a>,
}

struct Change<'a> {
    version: u64,
    /// `None` once unlinked.
    linked: Option<(Timestamp, &'a str)>,
}

impl<'a> Accounts<'a> {
    pub fn evolve(&mut self, event: &'a Event, position: u64) {
        let Some(user) = event.subject.account().map(AccountId::user_name) else { return };
        let EventData::Account(data) = &event.data else { return };
        let (reached, newest) = self.changed.entry(user).or_default();
        *reached = (*reached).max(position);
        *newest = (*newest).max(event.version);
        match data {
            AccountEvent::DeviceRegistered(DeviceRegistered { device_id, platform }) => {
                let linked = Some((event.time, platform.as_str()));
                self.device(user, device_id, Change { version: event.version, linked });
            }
            AccountEvent::DeviceUnlinked(DeviceUnlinked { device_id }) => {
                self.device(user, device_id, Change { version: event.version, linked: None });
            }
            AccountEvent::ContactAdded(contact) => {
                self.contacts.changed(user, contact, Some(event.time));
            }
            AccountEvent::ContactRemoved(contact) => self.contacts.changed(user, contact, None),
            AccountEvent::ConversationMuted(muted) => {
                let mute = Some(Mute::new(muted.until));
                let mark = self.marks.of(user, &muted.conversation_id, event.version, position);
                mark.muted = Some(mute);
            }
            AccountEvent::ConversationUnmuted(marked) => {
                let mark = self.marks.of(user, &marked.conversation_id, event.version, position);
                mark.muted = Some(None);
            }
            AccountEvent::ConversationPinned(marked) => {
                let mark = self.marks.of(user, &marked.conversation_id, event.version, position);
                mark.pinned = Some(true);
            }
            AccountEvent::ConversationUnpinned(marked) => {
                let mark = self.marks.of(user, &marked.conversation_id, event.version, position);
                mark.pinned = Some(false);
            }
            AccountEvent::ConversationArchived(archived) => {
                let mark = self.marks.of(user, &archived.conversation_id, event.version, position);
                mark.archived_through = Some(Some(archived.through_seq));
            }
            AccountEvent::ConversationUnarchived(marked) => {
                let mark = self.marks.of(user, &marked.conversation_id, event.version, position);
                mark.archived_through = Some(None);
            }
            AccountEvent::DraftSaved(saved) => {
                let mark = self.marks.of(user, &saved.conversation_id, event.version, position);
                mark.draft = Some((event.version, Some(&saved.text), saved.saved_at));
            }
            AccountEvent::DraftCleared(cleared) => {
                let mark = self.marks.of(user, &cleared.conversation_id, event.version, position);
                mark.draft = Some((event.version, None, cleared.saved_at));
            }
            AccountEvent::ChannelRead(read) => {
                let mark = self.marks.of(user, &read.conversation_id, event.version, position);
                mark.read_through = mark.read_through.max(Some(read.through_seq));
            }
            AccountEvent::PreferencesSet(settings) => {
                self.settings.set(user, settings, event.version);
            }
            AccountEvent::EndpointAdded(added) => self.endpoints.added(user, added, event.time),
            AccountEvent::EndpointRemoved(removed) => self.endpoints.removed(user, removed),
        }
    }

    fn device(&mut self, user: &'a str, device_id: &'a DeviceId, change: Change<'a>) {
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
        write_devices(self.devices, connection).await?;
        self.contacts.write(connection).await?;
        self.marks.write(connection).await?;
        self.settings.write(connection).await?;
        self.endpoints.write(connection).await
    }
}

async fn write_devices(
    devices: BTreeMap<(&str, &str), Change<'_>>,
    connection: &mut PgConnection,
) -> Result<(), Failure> {
    if devices.is_empty() {
        return Ok(());
    }
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
