//! Edits, deletions and reactions: in history, in summaries, in a sync; and what erasure leaves.

use parley_domain::{Action, Body, Emoji, Timestamp};
use parley_projections::{
    load_conversation,
    queries::{Page, SyncLimits, history, summary, sync_page},
    views::Message,
};
use sqlx::PgPool;

use crate::{
    applying::random_log,
    log::{Log, SHARD, direct, user},
    support::{apply_batch, catch_up, count, dump, random, views, views_of},
};

async fn messages(pool: &PgPool) -> Vec<Message> {
    let found = history(pool, &direct("ann", "bob"), &user("ann"), Page::Latest, 100).await;
    found.unwrap().unwrap().messages
}

fn text(message: &Message) -> Option<&str> {
    let body = message.body.as_ref()?;
    if let Body::Text { text } = body { Some(text) } else { panic!("{body:?}") }
}

fn talk() -> Log {
    let mut log = Log::default();
    log.send("ann", "bob", "first");
    log.send("ann", "bob", "second");
    log.send("bob", "ann", "third");
    log
}

#[tokio::test]
async fn history_and_the_inbox_show_what_messages_say_now() {
    let mut log = talk();
    log.edit("ann", "bob", 1, "first, edited");
    log.edit("ann", "bob", 1, "first, edited twice");
    log.edit("bob", "ann", 3, "third, edited");
    log.delete("ann", "bob", 2);
    let pool = views_of(&log).await;
    let shown = messages(&pool).await;
    assert_eq!(
        shown.iter().map(text).collect::<Vec<_>>(),
        [Some("first, edited twice"), None, Some("third, edited")]
    );
    assert_eq!(shown[0].edited_at, Some(Log::time_of(5)));
    assert_eq!(shown[1].deleted_at, Some(Log::time_of(7)));
    assert_eq!((shown[1].edited_at, shown[2].deleted_at), (None, None));
    let id = direct("ann", "bob");
    let now = Timestamp::from_unix_millis(0);
    let of_ann = summary(&pool, &id, &user("ann"), now).await.unwrap().unwrap();
    assert_eq!(of_ann.last_message.as_ref().and_then(text), Some("third, edited"));
    assert_eq!((of_ann.unread, of_ann.version), (1, 7));
    // Bob had not read any of the deleted ones; his own message says that he has.
    let mut log = talk();
    log.delete("bob", "ann", 3);
    let pool = views_of(&log).await;
    let of_ann = summary(&pool, &id, &user("ann"), now).await.unwrap().unwrap();
    assert_eq!((of_ann.unread, of_ann.last_seq), (0, 3));
    assert_eq!(of_ann.last_message.unwrap().body, None);
}

#[tokio::test]
async fn reactions_are_shown_by_emoji_and_their_users_as_they_came() {
    let mut log = talk();
    log.react("bob", "ann", 1, "👍");
    log.react("bob", "ann", 1, "❤️");
    log.react("ann", "bob", 1, "👍");
    let pool = views_of(&log).await;
    let shown = messages(&pool).await;
    let json = serde_json::to_value(&shown[0]).unwrap();
    let expected = serde_json::json!([
        {"emoji": "❤️", "userIds": ["bob"]}, {"emoji": "👍", "userIds": ["bob", "ann"]}
    ]);
    assert_eq!(json["reactions"], expected);
    assert!(serde_json::to_value(&shown[1]).unwrap().get("reactions").is_none());
    let emoji = Emoji::parse("❤️").unwrap();
    let action = Action::RemoveReaction { conversation_seq: 1, emoji };
    log.ask(&direct("ann", "bob"), "bob", action).unwrap();
    catch_up(&pool, &log).await;
    assert_eq!(messages(&pool).await[0].reactions.len(), 1);
    log.delete("ann", "bob", 1);
    catch_up(&pool, &log).await;
    assert!(messages(&pool).await[0].reactions.is_empty());
    assert_eq!(count(&pool, "reactions").await, 0);
}

