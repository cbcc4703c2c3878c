//! The inbox: newest activity first, in pages.

use std::time::Instant;

use parley_projections::queries::{Filter, InboxCursor, inbox};
use sqlx::PgPool;

use crate::{
    log::{Log, user},
    support::{crowd, lone_views, rows_read, views_of},
};

/// The other people of the pages, page by page.
async fn pages(pool: &PgPool, who: &str, filter: Filter, limit: u32) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor: Option<InboxCursor> = None;
    loop {
        let page = inbox(pool, &user(who), filter, limit, cursor.as_ref()).await.unwrap();
        let other = |id: parley_domain::ConversationId| {
            let [lo, hi] = id.direct_members().unwrap();
            if lo == user(who) { hi.to_string() } else { lo.to_string() }
        };
        pages.push(page.summaries.into_iter().map(|shown| other(shown.conversation_id)).collect());
        match page.next_cursor {
            // Through its text, as a client would send it.
            Some(next) => cursor = Some(InboxCursor::parse(&next.to_string()).unwrap()),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn newest_activity_comes_first_and_reading_is_not_activity() {
    let mut log = Log::default();
    for other in ["bob", "cid", "dan", "eve"] {
        log.send(other, "ann", "hello");
    }
    log.send("ann", "cid", "hello yourself");
    log.read("ann", "bob", 1);
    log.send("bob", "cid", "not for ann");
    let pool = views_of(&log).await;
    assert_eq!(pages(&pool, "ann", Filter::All, 10).await, [["cid", "eve", "dan", "bob"]]);
    assert_eq!(pages(&pool, "ann", Filter::All, 2).await, [vec!["cid", "eve"], vec!["dan", "bob"]]);
    assert_eq!(pages(&pool, "ann", Filter::All, 3).await, [vec!["cid", "eve", "dan"], vec!["bob"]]);
    assert_eq!(pages(&pool, "ann", Filter::Unread, 1).await, [["eve"], ["dan"]]);
    assert_eq!(pages(&pool, "ann", Filter::Archived, 5).await, [Vec::<String>::new()]);
    assert_eq!(pages(&pool, "zoe", Filter::All, 5).await, [Vec::<String>::new()]);
}

#[tokio::test]
async fn conversations_of_the_same_moment_are_all_shown_once() {
    let mut log = Log::default();
    for other in 0..50 {
        log.send("ann", &format!("u{other:02}"), "hello");
    }
    let pool = views_of(&log).await;
    sqlx::query("UPDATE conversations SET last_message_at = '2026-11-21T09:45:00Z'")
        .execute(&pool)
        .await
        .unwrap();
    let mut shown: Vec<String> = pages(&pool, "ann", Filter::All, 7).await.concat();
    assert_eq!(shown.len(), 50);
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), 50);
}

#[tokio::test]
async fn a_page_of_five_thousand_conversations_reads_what_it_must_and_no_more() {
    let pool = lone_views().await;
    crowd(&pool, 5_000, 50_000).await;
    let before = rows_read(&pool).await;
    let began = Instant::now();
    let mut cursor = None;
    for _ in 0..10 {
        let page = inbox(&pool, &user("hub"), Filter::All, 50, cursor.as_ref()).await.unwrap();
        assert_eq!(page.summaries.len(), 50);
        cursor = page.next_cursor;
    }
    println!("a page of 50 out of 5,000 conversations: {:?}", began.elapsed() / 10);
    let after = rows_read(&pool).await;
    // The user's own rows to sort them, and what is shown; the planner looks at some rows, too.
    let fetched = |table: &str| (after[table] - before[table]) / 10;
    assert!(fetched("conversations") <= 5_100, "{}", fetched("conversations"));
    assert!(fetched("members") <= 5_200, "{}", fetched("members"));
    assert!(fetched("messages") <= 100, "{}", fetched("messages"));
}
