//! Sync: whatever the absence, and however the pages are cut, a device ends with the state.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use parley_domain::ConversationId;
use parley_projections::{
    load_conversation,
    queries::{AccountState, Page, SyncCursor, SyncLimits, SyncPage, history, sync_page},
    views::{Message, Summary},
};
use rand::Rng;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    applying::random_log,
    log::{Log, SHARD, direct, user},
    support::{apply_batch, catch_up, crowd, lone_views, random, rows_read, views, views_of},
};

const SHARDS: u16 = 4;

fn limits(max_conversations: u32, max_messages: u32) -> SyncLimits {
    SyncLimits { max_conversations, max_messages }
}

/// Positions by shard, this test's shard at `position`.
fn at(position: u64) -> Vec<u64> {
    (0..SHARDS).map(|shard| if shard == SHARD { position } else { 0 }).collect()
}

async fn page(
    pool: &PgPool,
    who: &str,
    since: Option<&[u64]>,
    cursor: Option<SyncCursor>,
    limits: SyncLimits,
) -> SyncPage {
    // As a token carries it.
    let cursor = cursor.map(|cursor| {
        let json = serde_json::to_string(&cursor).unwrap();
        serde_json::from_str(&json).unwrap()
    });
    let page = sync_page(pool, SHARDS, &user(who), since, cursor, limits).await.unwrap();
    let messages: usize = page.conversations.iter().map(|shown| shown.messages.len()).sum();
    assert!(page.conversations.len() <= limits.max_conversations as usize);
    assert!(messages <= limits.max_messages as usize);
    page
}

async fn all(pool: &PgPool, who: &str, since: Option<&[u64]>, limits: SyncLimits) -> Vec<SyncPage> {
    let mut pages = vec![page(pool, who, since, None, limits).await];
    while let Some(next) = pages[pages.len() - 1].next.clone() {
        pages.push(page(pool, who, since, Some(next), limits).await);
        assert!(pages.len() < 1_000, "it never ends");
        assert_eq!(pages[pages.len() - 1].checkpoints, pages[0].checkpoints);
    }
    pages
}

/// What a device keeps.
#[derive(Debug, Default, PartialEq, Clone)]
struct Device {
    conversations: BTreeMap<ConversationId, Summary>,
    messages: BTreeMap<(ConversationId, u64), Message>,
}

impl Device {
    fn take(&mut self, pages: &[SyncPage]) {
        for shown in pages.iter().flat_map(|page| &page.conversations) {
            let id = &shown.conversation.conversation_id;
            for message in &shown.messages {
                let key = (id.clone(), message.conversation_seq);
                self.messages.insert(key, message.clone());
            }
            self.conversations.insert(id.clone(), shown.conversation.clone());
        }
    }

    /// Everything, from the beginning of the log.
    async fn fresh(pool: &PgPool, who: &str) -> Self {
        let mut device = Self::default();
        device.take(&all(pool, who, Some(&at(0)), limits(10_000, 100_000)).await);
        device
    }
}

fn ids(page: &SyncPage) -> Vec<String> {
    page.conversations.iter().map(|shown| shown.conversation.conversation_id.to_string()).collect()
}

#[tokio::test]
async fn a_new_device_gets_summaries_newest_first_and_no_messages() {
    let mut log = Log::default();
    for other in ["bob", "cid", "dan", "eve", "fay"] {
        log.send(other, "ann", "hello");
    }
    let pool = views_of(&log).await;
    let at_once = all(&pool, "ann", None, limits(10, 10)).await;
    assert_eq!(at_once.len(), 1);
    assert_eq!(at_once[0].checkpoints, at(5));
    assert_eq!(ids(&at_once[0]), ["d.ann.fay", "d.ann.eve", "d.ann.dan", "d.ann.cid", "d.ann.bob"]);
    assert!(at_once[0].conversations.iter().all(|shown| shown.messages.is_empty()));
    let nobody = all(&pool, "zoe", None, limits(10, 10)).await;
    let account = Some(AccountState::default());
    assert_eq!(nobody, [SyncPage { checkpoints: at(5), account, ..SyncPage::default() }]);
}

