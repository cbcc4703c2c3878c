//! Groups: who sees what, before joining, while there, after leaving, and back again.

use parley_domain::{Action, ConversationId, Kind, Role, conversation::Title};
use parley_projections::{
    queries::{
        Filter, Page, Receipts, SyncLimits, SyncPage, blocks, history, inbox, receipts, summary,
        sync_page,
    },
    views::Summary,
};
use sqlx::PgPool;

use crate::{
    log::{Log, SHARD, direct, named, user},
    support::{apply_batch, catch_up, views, views_of},
};

async fn seen(pool: &PgPool, id: &ConversationId, name: &str) -> Vec<u64> {
    let page = history(pool, id, &user(name), Page::Latest, 200).await.unwrap();
    let messages = page.map_or(Vec::new(), |page| page.messages);
    messages.iter().map(|message| message.conversation_seq).collect()
}

async fn shown(pool: &PgPool, id: &ConversationId, name: &str) -> Option<Summary> {
    summary(pool, id, &user(name), Log::time_of(0)).await.unwrap()
}

async fn since(pool: &PgPool, name: &str, position: u64) -> SyncPage {
    let mut since = vec![0; usize::from(SHARD) + 1];
    since[usize::from(SHARD)] = position;
    let limits = SyncLimits { max_conversations: 10, max_messages: 100 };
    sync_page(pool, SHARD + 1, &user(name), Some(&since), None, limits).await.unwrap()
}

/// The conversation's version and the messages, if it is in the page.
fn of(page: &SyncPage, id: &ConversationId) -> Option<(u64, Vec<u64>)> {
    let found = page.conversations.iter().find(|one| one.conversation.conversation_id == *id)?;
    let seqs = found.messages.iter().map(|message| message.conversation_seq).collect();
    Some((found.conversation.version, seqs))
}

fn rename(title: &str) -> Action {
    Action::Rename { title: Some(Title::parse(title).unwrap()) }
}

/// olga, mia and, from message 3 to 4 and from 7 on, joe. Ends at message 8.
fn come_and_go() -> (Log, ConversationId, [u64; 4]) {
    let mut log = Log::default();
    let id = named(Kind::Group, 1);
    log.create(&id, "olga", &["mia"]);
    log.say(&id, "olga", "1");
    log.say(&id, "mia", "2");
    let before = log.last();
    log.add(&id, "olga", "joe").unwrap();
    log.say(&id, "joe", "3");
    log.say(&id, "olga", "4");
    let there = log.last();
    log.remove(&id, "joe", "joe").unwrap();
    let left = log.last();
    log.say(&id, "olga", "5");
    log.ask(&id, "olga", rename("Without joe")).unwrap();
    log.say(&id, "mia", "6");
    let away = log.last();
    log.add(&id, "mia", "joe");
    log.add(&id, "olga", "joe").unwrap();
    log.say(&id, "olga", "7");
    log.say(&id, "joe", "8");
    (log, id, [before, there, left, away])
}

