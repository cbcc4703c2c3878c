//! One conversation, as each of its people sees it.

use parley_domain::{ConversationId, Timestamp};
use parley_projections::queries::summary;

use crate::{
    log::{Log, direct, user},
    support::{views, views_of},
};

const NOW: i64 = 1_800_000_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix_millis(NOW)
}

#[tokio::test]
async fn each_sees_their_own_cursors_and_the_others() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    log.send("ann", "bob", "two");
    log.send("ann", "bob", "three");
    log.deliver("bob", "ann", 2);
    log.read("bob", "ann", 1);
    let pool = views_of(&log).await;
    let id = direct("ann", "bob");
    let of = async |who| summary(&pool, &id, &user(who), now()).await.unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(of("bob").await).unwrap(),
        serde_json::json!({
            "conversationId": "d.ann.bob",
            "kind": "direct",
            "memberCount": 2,
            "members": [
                {"userId": "ann", "role": "member"}, {"userId": "bob", "role": "member"},
            ],
            "lastSeq": 3,
            "version": 5,
            "lastMessage": {
                "conversationId": "d.ann.bob",
                "conversationSeq": 3,
                "messageId": "00000000-0000-0000-0000-000000000003",
                "clientMessageId": "c-3",
                "senderId": "ann",
                "body": {"kind": "text", "text": "three"},
                "createdAt": "2026-11-21T09:45:03.000Z",
                "version": 3,
            },
            "unread": 2,
            "readSeq": 1,
            "deliveredSeq": 2,
            "peerReadSeq": 3,
            "peerDeliveredSeq": 3,
            "muted": false,
            "pinned": false,
            "archived": false,
            "blockedByMe": false,
            "canSend": true,
            "timerSeconds": 0,
            "createdAt": "2026-11-21T09:45:01.000Z",
            "updatedAt": "2026-11-21T09:45:05.000Z",
        })
    );
    let ann = of("ann").await;
    assert_eq!((ann.unread, ann.read_seq, ann.delivered_seq), (0, 3, 3));
    assert_eq!((ann.peer_read_seq, ann.peer_delivered_seq), (Some(1), Some(2)));
    assert_eq!(summary(&pool, &id, &user("eve"), now()).await.unwrap(), None);
}

#[tokio::test]
async fn a_direct_conversation_is_there_before_its_first_message() {
    let pool = views().await;
    let id = direct("ann", "bob");
    let untouched = summary(&pool, &id, &user("bob"), now()).await.unwrap().unwrap();
    assert_eq!((untouched.version, untouched.last_seq, untouched.unread), (0, 0, 0));
    assert_eq!((untouched.created_at, untouched.updated_at), (now(), now()));
    assert_eq!((untouched.peer_read_seq, untouched.can_send), (Some(0), true));
    assert_eq!(summary(&pool, &id, &user("eve"), now()).await.unwrap(), None);
    let group = ConversationId::parse("g.0193e5a0-7b1c-7def-8123-456789abcdef").unwrap();
    assert_eq!(summary(&pool, &group, &user("ann"), now()).await.unwrap(), None);
}

#[tokio::test]
async fn unread_counts_what_others_wrote_after_the_read_cursor_and_was_not_deleted() {
    let mut log = Log::default();
    log.send("ann", "bob", "1");
    log.send("bob", "ann", "2");
    for text in ["3", "4", "5", "6"] {
        log.send("ann", "bob", text);
    }
    let pool = views_of(&log).await;
    let id = direct("ann", "bob");
    let unread = async || summary(&pool, &id, &user("bob"), now()).await.unwrap().unwrap().unread;
    // Writing is reading.
    assert_eq!(unread().await, 4);
    sqlx::query("UPDATE messages SET deleted_at = now() WHERE conversation_seq IN (1, 4)")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(unread().await, 3);
    let counted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM messages JOIN members USING (conversation_id) \
         WHERE user_id = 'bob' AND sender_id <> user_id AND conversation_seq > read_seq \
         AND deleted_at IS NULL",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(counted, 3);
}
