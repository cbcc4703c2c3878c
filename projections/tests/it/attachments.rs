//! What is known of files, with those who are at the same one at once.

use std::time::Duration;

use parley_domain::{
    ClientMessageId,
    body::{Attachment, File},
};
use parley_projections::attachments::{
    Access, Arriving, Idle, Removing, Reservation, Walk, access, awaited, claim, reserve, served,
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    log::{Log, direct, user},
    support::{catch_up, count, eventually, views},
};

const PATIENCE: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn file() -> File {
    let (file_name, content_type) = ("a.png".to_owned(), "image/png".to_owned());
    File { file_name, content_type, size_bytes: 7 }
}

/// By ann for bob, uploaded, made so many hours ago.
async fn uploaded(pool: &PgPool, id: u128, hours: i64) -> Uuid {
    let attachment_id = Uuid::from_u128(id);
    let (uploader_id, conversation_id) = (user("ann"), direct("ann", "bob"));
    let reservation = Reservation { attachment_id, uploader_id, conversation_id, file: file() };
    assert_eq!(reserve(pool, &reservation, None).await.unwrap(), None);
    assert_eq!(awaited(pool, attachment_id).await.unwrap(), Some((7, false)));
    Arriving::begin(pool, attachment_id).await.unwrap().unwrap().arrived().await.unwrap();
    sqlx::query(
        "UPDATE attachments SET created_at = now() - $2 * interval '1 h' WHERE attachment_id = $1",
    )
    .bind(attachment_id)
    .bind(hours)
    .execute(pool)
    .await
    .unwrap();
    attachment_id
}

async fn claimed(pool: &PgPool, name: &str, ids: &[Uuid]) -> Vec<Uuid> {
    let name = ClientMessageId::parse(name).unwrap();
    let found = claim(pool, &direct("ann", "bob"), &user("ann"), &name, ids).await.unwrap();
    assert!(found.iter().all(|Attachment { file: found, .. }| *found == Some(file())));
    found.into_iter().map(|attachment| attachment.attachment_id).collect()
}

fn idle(id: Uuid) -> Idle {
    Idle { attachment_id: id, conversation_id: direct("ann", "bob") }
}

#[tokio::test]
async fn a_file_arrives_once() {
    let pool = views().await;
    let id = uploaded(&pool, 1, 0).await;
    assert!(Arriving::begin(&pool, id).await.unwrap().is_none());
    assert!(Arriving::begin(&pool, Uuid::from_u128(2)).await.unwrap().is_none());
    assert_eq!(awaited(&pool, id).await.unwrap(), Some((7, true)));
    assert_eq!(served(&pool, id).await.unwrap(), Some(file()));
}

#[tokio::test]
async fn a_message_claims_all_of_its_files_or_none() {
    let pool = views().await;
    let (one, two) = (uploaded(&pool, 1, 0).await, uploaded(&pool, 2, 0).await);
    let unknown = Uuid::from_u128(3);
    assert_eq!(claimed(&pool, "c-1", &[one, two, unknown]).await, [one, two]);
    assert_eq!(claimed(&pool, "c-2", &[one]).await, [one]);
    assert_eq!(claimed(&pool, "c-2", &[one]).await, [one]);
    assert_eq!(claimed(&pool, "c-3", &[two, one]).await, [two]);
    let name = ClientMessageId::parse("c-4").unwrap();
    for (conversation, sender) in [("bob", "bob"), ("cid", "ann")] {
        let id = direct("ann", conversation);
        assert_eq!(claim(&pool, &id, &user(sender), &name, &[two]).await.unwrap(), []);
    }
}

#[tokio::test]
async fn who_sees_the_message_may_fetch_its_file() {
    let pool = views().await;
    let id = uploaded(&pool, 1, 0).await;
    let asked = async |reader: &str| access(&pool, id, &user(reader)).await.unwrap();
    assert_eq!([asked("ann").await, asked("bob").await], [Access::Granted, Access::Refused]);
    claimed(&pool, "c-1", &[id]).await;
    assert_eq!(asked("bob").await, Access::Undecided);
    let mut log = Log::default();
    log.send_files("ann", "bob", &[1]);
    catch_up(&pool, &log).await;
    assert_eq!([asked("ann").await, asked("bob").await], [Access::Granted; 2]);
    assert_eq!(asked("eve").await, Access::Refused);
    // It is in a message now.
    assert!(claimed(&pool, "c-1", &[id]).await.is_empty());
    log.delete("ann", "bob", 1);
    catch_up(&pool, &log).await;
    assert_eq!([asked("ann").await, asked("bob").await], [Access::Refused; 2]);
    assert_eq!(served(&pool, id).await.unwrap(), None);
}

#[tokio::test]
async fn a_walk_finds_what_no_message_has_and_begins_again() {
    let pool = views().await;
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(uploaded(&pool, n, 25).await);
    }
    uploaded(&pool, 6, 23).await;
    let mut log = Log::default();
    log.send_files("ann", "bob", &[2]);
    catch_up(&pool, &log).await;
    claimed(&pool, "c-2", &[ids[3]]).await;
    let mut walk = Walk::default();
    for round in 0..2 {
        let mut found = Vec::new();
        for _ in 0..3 {
            found.extend(walk.next(&pool, DAY, 2).await.unwrap());
        }
        assert_eq!(found, [idle(ids[0]), idle(ids[2]), idle(ids[4])], "round {round}");
    }
    // Of a conversation that could not be applied nobody knows what it has.
    sqlx::query("UPDATE conversations SET damaged = true").execute(&pool).await.unwrap();
    assert_eq!(walk.next(&pool, DAY, 10).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_being_removed_is_claimed_by_nobody_and_the_other_way_round() {
    let pool = views().await;
    let (one, two) = (uploaded(&pool, 1, 25).await, uploaded(&pool, 2, 25).await);
    let removing = Removing::begin(&pool, &idle(one), DAY).await.unwrap().unwrap();
    let wanted = [one];
    let (claimed_one, ()) = tokio::join!(claimed(&pool, "c-1", &wanted), async {
        // It waits for the lock.
        let waiting =
            "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("somebody waits", PATIENCE, async || count(&pool, waiting).await > 0).await;
        removing.removed().await.unwrap();
    });
    assert!(claimed_one.is_empty());
    assert_eq!(awaited(&pool, one).await.unwrap(), None);
    assert_eq!(claimed(&pool, "c-1", &[two]).await, [two]);
    assert!(Removing::begin(&pool, &idle(two), DAY).await.unwrap().is_none());
}