#[tokio::test]
async fn a_member_sees_what_was_said_while_they_were_there() {
    let (log, id, [_, _, _, away]) = come_and_go();
    for batch in [1, 3, 100] {
        let pool = views().await;
        let there: Vec<_> = log.messages.iter().filter(|m| m.position <= away).cloned().collect();
        for part in there.chunks(batch) {
            apply_batch(&pool, part).await.unwrap();
        }
        assert_eq!(seen(&pool, &id, "joe").await, [3, 4]);
        assert_eq!(seen(&pool, &id, "mia").await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(history(&pool, &id, &user("eve"), Page::Latest, 9).await.unwrap(), None);
        // Frozen at leaving: nothing of later.
        let frozen = shown(&pool, &id, "joe").await.unwrap();
        assert_eq!(frozen.title.as_deref(), Some("Market"));
        assert_eq!((frozen.version, frozen.last_seq, frozen.member_count), (7, 4, 2));
        assert_eq!((frozen.can_send, frozen.members), (false, None));
        assert_eq!(frozen.last_message.unwrap().conversation_seq, 4);
        assert_eq!(shown(&pool, &id, "eve").await, None);
        assert_eq!(receipts(&pool, &id, &user("joe"), 3).await.unwrap(), None);

        catch_up(&pool, &log).await;
        assert_eq!(seen(&pool, &id, "joe").await, [3, 4, 7, 8]);
        let back = shown(&pool, &id, "joe").await.unwrap();
        assert_eq!(back.title.as_deref(), Some("Without joe"));
        assert_eq!((back.version, back.last_seq, back.unread), (log.states[&id].version, 8, 0));
        assert!(back.can_send);
        let first = history(&pool, &id, &user("joe"), Page::After(0), 1).await.unwrap().unwrap();
        assert_eq!((first.messages[0].conversation_seq, first.next_after_seq), (3, Some(3)));
        let last = history(&pool, &id, &user("joe"), Page::Before(4), 9).await.unwrap().unwrap();
        assert_eq!((last.messages.len(), last.next_before_seq), (1, None));
    }
}

#[tokio::test]
async fn who_joins_finds_the_conversation_at_once_and_nothing_unread() {
    let mut log = Log::default();
    let id = named(Kind::Group, 1);
    log.create(&id, "olga", &["mia"]);
    log.say(&id, "olga", "before");
    log.send("joe", "ann", "meanwhile");
    log.add(&id, "olga", "joe").unwrap();
    let pool = views_of(&log).await;
    let page = inbox(&pool, &user("joe"), Filter::All, 10, None).await.unwrap();
    let first = &page.summaries[0];
    assert_eq!((&first.conversation_id, first.unread, first.last_seq), (&id, 0, 1));
    assert_eq!(first.last_message, None);
    assert_eq!(first.members, None, "a list of conversations does not carry their members");
    let whole = shown(&pool, &id, "joe").await.unwrap();
    let roles: Vec<(&str, Role)> = whole
        .members
        .iter()
        .flatten()
        .map(|member| (member.user_id.as_str(), member.role))
        .collect();
    assert_eq!(roles, [("joe", Role::Member), ("mia", Role::Member), ("olga", Role::Owner)]);
    let unread = inbox(&pool, &user("mia"), Filter::Unread, 10, None).await.unwrap();
    assert_eq!(unread.summaries[0].unread, 1);
}

#[tokio::test]
async fn sync_gives_what_one_may_see_and_lacks() {
    let (log, id, [before, there, left, away]) = come_and_go();
    let pool = views_of(&log).await;
    let version = log.states[&id].version;
    assert_eq!(of(&since(&pool, "joe", before).await, &id), Some((version, vec![3, 4, 7, 8])));
    assert_eq!(of(&since(&pool, "joe", there).await, &id), Some((version, vec![7, 8])));
    assert_eq!(of(&since(&pool, "joe", away).await, &id), Some((version, vec![7, 8])));
    assert_eq!(of(&since(&pool, "mia", there).await, &id), Some((version, vec![5, 6, 7, 8])));
    assert_eq!(of(&since(&pool, "eve", 0).await, &id), None);

    // One who has left: up to the leaving, once, and nothing of later.
    let pool = views().await;
    let gone: Vec<_> = log.messages.iter().filter(|m| m.position <= away).cloned().collect();
    apply_batch(&pool, &gone).await.unwrap();
    assert_eq!(of(&since(&pool, "joe", before).await, &id), Some((7, vec![3, 4])));
    assert_eq!(of(&since(&pool, "joe", there).await, &id), Some((7, vec![])));
    assert_eq!(of(&since(&pool, "joe", left).await, &id), None);
}

#[tokio::test]
async fn who_comes_back_learns_what_changed_while_they_were_away() {
    let (log, id, [_, _, left, away]) = come_and_go();
    let pool = views_of(&log).await;
    // As a deletion will: message 4, which joe has, is changed while he is away.
    let changed = i64::try_from(left + 1).unwrap();
    sqlx::query("UPDATE messages SET body = NULL, deleted_at = now(), changed_position = $1 WHERE conversation_seq = 4")
        .bind(changed)
        .execute(&pool)
        .await
        .unwrap();
    let (_, seqs) = of(&since(&pool, "joe", away).await, &id).unwrap();
    assert_eq!(seqs, [4, 7, 8]);
}

#[tokio::test]
async fn receipts_are_of_those_who_are_there_and_may_see_the_message() {
    let (mut log, id, _) = come_and_go();
    log.ask(&id, "mia", Action::MarkRead { through_seq: 7 }).unwrap();
    log.ask(&id, "olga", Action::MarkDelivered { through_seq: 8 }).unwrap();
    let pool = views_of(&log).await;
    let of = async |seq| receipts(&pool, &id, &user("olga"), seq).await.unwrap();
    let expected = Receipts {
        sender_id: user("joe"),
        read_by: Vec::new(),
        delivered_to: vec![user("olga")],
        members: 3,
    };
    assert_eq!(of(8).await, Some(expected));
    let five = of(5).await.unwrap();
    assert_eq!((five.read_by, five.members), (vec![user("mia")], 2));
    assert_eq!(receipts(&pool, &id, &user("joe"), 5).await.unwrap(), None);
    assert_eq!(receipts(&pool, &id, &user("eve"), 8).await.unwrap(), None);
}

#[tokio::test]
async fn blocking_shows_to_who_blocks_and_hides_cursors() {
    let mut log = Log::default();
    let id = direct("ann", "bob");
    log.send("ann", "bob", "1");
    log.read("bob", "ann", 1);
    log.send("ann", "bob", "2");
    log.ask(&id, "ann", Action::Block).unwrap();
    log.read("bob", "ann", 2);
    let mut pool = views_of(&log).await;
    for round in 0..2 {
        let ann = shown(&pool, &id, "ann").await.unwrap();
        let bob = shown(&pool, &id, "bob").await.unwrap();
        assert_eq!((ann.blocked_by_me, ann.can_send), (true, false));
        assert_eq!((bob.blocked_by_me, bob.can_send), (false, false));
        assert_eq!((bob.read_seq, ann.peer_read_seq), (2, Some(1)));
        assert_eq!(blocks(&pool, &user("ann")).await.unwrap(), [user("bob")]);
        assert!(blocks(&pool, &user("bob")).await.unwrap().is_empty());
        let of = receipts(&pool, &id, &user("ann"), 2).await.unwrap().unwrap();
        assert!(of.read_by.is_empty() && of.delivered_to.is_empty());
        if round == 0 {
            // The same, event by event.
            pool = views().await;
            for message in &log.messages {
                apply_batch(&pool, std::slice::from_ref(message)).await.unwrap();
            }
        }
    }
    log.ask(&id, "ann", Action::Unblock).unwrap();
    log.send("bob", "ann", "3");
    catch_up(&pool, &log).await;
    let ann = shown(&pool, &id, "ann").await.unwrap();
    assert_eq!((ann.blocked_by_me, ann.can_send, ann.peer_read_seq), (false, true, Some(3)));
    assert!(blocks(&pool, &user("ann")).await.unwrap().is_empty());
}

/// Rows that were inserted or updated, by table, as this connection has counted them.
async fn written(pool: &PgPool) -> Vec<(String, i64)> {
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await.unwrap();
    sqlx::query_as(
        "SELECT relname::text, n_tup_ins + n_tup_upd FROM pg_stat_user_tables \
         WHERE n_tup_ins + n_tup_upd > 0 ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_message_to_500_members_writes_three_rows() {
    let mut log = Log::default();
    let id = named(Kind::Group, 1);
    let names: Vec<String> = (1..500).map(|n| format!("u{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    log.create(&id, "olga", &names);
    log.say(&id, "olga", "first");
    let pool = crate::support::lone_views().await;
    catch_up(&pool, &log).await;
    let before = written(&pool).await;
    log.say(&id, "u7", "second").unwrap();
    catch_up(&pool, &log).await;
    let after = written(&pool).await;
    let grown: Vec<(&str, i64)> = after
        .iter()
        .zip(&before)
        .map(|((table, now), (_, then))| (table.as_str(), now - then))
        .filter(|(_, grown)| *grown > 0)
        .collect();
    assert_eq!(grown, [("checkpoints", 1), ("conversations", 1), ("members", 1), ("messages", 1)]);
}
