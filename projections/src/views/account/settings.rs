//! Settings: a row for each account that ever set them.

use std::collections::BTreeMap;

use parley_domain::account::Settings;
use sqlx::{PgConnection, types::Json};

use crate::{Failure, number::to_sql};

/// By user, with the version of the event.
#[derive(Default)]
pub(super) struct NewSettings<'a>(BTreeMap<&'a str, (u64, &'a Settings)>);

impl<'a> NewSettings<'a> {
    pub fn set(&mut self, user: &'a str, settings: &'a Settings, version: u64) {
        let known = self.0.entry(user).or_insert((version, settings));
        if known.0 < version {
            *known = (version, settings);
        }
    }

    pub async fn write(self, connection: &mut PgConnection) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (mut users, mut versions, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (user, (version, settings)) in self.0 {
            users.push(user);
            versions.push(to_sql(version)?);
            all.push(Json(settings));
        }
        sqlx::query(
            "INSERT INTO account_settings AS s (user_id, version, settings) \
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::jsonb[]) \
             ON CONFLICT (user_id) DO UPDATE SET version = EXCLUDED.version, \
             settings = EXCLUDED.settings WHERE s.version < EXCLUDED.version",
        )
        .bind(users)
        .bind(versions)
        .bind(all)
        .execute(connection)
        .await?;
        Ok(())
    }
}