#[tokio::test]
async fn a_sync_gives_every_message_that_was_changed_since() {
    let mut log = talk();
    let before = log.last();
    log.edit("ann", "bob", 1, "edited");
    log.react("ann", "bob", 3, "👍");
    log.delete("ann", "bob", 2);
    let pool = views_of(&log).await;
    let limits = SyncLimits { max_conversations: 10, max_messages: 10 };
    for (since, expected) in [
        (before, vec![1, 2, 3]),
        (before + 1, vec![2, 3]),
        (before + 2, vec![2]),
        (before + 3, vec![]),
    ] {
        let mut positions = vec![0; 4];
        positions[usize::from(SHARD)] = since;
        let page = sync_page(&pool, 4, &user("bob"), Some(&positions), None, limits).await.unwrap();
        let seqs: Vec<u64> = page
            .conversations
            .iter()
            .flat_map(|shown| &shown.messages)
            .map(|message| message.conversation_seq)
            .collect();
        assert_eq!(seqs, expected, "since {since}");
    }
}

/// Nothing of a deleted message is in any table, and it waits to be erased from the log.
#[tokio::test]
async fn of_a_deleted_message_nothing_is_left_but_its_place() {
    let mut log = Log::default();
    log.send("ann", "bob", "secret");
    log.edit("ann", "bob", 1, "secret too");
    log.react("bob", "ann", 1, "👍");
    let pool = views_of(&log).await;
    assert!(dump(&pool).await.iter().any(|row| row.contains("secret")));
    log.delete("ann", "bob", 1);
    catch_up(&pool, &log).await;
    let dump = dump(&pool).await;
    assert!(dump.iter().all(|row| !row.contains("secret")), "{dump:?}");
    let row: (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT fingerprint, edited_fingerprint FROM messages")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(row, (None, None));
    assert_eq!((count(&pool, "erasures").await, count(&pool, "edits").await), (1, 1));
    let loaded = load_conversation(&pool, SHARD, &direct("ann", "bob")).await.unwrap();
    assert_eq!(loaded.state, log.states[&direct("ann", "bob")]);
}

/// All tables but those of the work that is left, without the positions of tombstones.
async fn comparable(pool: &PgPool) -> Vec<String> {
    sqlx::query("UPDATE messages SET position = 0 WHERE deleted_at IS NOT NULL")
        .execute(pool)
        .await
        .unwrap();
    let is_work = |row: &String| row.starts_with("x ");
    dump(pool).await.into_iter().filter(|row| !is_work(row)).collect()
}

#[tokio::test]
async fn the_erased_log_makes_the_same_views() {
    let log = random_log(&mut random(), 400);
    let erased = log.erased();
    assert!(erased.messages.len() < log.messages.len());
    let live = views_of(&log).await;
    let rebuilt = views().await;
    for part in erased.messages.chunks(7) {
        assert!(apply_batch(&rebuilt, part).await.unwrap().dead_letters.is_empty());
    }
    // Positions grow with the numbers: a sync finds new messages by that.
    let disordered: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM messages one JOIN messages later USING (conversation_id) \
         WHERE one.conversation_seq < later.conversation_seq AND one.position > later.position",
    )
    .fetch_one(&rebuilt)
    .await
    .unwrap();
    assert_eq!(disordered, 0);
    assert_eq!(count(&rebuilt, "erasures").await, 0);
    // Where the edits of a deleted message were is forgotten once they are erased, and so are its files.
    for forgotten in ["edits", "attachment_uses"] {
        let query = format!(
            "DELETE FROM {forgotten} e USING messages m \
             WHERE m.conversation_id = e.conversation_id \
             AND m.conversation_seq = e.conversation_seq AND m.deleted_at IS NOT NULL"
        );
        sqlx::query(&query).execute(&live).await.unwrap();
    }
    assert_eq!(comparable(&rebuilt).await, comparable(&live).await);
    for (id, state) in &log.states {
        assert_eq!(load_conversation(&rebuilt, SHARD, id).await.unwrap().state, *state);
    }
}

#[tokio::test]
async fn what_is_made_up_about_a_deletion_is_poison() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    log.delete("ann", "bob", 1);
    let last = log.messages.last().unwrap().clone();
    let text = String::from_utf8(last.payload.to_vec()).unwrap();
    let wrong = [
        text.replace("\"senderId\":\"ann\"", "\"senderId\":\"eve\""),
        text.replace("\"conversationSeq\":1", "\"conversationSeq\":0"),
        text.replace("\"of\":{", "\"of\":{\"replyTo\":0,"),
    ];
    for wrong in &wrong {
        assert_ne!(*wrong, text);
        log.append(&last.subject, wrong.as_bytes());
    }
    let pool = views().await;
    let applied = apply_batch(&pool, &log.messages).await.unwrap();
    assert_eq!(applied.dead_letters.len(), wrong.len());
}
