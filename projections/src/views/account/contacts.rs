//! Contacts: a row each.

use std::collections::BTreeMap;

use parley_domain::{Timestamp, UserId, event::ContactChanged};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Failure;

/// A contact as the account's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    pub user_id: UserId,
    pub added_at: Timestamp,
}

/// By user and contact: since when, or `None` once removed.
#[derive(Default)]
pub(super) struct Contacts<'a>(BTreeMap<(&'a str, &'a str), Option<Timestamp>>);

impl<'a> Contacts<'a> {
    pub fn changed(&mut self, user: &'a str, contact: &'a ContactChanged, at: Option<Timestamp>) {
        self.0.insert((user, contact.user_id.as_str()), at);
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let (mut users, mut ids, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut losers, mut lost) = (Vec::new(), Vec::new());
        for ((user, id), added_at) in self.0 {
            match added_at {
                Some(at) => {
                    users.push(user);
                    ids.push(id);
                    times.push(at.to_date_time());
                }
                None => {
                    losers.push(user);
                    lost.push(id);
                }
            }
        }
        if !users.is_empty() {
            sqlx::query(
                "INSERT INTO contacts (user_id, contact_id, added_at) \
                 SELECT * FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) \
                 ON CONFLICT (user_id, contact_id) DO UPDATE SET added_at = EXCLUDED.added_at",
            )
            .bind(users)
            .bind(ids)
            .bind(times)
            .execute(&mut *connection)
            .await?;
        }
        if !losers.is_empty() {
            sqlx::query(
                "DELETE FROM contacts c USING UNNEST($1::text[], $2::text[]) AS gone (user_id, id) \
                 WHERE c.user_id = gone.user_id AND c.contact_id = gone.id",
            )
            .bind(losers)
            .bind(lost)
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}
