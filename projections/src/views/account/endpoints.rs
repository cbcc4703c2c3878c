//! Notification endpoints: a row each, for their owner and for the notifier.

use std::collections::BTreeMap;

use parley_domain::{
    Timestamp,
    account::{Address, EndpointState},
    event::{EndpointAdded, EndpointRemoved},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::Failure;

/// An endpoint as the account's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub endpoint_id: Uuid,
    /// `channel` and `address`.
    #[serde(flatten)]
    pub address: Address,
    pub state: EndpointState,
    pub added_at: Timestamp,
}

/// By user and endpoint: the newest of it and since when it is there, or `None` once removed.
#[derive(Default)]
pub(super) struct Endpoints<'a>(BTreeMap<(&'a str, Uuid), Option<(&'a EndpointAdded, Timestamp)>>);

impl<'a> Endpoints<'a> {
    pub fn added(&mut self, user: &'a str, added: &'a EndpointAdded, at: Timestamp) {
        let place = self.0.entry((user, added.endpoint_id)).or_default();
        // Verified in the same batch, it was still added before.
        let since = place.map_or(at, |(_, since)| since);
        *place = Some((added, since));
    }

    pub fn removed(&mut self, user: &'a str, removed: &'a EndpointRemoved) {
        self.0.insert((user, removed.endpoint_id), None);
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let (mut users, mut ids, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut addresses, mut states) = (Vec::new(), Vec::new());
        let (mut losers, mut lost) = (Vec::new(), Vec::new());
        for ((user, id), endpoint) in self.0 {
            let Some((added, since)) = endpoint else {
                losers.push(user);
                lost.push(id.to_string());
                continue;
            };
            users.push(user);
            ids.push(id.to_string());
            addresses.push(Json(&added.address));
            states.push(added.state.as_str());
            times.push(since.to_date_time());
        }
        if !users.is_empty() {
            // Of one that is there, only the state can have changed.
            sqlx::query(
                "INSERT INTO notification_endpoints \
                 (user_id, endpoint_id, channel, address, state, added_at) \
                 SELECT user_id, id, a->>'channel', a->'address', state, at \
                 FROM UNNEST($1::text[], $2::text[], $3::jsonb[], $4::text[], $5::timestamptz[]) \
                 AS n (user_id, id, a, state, at) \
                 ON CONFLICT (user_id, endpoint_id) DO UPDATE SET state = EXCLUDED.state",
            )
            .bind(users)
            .bind(ids)
            .bind(addresses)
            .bind(states)
            .bind(times)
            .execute(&mut *connection)
            .await?;
        }
        if !losers.is_empty() {
            sqlx::query(
                "DELETE FROM notification_endpoints e \
                 USING UNNEST($1::text[], $2::text[]) AS gone (user_id, id) \
                 WHERE e.user_id = gone.user_id AND e.endpoint_id = gone.id",
            )
            .bind(losers)
            .bind(lost)
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}
