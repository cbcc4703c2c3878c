//! Buyer and seller: contact details are masked until the marketplace posts their order.

use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::support::{World, token};

const MESSAGES: &str = "/v1/conversations/d.buyer.seller/messages";

fn text(name: &str, text: &str) -> Value {
    json!({"clientMessageId": name, "body": {"kind": "text", "text": text}})
}

#[tokio::test]
async fn a_conversation_is_masked_until_there_is_an_order_and_the_order_can_be_trusted() {
    let database = TestPostgres::database().await;
    let world =
        World::start_with(&database, &[("PARLEY_MASK_CONTACTS", "emails,phones,links")]).await;
    let order = |name: &str| {
        let card = json!({"kind": "order", "refId": "O-1", "title": "Bicycle"});
        json!({"clientMessageId": name, "body": card})
    };
    let ask = text("1", "call +49 170 1234567 or mail a@b.example");
    world.post(MESSAGES, "buyer", &ask).await.ok(202);
    world.post(MESSAGES, "seller", &order("2")).await.ok(202);
    world.post(MESSAGES, "seller", &text("3", "https://shop.example/x")).await.ok(202);
    let bearer = format!("Bearer {}", token("seller", Scope::Service));
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    world.request("POST", MESSAGES, &headers, order("4").to_string()).await.ok(202);
    world.post(MESSAGES, "buyer", &text("5", "mail a@b.example")).await.ok(202);
    // Asked again, it is the message that it was.
    assert_eq!(world.post(MESSAGES, "buyer", &ask).await.ok(202)["duplicate"], true);

    let shown = |page: &Value| page["messages"].as_array().is_some_and(|all| all.len() == 5);
    let page = world.get_until(MESSAGES, "buyer", shown).await;
    let messages = page["messages"].as_array().unwrap();
    let texts: Vec<&Value> = messages.iter().map(|message| &message["body"]["text"]).collect();
    assert_eq!(
        texts,
        [
            &json!("call ••• or mail •••"),
            &Value::Null,
            &json!("•••"),
            &Value::Null,
            &json!("mail a@b.example")
        ]
    );
    let by_service: Vec<&Value> = messages.iter().map(|message| &message["byService"]).collect();
    let (no, yes) = (&Value::Null, &json!(true));
    assert_eq!(by_service, [no, no, no, yes, no]);
    let path = format!("{MESSAGES}/4");
    let forged = json!({"body": {"kind": "order", "refId": "O-2", "title": "Bicycle"}});
    world.send("PATCH", &path, "seller", &forged).await.refused(403, "forbidden");
    world.shutdown().begin();
}