#[tokio::test]
async fn a_conversation_that_moves_to_the_front_between_two_pages_is_not_missed() {
    let mut log = Log::default();
    for other in ["bob", "cid", "dan", "eve"] {
        log.send(other, "ann", "hello");
    }
    let pool = views_of(&log).await;
    let first = page(&pool, "ann", None, None, limits(2, 10)).await;
    assert_eq!(ids(&first), ["d.ann.eve", "d.ann.dan"]);
    log.send("bob", "ann", "me first");
    catch_up(&pool, &log).await;
    let second = page(&pool, "ann", None, first.next.clone(), limits(2, 10)).await;
    assert_eq!(ids(&second), ["d.ann.cid"]);
    let third = page(&pool, "ann", None, second.next.clone(), limits(2, 10)).await;
    assert_eq!(ids(&third), ["d.ann.bob"]);
    assert_eq!(third.conversations[0].messages[0].conversation_seq, 2);
    assert_eq!(third.next, None);
    assert_eq!(third.checkpoints, at(4));
}

#[tokio::test]
async fn with_a_token_only_what_changed_comes_with_its_messages() {
    let mut log = Log::default();
    for other in ["bob", "cid", "dan"] {
        log.send(other, "ann", "before");
    }
    let since = at(log.last());
    log.send("bob", "ann", "after");
    log.read("ann", "dan", 1);
    log.send("bob", "cid", "not for ann");
    let pool = views_of(&log).await;
    let pages = all(&pool, "ann", Some(&since), limits(10, 10)).await;
    assert_eq!(pages.len(), 1);
    assert_eq!(ids(&pages[0]), ["d.ann.bob", "d.ann.dan"]);
    let [bob, dan] = &pages[0].conversations[..] else { panic!() };
    assert_eq!(bob.messages.len(), 1);
    assert_eq!((bob.messages[0].conversation_seq, bob.conversation.version), (2, 2));
    assert_eq!((dan.messages.len(), dan.conversation.read_seq), (0, 1));
    // Nothing is newer than the end; a device ahead of the views keeps its place.
    for position in [log.last(), log.last() + 7] {
        let pages = all(&pool, "ann", Some(&at(position)), limits(10, 10)).await;
        assert_eq!(pages, [SyncPage { checkpoints: at(position), ..SyncPage::default() }]);
    }
    // A token of fewer shards knows nothing of the others.
    let short = all(&pool, "ann", Some(&[]), limits(10, 10)).await;
    assert_eq!(short[0].conversations.len(), 3);
}

/// A device that is cut off between two parts is given the rest as events, perhaps, and drops those
/// up to the version that it was told.
#[tokio::test]
async fn a_part_of_a_conversation_says_no_later_version_than_it_holds() {
    let mut log = Log::default();
    log.send("bob", "ann", "before");
    let since = at(log.last());
    for _ in 0..12 {
        log.send("bob", "ann", "after");
    }
    log.read("ann", "bob", 13);
    let pool = views_of(&log).await;
    let pages = all(&pool, "ann", Some(&since), limits(10, 5)).await;
    let told: Vec<(usize, u64)> = pages
        .iter()
        .flat_map(|page| &page.conversations)
        .map(|part| (part.messages.len(), part.conversation.version))
        .collect();
    assert_eq!(told, [(5, 6), (5, 11), (2, 14)]);
}

