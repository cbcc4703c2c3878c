//! Whether two sets of views are the same.

use std::collections::BTreeMap;

use parley_nats::Connection as Nats;
use sqlx::{Connection, PgConnection, Row};

use super::{
    second::Second,
    tables::{VIEWS, View},
};
use crate::{Failure, checkpoint, runner::Error};

/// Tables are compared by so many sums first, and row by row where those differ.
const BUCKETS: i32 = 4_096;
/// So many rows are named; one is bad enough.
const NAMED: usize = 20;

/// A row that is not what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static str,
    /// The row's key, as JSON.
    pub row: String,
    pub in_use: bool,
    pub from_log: bool,
}

/// The views in use as of one moment, and the second views at the same positions of the log.
pub(super) async fn compare(second: &Second, nats: &Nats) -> Result<Vec<Difference>, Error> {
    let mut other = second.connect().await?;
    let mut first = second.connect_first().await?;
    // A snapshot: the projectors go on meanwhile.
    let mut snapshot =
        first.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let reached = checkpoint::read_all(&mut *snapshot, second.shards).await?;
    for (shard, end) in (0..).zip(reached) {
        second.follow(nats, shard, end, &|_| ()).await?;
    }
    let mut differences = Vec::new();
    for view in VIEWS {
        let (ours, theirs) = (sums(&mut snapshot, view).await?, sums(&mut other, view).await?);
        let buckets: Vec<i32> = (0..BUCKETS)
            .filter(|bucket| ours.get(bucket) != theirs.get(bucket))
            .take(NAMED)
            .collect();
        if buckets.is_empty() {
            continue;
        }
        let ours = rows(&mut snapshot, view, &buckets).await?;
        let theirs = rows(&mut other, view, &buckets).await?;
        let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let different = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
        differences.extend(different.take(NAMED).map(|key| Difference {
            table: view.table,
            row: key.clone(),
            in_use: ours.contains_key(key),
            from_log: theirs.contains_key(key),
        }));
    }
    snapshot.rollback().await?;
    Ok(differences)
}

/// What a row says, without what is ignored.
fn content(view: &View) -> String {
    let mut content = "to_jsonb(t)".to_owned();
    for column in view.ignored {
        content.push_str(&format!(" - {column}"));
    }
    format!("({content})::text")
}

fn key(view: &View) -> String {
    let fields: Vec<String> = view.key.iter().map(|column| format!("t.{column}")).collect();
    format!("jsonb_build_array({})::text", fields.join(", "))
}

async fn sums(
    connection: &mut PgConnection,
    view: &View,
) -> Result<BTreeMap<i32, (i64, String)>, Failure> {
    let (table, content, key) = (view.table, content(view), key(view));
    let statement = format!(
        "SELECT abs(hashtext({key}) % {BUCKETS}) AS bucket, count(*) AS rows, \
         sum(hashtextextended({content}, 0)::numeric)::text AS sum FROM {table} t WHERE {compared} \
         GROUP BY 1",
        compared = view.compared,
    );
    let found = sqlx::query(&statement).fetch_all(connection).await?;
    let mut sums = BTreeMap::new();
    for row in found {
        sums.insert(row.try_get("bucket")?, (row.try_get("rows")?, row.try_get("sum")?));
    }
    Ok(sums)
}

async fn rows(
    connection: &mut PgConnection,
    view: &View,
    buckets: &[i32],
) -> Result<BTreeMap<String, i64>, Failure> {
    let (table, content, key) = (view.table, content(view), key(view));
    let statement = format!(
        "SELECT {key} AS key, hashtextextended({content}, 0) AS hash FROM {table} t \
         WHERE abs(hashtext({key}) % {BUCKETS}) = ANY($1) AND {compared}",
        compared = view.compared,
    );
    let found = sqlx::query(&statement).bind(buckets).fetch_all(connection).await?;
    let mut rows = BTreeMap::new();
    for row in found {
        rows.insert(row.try_get("key")?, row.try_get("hash")?);
    }
    Ok(rows)
}
