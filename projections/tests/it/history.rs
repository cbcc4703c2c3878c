//! Pages of messages, and who has got them.

use parley_domain::{Action, Body, ClientMessageId, Timestamp};
use parley_projections::queries::{HistoryPage, Page, history, receipts};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    log::{Log, direct, user},
    support::views_of,
};

async fn ten_messages() -> PgPool {
    let mut log = Log::default();
    for n in 1..=10 {
        log.send("ann", "bob", &format!("message {n}"));
        log.send("bob", "cid", "of another conversation");
    }
    views_of(&log).await
}

fn numbers(page: &HistoryPage) -> (Vec<u64>, Option<u64>, Option<u64>) {
    let seqs = page.messages.iter().map(|message| message.conversation_seq).collect();
    (seqs, page.next_after_seq, page.next_before_seq)
}

#[tokio::test]
async fn pages_go_forward_and_backward_and_say_where_there_is_more() {
    let pool = ten_messages().await;
    let id = direct("ann", "bob");
    let page = async |page, limit| {
        numbers(&history(&pool, &id, &user("ann"), page, limit).await.unwrap().unwrap())
    };
    assert_eq!(page(Page::Latest, 3).await, (vec![8, 9, 10], None, Some(8)));
    assert_eq!(page(Page::Latest, 10).await, ((1..=10).collect(), None, None));
    assert_eq!(page(Page::Before(8), 3).await, (vec![5, 6, 7], Some(7), Some(5)));
    assert_eq!(page(Page::Before(3), 5).await, (vec![1, 2], Some(2), None));
    assert_eq!(page(Page::Before(u64::MAX), 1).await, (vec![10], None, Some(10)));
    assert_eq!(page(Page::Before(1), 5).await, (vec![], None, None));
    assert_eq!(page(Page::After(0), 4).await, (vec![1, 2, 3, 4], Some(4), None));
    assert_eq!(page(Page::After(4), 6).await, ((5..=10).collect(), None, Some(5)));
    assert_eq!(page(Page::After(10), 6).await, (vec![], None, None));
    assert_eq!(page(Page::After(u64::MAX), 6).await, (vec![], None, None));
    // At least one message, at most two hundred.
    assert_eq!(page(Page::After(0), 0).await, (vec![1], Some(1), None));
    assert_eq!(page(Page::After(0), u32::MAX).await.0.len(), 10);
    let nobody = history(&pool, &direct("ann", "zoe"), &user("ann"), Page::Latest, 5)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(nobody, HistoryPage::default());
}

#[tokio::test]
async fn a_message_is_shown_as_the_contract_says() {
    let mut log = Log::default();
    log.send("ann", "bob", "one");
    let reply = Action::SendMessage {
        client_message_id: ClientMessageId::parse("c 2").unwrap(),
        body: Body::Text { text: "zwölf 👋".to_owned() },
        reply_to: Some(1),
    };
    log.ask(&direct("ann", "bob"), "bob", reply).unwrap();
    let pool = views_of(&log).await;
    let page = history(&pool, &direct("ann", "bob"), &user("ann"), Page::After(1), 5)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        serde_json::to_value(&page).unwrap(),
        serde_json::json!({
            "messages": [{
                "conversationId": "d.ann.bob",
                "conversationSeq": 2,
                "messageId": Uuid::from_u128(2),
                "clientMessageId": "c 2",
                "senderId": "bob",
                "body": {"kind": "text", "text": "zwölf 👋"},
                "createdAt": "2026-11-21T09:45:02.000Z",
                "version": 2,
                "replyTo": 1,
            }],
            "nextBeforeSeq": 2,
        })
    );
}

#[tokio::test]
async fn what_is_erased_or_expired_keeps_its_place() {
    let mut log = Log::default();
    for text in ["deleted", "expired", "expiring"] {
        log.send("ann", "bob", text);
    }
    let pool = views_of(&log).await;
    for change in [
        "UPDATE messages SET body = NULL, deleted_at = created_at WHERE conversation_seq = 1",
        "UPDATE messages SET expires_at = now() - interval '1 s' WHERE conversation_seq = 2",
        "UPDATE messages SET expires_at = now() + interval '1 h' WHERE conversation_seq = 3",
    ] {
        sqlx::query(change).execute(&pool).await.unwrap();
    }
    let page = history(&pool, &direct("ann", "bob"), &user("ann"), Page::Latest, 5)
        .await
        .unwrap()
        .unwrap();
    let bodies: Vec<bool> = page.messages.iter().map(|message| message.body.is_some()).collect();
    assert_eq!(bodies, [false, false, true]);
    let json = serde_json::to_value(&page.messages[0]).unwrap();
    assert_eq!(json["body"], serde_json::Value::Null);
    assert_eq!(json["deletedAt"], "2026-11-21T09:45:01.000Z");
    assert!(page.messages[1].expires_at.unwrap() > Timestamp::from_unix_millis(0));
}

#[tokio::test]
async fn receipts_name_who_has_received_and_read_but_not_the_sender() {
    let mut log = Log::default();
    for text in ["one", "two", "three"] {
        log.send("ann", "bob", text);
    }
    log.read("bob", "ann", 1);
    log.deliver("bob", "ann", 2);
    let pool = views_of(&log).await;
    let id = direct("ann", "bob");
    let mut found = Vec::new();
    for seq in 1..=3 {
        let receipts = receipts(&pool, &id, &user("ann"), seq).await.unwrap().unwrap();
        assert_eq!((receipts.sender_id, receipts.members), (user("ann"), 2));
        found.push((receipts.delivered_to, receipts.read_by));
    }
    let bob = || vec![user("bob")];
    assert_eq!(found, [(bob(), bob()), (bob(), vec![]), (vec![], vec![])]);
    for none in [0, 4, u64::MAX] {
        assert_eq!(receipts(&pool, &id, &user("ann"), none).await.unwrap(), None);
    }
}