#[tokio::test]
async fn changed_and_deleted_messages_come_however_old_they_are() {
    let mut log = Log::default();
    for n in 0..30 {
        log.send("ann", "bob", &format!("message {n}"));
    }
    let since = at(log.last());
    log.send("bob", "ann", "new");
    let pool = views_of(&log).await;
    // Behind the domain's back.
    for statement in [
        "UPDATE messages SET changed_position = 32, edited_at = now() WHERE conversation_seq = 3",
        "UPDATE messages SET changed_position = 33, deleted_at = now(), body = NULL \
         WHERE conversation_seq = 17",
        "UPDATE messages SET changed_position = 30 WHERE conversation_seq = 9",
        "UPDATE conversations SET position = 33",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    for max_messages in [1, 2, 3, 10] {
        let pages = all(&pool, "bob", Some(&since), limits(5, max_messages)).await;
        let seqs: Vec<u64> = pages
            .iter()
            .flat_map(|page| &page.conversations)
            .flat_map(|shown| &shown.messages)
            .map(|message| message.conversation_seq)
            .collect();
        assert_eq!(seqs, [3, 17, 31], "pages of {max_messages}");
    }
}

#[tokio::test]
async fn a_number_that_poison_left_empty_hides_no_message() {
    let mut log = Log::default();
    for n in 0..40 {
        log.send("ann", "bob", &format!("message {n}"));
    }
    let pool = views_of(&log).await;
    sqlx::query("DELETE FROM messages WHERE conversation_seq IN (1, 10, 11, 12, 25, 40)")
        .execute(&pool)
        .await
        .unwrap();
    for since in 0..=40 {
        for max_messages in [1, 4, 100] {
            let pages = all(&pool, "bob", Some(&at(since)), limits(5, max_messages)).await;
            let seqs: Vec<u64> = pages
                .iter()
                .flat_map(|page| &page.conversations)
                .flat_map(|shown| &shown.messages)
                .map(|message| message.conversation_seq)
                .collect();
            let kept = |seq: &u64| ![1, 10, 11, 12, 25, 40].contains(seq);
            let expected: Vec<u64> = (since + 1..=40).filter(kept).collect();
            assert_eq!(seqs, expected, "since {since}, pages of {max_messages}");
        }
    }
}

#[tokio::test]
async fn state_and_sync_since_any_position_equal_a_fresh_fetch_however_the_pages_are_cut() {
    let mut random = random();
    let log = random_log(&mut random, 250);
    let pool = views().await;
    // A device that saw each prefix of the log.
    let mut devices = vec![(0, Device::default())];
    for part in log.messages.chunks(25) {
        apply_batch(&pool, part).await.unwrap();
        let position = part[part.len() - 1].position;
        devices.push((position, Device::fresh(&pool, "ann").await));
    }
    let fresh = Device::fresh(&pool, "ann").await;
    assert_eq!(fresh.conversations.len(), 4);
    let touched: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT message_id, COALESCE(changed_position, position) FROM messages")
            .fetch_all(&pool)
            .await
            .unwrap();
    let touched: HashMap<Uuid, i64> = touched.into_iter().collect();
    for (position, device) in &devices {
        for _ in 0..6 {
            let limits = limits(random.random_range(1..6), random.random_range(1..30));
            let mut device = device.clone();
            let pages = all(&pool, "ann", Some(&at(*position)), limits).await;
            device.take(&pages);
            assert_eq!(device, fresh, "since {position}, {limits:?}");
            // Nothing comes twice, and nothing that was known.
            let mut seen = BTreeSet::new();
            for shown in pages.iter().flat_map(|page| &page.conversations) {
                let mut last = 0;
                for message in &shown.messages {
                    assert!(message.conversation_seq > last);
                    last = message.conversation_seq;
                    assert!(seen.insert(message.message_id));
                    assert!(touched[&message.message_id] > i64::try_from(*position).unwrap());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_that_was_tampered_with_harms_nobody() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    log.send("bob", "cid", "not for ann");
    let pool = views_of(&log).await;
    for (since, id, after_seq, expected) in [
        (vec![u64::MAX; 9], Some("d.ann.bob"), Some(u64::MAX), 0),
        (vec![], Some("d.ann.bob"), Some(u64::MAX), 1),
        (vec![], Some("d.bob.cid"), Some(0), 0),
        (vec![0; 3_000], None, Some(7), 1),
    ] {
        let cursor = serde_json::json!({
            "checkpoints": [], "next": {"Changed": {"since": since, "id": id, "inside": {"after_seq": after_seq, "version": after_seq}}},
        });
        let cursor = serde_json::from_value(cursor).unwrap();
        let page = page(&pool, "ann", None, Some(cursor), limits(5, 5)).await;
        assert_eq!(page.conversations.len(), expected);
        assert_eq!(page.next, None);
        assert!(
            page.conversations
                .iter()
                .all(|shown| shown.messages.len() == usize::from(id.is_none()))
        );
    }
}

#[tokio::test]
async fn changes_between_the_pages_are_behind_the_checkpoints_that_the_sync_gives() {
    let mut random = random();
    let mut log = Log::default();
    for n in 0..20 {
        log.send("ann", &format!("u{n}"), "hello");
    }
    let pool = views_of(&log).await;
    let mut device = Device::default();
    let limits = limits(3, 4);
    let mut pages = vec![page(&pool, "ann", Some(&at(0)), None, limits).await];
    while let Some(next) = pages[pages.len() - 1].next.clone() {
        for _ in 0..3 {
            log.send("ann", &format!("u{}", random.random_range(0..20)), "more");
        }
        catch_up(&pool, &log).await;
        pages.push(page(&pool, "ann", None, Some(next), limits).await);
    }
    device.take(&pages);
    // Live events go on from there: here, as one more sync.
    let behind = pages[pages.len() - 1].checkpoints.clone();
    assert_eq!(behind, at(20));
    device.take(&all(&pool, "ann", Some(&behind), limits).await);
    assert_eq!(device, Device::fresh(&pool, "ann").await);
    assert_eq!(device.messages.len() as u64, log.last());
    assert!(device.conversations.contains_key(&direct("ann", "u7")));
}

#[tokio::test]
async fn of_thousands_of_conversations_only_the_changed_ones_cost_more_than_a_look() {
    let pool = lone_views().await;
    crowd(&pool, 5_000, 20_000).await;
    let before = rows_read(&pool).await;
    let began = Instant::now();
    let page = page(&pool, "hub", Some(&[4_980; 4]), None, limits(50, 500)).await;
    println!("20 of 5,000 conversations changed: {:?}", began.elapsed());
    let after = rows_read(&pool).await;
    assert_eq!((page.conversations.len(), page.next), (20, None));
    let read = |table: &str| after[table] - before[table];
    // The planner looks at some rows, too.
    assert!(read("conversations") <= 5_100, "{}", read("conversations"));
    assert!(read("members") <= 5_100, "{}", read("members"));
    assert!(read("messages") <= 200, "{}", read("messages"));
}

#[tokio::test]
async fn a_long_history_costs_nothing_but_what_is_new_in_it() {
    let mut log = Log::default();
    log.send("ann", "bob", "the first");
    let pool = lone_views().await;
    catch_up(&pool, &log).await;
    for statement in [
        "INSERT INTO messages (conversation_id, conversation_seq, version, position, fingerprint, \
         created_at, message_id, sender_id, client_message_id, body) \
         SELECT 'd.ann.bob', seq, seq, seq * 3, 0, now(), gen_random_uuid(), 'ann', 'c-' || seq, \
         '{\"kind\":\"text\",\"text\":\"hello\"}' FROM generate_series(2, 50000) seq",
        "UPDATE messages SET changed_position = 150000 WHERE conversation_seq = 7",
        "UPDATE conversations SET position = 150000, last_seq = 50000, version = 50000",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    for (since, expected, at_most) in [(149_970, 11, 40), (0, 500, 2_000)] {
        let before = rows_read(&pool).await["messages"];
        let page = page(&pool, "bob", Some(&at(since)), None, limits(5, 500)).await;
        let read = rows_read(&pool).await["messages"] - before;
        assert_eq!(page.conversations[0].messages.len(), expected);
        assert!(read <= at_most, "since {since}: {read} messages were read");
    }
    let id = direct("ann", "bob");
    let before = rows_read(&pool).await["messages"];
    for (page, first) in
        [(Page::Latest, 49_951), (Page::Before(300), 250), (Page::After(25_000), 25_001)]
    {
        let page = history(&pool, &id, &user("ann"), page, 50).await.unwrap().unwrap();
        assert_eq!((page.messages.len(), page.messages[0].conversation_seq), (50, first));
    }
    load_conversation(&pool, SHARD, &id).await.unwrap();
    let read = rows_read(&pool).await["messages"] - before;
    assert!(read <= 3 * 50 + 1_000 + 20, "{read}");
}
