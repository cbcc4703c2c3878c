//! How many files, and how much, somebody may reserve.

use axum::http::header;
use parley_runtime::engines::testing::TestPostgres;

use crate::{attachments::reservation, support::World};

#[tokio::test]
async fn reservations_of_an_hour_are_limited() {
    let database = TestPostgres::database().await;
    let limited = [("PARLEY_RATE_ATTACHMENTS_PER_HOUR", "2")];
    let world = World::start_with(&database, &limited).await;
    let asked = reservation("d.lim_a.lim_b", "a.txt", "text/plain", 5);
    for _ in 0..2 {
        world.post("/v1/attachments", "lim_a", &asked).await.ok(201);
    }
    let refused = world.post("/v1/attachments", "lim_a", &asked).await;
    refused.refused(429, "rate_limited");
    assert!(refused.header(header::RETRY_AFTER).parse::<u64>().unwrap() > 60);
    world.post("/v1/attachments", "lim_b", &asked).await.ok(201);
    world.shutdown().begin();
}

#[tokio::test]
async fn bytes_of_a_day_are_limited() {
    let database = TestPostgres::database().await;
    let limited = [("PARLEY_ATTACHMENTS_DAY_BYTES", "10")];
    let world = World::start_with(&database, &limited).await;
    let asked = |size| reservation("d.byte_a.byte_b", "a.txt", "text/plain", size);
    for size in [4, 6] {
        world.post("/v1/attachments", "byte_a", &asked(size)).await.ok(201);
    }
    let refused = world.post("/v1/attachments", "byte_a", &asked(1)).await;
    refused.refused(429, "rate_limited");
    assert!(refused.text.contains("in a day"), "{refused:?}");
    world.post("/v1/attachments", "byte_b", &asked(10)).await.ok(201);
    // The first four bytes are a day old before the others.
    let pool = &sqlx::PgPool::connect(&database).await.unwrap();
    let earlier = "UPDATE attachments SET created_at = created_at - interval '23 h' \
        WHERE uploader_id = 'byte_a' AND size_bytes = 4";
    sqlx::query(earlier).execute(pool).await.unwrap();
    for (size, seconds) in [(4, 3_000..=3_600), (5, 80_000..=86_400)] {
        let refused = world.post("/v1/attachments", "byte_a", &asked(size)).await;
        let wait = refused.header(header::RETRY_AFTER).parse::<u64>().unwrap();
        assert!(seconds.contains(&wait), "{size} bytes after {wait} s");
    }
    let now = "UPDATE attachments SET created_at = created_at - interval '1 h' \
        WHERE uploader_id = 'byte_a' AND size_bytes = 4";
    sqlx::query(now).execute(pool).await.unwrap();
    world.post("/v1/attachments", "byte_a", &asked(4)).await.ok(201);
    world.shutdown().begin();
}
