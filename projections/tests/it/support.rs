//! What the tests share.

use std::{collections::HashMap, time::Duration};

use parley_nats::tail::LogMessage;
use parley_projections::apply::{Applied, NotApplied, apply};
use parley_runtime::engines::testing::TestPostgres;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgPool;

use crate::log::{Log, SHARD};

/// An empty database with the schema.
pub async fn views() -> PgPool {
    let url = TestPostgres::database().await;
    views_at(&url).await
}

pub async fn views_at(url: &str) -> PgPool {
    let pool = parley_projections::connect(url, "test", 4).unwrap();
    parley_projections::migrate(&pool).await.unwrap();
    pool
}

/// The same behind a single connection, whose statistics are then all there are.
pub async fn lone_views() -> PgPool {
    let url = TestPostgres::database().await;
    let pool = parley_projections::connect(&url, "test", 1).unwrap();
    parley_projections::migrate(&pool).await.unwrap();
    pool
}

/// Views that hold the whole log.
pub async fn views_of(log: &Log) -> PgPool {
    let pool = views().await;
    catch_up(&pool, log).await;
    pool
}

/// Applies what the views do not have yet, as one batch.
pub async fn catch_up(pool: &PgPool, log: &Log) -> Applied {
    apply_batch(pool, log.after(checkpoint(pool).await)).await.unwrap()
}

pub async fn apply_batch(pool: &PgPool, batch: &[LogMessage]) -> Result<Applied, NotApplied> {
    sqlx::query("INSERT INTO checkpoints (shard, position) VALUES ($1, 0) ON CONFLICT DO NOTHING")
        .bind(i32::from(SHARD))
        .execute(pool)
        .await
        .unwrap();
    let expected = checkpoint(pool).await;
    apply(&mut pool.acquire().await.unwrap(), SHARD, expected, batch).await
}

pub async fn checkpoint(pool: &PgPool) -> u64 {
    parley_projections::checkpoint(pool, SHARD).await.unwrap()
}

/// Everything in the views but the times of the wall clock, in a stable order.
pub async fn dump(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT 'c ' || to_jsonb(t)::text FROM conversations t UNION ALL \
         SELECT 'm ' || to_jsonb(t)::text FROM members t UNION ALL \
         SELECT 's ' || to_jsonb(t)::text FROM messages t UNION ALL \
         SELECT 'r ' || to_jsonb(t)::text FROM reactions t UNION ALL \
         SELECT 'e ' || to_jsonb(t)::text FROM edits t UNION ALL \
         SELECT 'u ' || to_jsonb(t)::text FROM attachment_uses t UNION ALL \
         SELECT 'x ' || to_jsonb(t)::text FROM erasures t UNION ALL \
         SELECT 'a ' || to_jsonb(t)::text FROM accounts t UNION ALL \
         SELECT 'v ' || to_jsonb(t)::text FROM devices t UNION ALL \
         SELECT 'k ' || to_jsonb(t)::text FROM contacts t UNION ALL \
         SELECT 'r ' || to_jsonb(t)::text FROM conversation_marks t UNION ALL \
         SELECT 'g ' || to_jsonb(t)::text FROM account_settings t UNION ALL \
         SELECT 'e ' || to_jsonb(t)::text FROM notification_endpoints t UNION ALL \
         SELECT 'd ' || (to_jsonb(t) - 'at')::text FROM dead_letters t UNION ALL \
         SELECT 'p ' || shard || ' ' || position FROM checkpoints WHERE position > 0 \
         ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

pub async fn count(pool: &PgPool, table: &str) -> u64 {
    let count: i64 =
        sqlx::query_scalar(&format!("SELECT count(*) FROM {table}")).fetch_one(pool).await.unwrap();
    u64::try_from(count).unwrap()
}

/// Rows that this connection has read of each table, by index or otherwise.
pub async fn rows_read(pool: &PgPool) -> HashMap<String, i64> {
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await.unwrap();
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT relname::text, seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// `hub` talks to `of_hub` people, among `others` conversations of other people.
pub async fn crowd(pool: &PgPool, of_hub: i32, others: i32) {
    for statement in [
        "INSERT INTO conversations (shard, conversation_id, kind, position, version, last_seq, \
         created_at, updated_at, last_message_at) \
         SELECT n % 4, CASE WHEN n <= $1 THEN 'd.hub.u' || n ELSE 'd.t' || n || '.u' || n END, \
         'direct', n, 3, 3, now(), now(), now() - n * 7919 % 1000000 * interval '1 s' \
         FROM generate_series(1, $1 + $2) n",
        "INSERT INTO members (conversation_id, user_id, read_seq, delivered_seq) \
         SELECT conversation_id, split_part(conversation_id, '.', side + 1), side % 3, 2 \
         FROM conversations, generate_series(1, 2) side WHERE $1 + $2 > 0",
        "INSERT INTO messages (conversation_id, conversation_seq, version, position, fingerprint, \
         created_at, message_id, sender_id, client_message_id, body) \
         SELECT conversation_id, seq, seq, seq, 0, now(), gen_random_uuid(), \
         split_part(conversation_id, '.', 2), 'c-' || seq, \
         jsonb_build_object('kind', 'text', 'text', repeat('hello ', 30)) \
         FROM conversations, generate_series(1, 3) seq WHERE $1 + $2 > 0",
    ] {
        sqlx::query(statement).bind(of_hub).bind(others).execute(pool).await.unwrap();
    }
    sqlx::query("ANALYZE").execute(pool).await.unwrap();
}

/// Asks until the answer is yes; fails after `patience`.
pub async fn eventually(what: &str, patience: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let waited = tokio::time::timeout(patience, async {
        while !is_so().await {
            ticks.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "not within {patience:?}: {what}");
}

/// Randomness that can be repeated: set `PARLEY_TEST_SEED` to what a failed run has printed.
pub fn random() -> StdRng {
    let given = std::env::var("PARLEY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    println!("PARLEY_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
