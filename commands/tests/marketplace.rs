//! What the marketplace says, and what people may not write before it has said that there is an order.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the events that it is about")]

mod support;

use parley_commands::{Code, Request};
use parley_domain::{Action, Body, ConversationId, Event, EventData, Scope};
use parley_nats::{Connection, read::read_subject, subjects::shard_of};
use parley_runtime::engines::testing::TestNats;
use support::{
    SHARDS, Service, ask, body, client, connection, database, message_send, numbers, request, send,
};

const DIRECT: &str = "d.alice.bob";
const ORDER: &str = r#"{"conversationId":"d.alice.bob","clientMessageId":"o-1",
    "body":{"kind":"order","refId":"O-1","title":"Bicycle"}}"#;

/// What the log says that was said, in its order, and whether a service said it.
async fn said(connection: &Connection) -> Vec<(String, bool)> {
    let id = ConversationId::parse(DIRECT).unwrap();
    let log = read_subject(connection, shard_of(&id, SHARDS), &id).await.unwrap();
    let events = log.iter().map(|message| Event::from_json(&message.payload).unwrap());
    let text = |body: &Body| match body {
        Body::Text { text } => text.clone(),
        Body::Order(card) => card.ref_id.clone(),
        other => panic!("{other:?}"),
    };
    events
        .map(|event| match &event.data {
            EventData::MessageSent(sent) => (text(&sent.body), sent.by_service),
            EventData::MessageEdited(edited) => (text(&edited.body), false),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn edit(conversation_seq: u64, text: &str) -> Request {
    let body = Body::Text { text: text.to_owned() };
    request(DIRECT, "alice", Action::EditMessage { conversation_seq, body })
}

#[tokio::test]
async fn contact_details_are_masked_until_a_service_has_posted_an_order() {
    let (nats, database) = (TestNats::start().await, database().await);
    let masking = [("PARLEY_MASK_CONTACTS", "emails,links")];
    let service = Service::start(&nats.url(), &database, &masking);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let first = send(DIRECT, "alice", "c-1", "mail a@b.example or call 01701234567");
    assert_eq!(numbers(client.execute(first.clone()).await), (1, 1, false));
    client.execute(edit(1, "see https://a.example")).await.unwrap();
    // A card of a person's own is no order.
    let card: Body =
        serde_json::from_str(r#"{"kind":"order","refId":"fake","title":"Bicycle"}"#).unwrap();
    let mut fake = send(DIRECT, "bob", "fake", "");
    if let Action::SendMessage { body, .. } = &mut fake.action {
        *body = card;
    }
    client.execute(fake).await.unwrap();
    client.execute(send(DIRECT, "bob", "c-1", "b@b.example")).await.unwrap();
    let posted = ask(&connection, "message.send", Some("bob"), ORDER).await;
    assert_eq!(body(&posted)["conversationSeq"], 4, "{posted:?}");
    client.execute(send(DIRECT, "alice", "c-2", "a@b.example")).await.unwrap();
    let expected = [
        ("mail ••• or call 01701234567", false),
        ("see •••", false),
        ("fake", false),
        ("•••", false),
        ("O-1", true),
        ("a@b.example", false),
    ];
    let expected = expected.map(|(text, by_service)| (text.to_owned(), by_service));
    assert_eq!(said(&connection).await, expected);

    // A retry of what was masked is that message still, also for who has to load what is known.
    assert_eq!(numbers(client.execute(first.clone()).await), (1, 1, true));
    service.stop().await;
    let service = Service::start(&nats.url(), &database, &masking);
    assert_eq!(numbers(client.execute(first).await), (1, 1, true));
    let another = client.execute(send(DIRECT, "alice", "c-1", "mail c@b.example")).await;
    assert_eq!(another.unwrap_err().code, Code::ClientMessageIdReused);
    client.execute(send(DIRECT, "alice", "c-3", "a@b.example again")).await.unwrap();
    assert_eq!(said(&connection).await.last().unwrap().0, "a@b.example again");
    service.stop().await;
}

#[tokio::test]
async fn a_card_of_the_marketplace_is_its_own() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let posted = ask(&connection, "message.send", Some("alice"), ORDER).await;
    assert_eq!(body(&posted)["conversationSeq"], 1, "{posted:?}");
    let forged = client.execute(edit(1, "paid")).await;
    assert_eq!(forged.unwrap_err().code, Code::Forbidden);
    let mut by_service = edit(1, "cancelled");
    by_service.actor.scope = Scope::Service;
    client.execute(by_service).await.unwrap();
    // What it only wrote in her name is hers.
    let text = message_send(DIRECT, "t-1", "hello");
    let written = ask(&connection, "message.send", Some("alice"), &text).await;
    assert_eq!(body(&written)["conversationSeq"], 2, "{written:?}");
    client.execute(edit(2, "hi")).await.unwrap();
    service.stop().await;
}
