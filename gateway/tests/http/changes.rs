//! Editing, deleting and reacting over HTTP: what is answered, and what is refused.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, token, world};

async fn ask(world: &World, method: Method, path: &str, user: &str, body: Option<Value>) -> Answer {
    let token = format!("Bearer {}", token(user, parley_domain::Scope::User));
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    world.request(method.as_str(), path, &headers, body).await
}

fn text(text: &str) -> Option<Value> {
    Some(json!({"body": {"kind": "text", "text": text}}))
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_and_deleted() {
    let world = world();
    let messages = "/v1/conversations/d.chan_a.chan_b/messages";
    let one = format!("{messages}/1");
    let thumb = format!("{one}/reactions/%F0%9F%91%8D");
    let sent = json!({"clientMessageId": "c-1", "body": {"kind": "text", "text": "hi"}});
    world.post(messages, "chan_a", &sent).await.ok(202);
    for (method, path, user, body, version) in [
        (Method::PATCH, &one, "chan_a", text("hello"), 2),
        (Method::PATCH, &one, "chan_a", text("hello"), 2),
        (Method::PUT, &thumb, "chan_b", None, 3),
        (Method::PUT, &thumb, "chan_b", None, 3),
    ] {
        let answer = ask(world, method, path, user, body).await.ok(200);
        assert_eq!(answer, json!({"version": version}));
    }
    let page = world
        .get_until(messages, "chan_b", |page| page["messages"][0]["reactions"].is_array())
        .await;
    let message = &page["messages"][0];
    assert_eq!(message["body"]["text"], "hello");
    assert!(message["editedAt"].is_string());
    assert_eq!(message["reactions"], json!([{"emoji": "👍", "userIds": ["chan_b"]}]));
    for (path, user, version) in
        [(&thumb, "chan_b", 4), (&thumb, "chan_b", 4), (&one, "chan_a", 5), (&one, "chan_a", 5)]
    {
        let answer = ask(world, Method::DELETE, path, user, None).await.ok(200);
        assert_eq!(answer, json!({"version": version}));
    }
    let page = world
        .get_until(messages, "chan_b", |page| page["messages"][0]["deletedAt"].is_string())
        .await;
    let message = page["messages"][0].as_object().unwrap();
    assert!(message["body"].is_null());
    assert!(!message.contains_key("editedAt") && !message.contains_key("reactions"));
    ask(world, Method::PATCH, &one, "chan_a", text("again")).await.refused(409, "too_late");
    ask(world, Method::PUT, &thumb, "chan_b", None).await.refused(409, "too_late");
}

#[tokio::test]
async fn what_is_not_ones_own_or_not_there_is_refused() {
    let world = world();
    let messages = "/v1/conversations/d.chan_c.chan_d/messages";
    let sent = json!({"clientMessageId": "c-1", "body": {"kind": "text", "text": "hi"}});
    world.post(messages, "chan_c", &sent).await.ok(202);
    let edit = |seq: &str| (Method::PATCH, format!("{messages}/{seq}"), text("ho"));
    let delete = |seq: &str| (Method::DELETE, format!("{messages}/{seq}"), None);
    let react =
        |seq: &str, emoji: &str| (Method::PUT, format!("{messages}/{seq}/reactions/{emoji}"), None);
    for ((method, path, body), user, status, code) in [
        (edit("1"), "chan_d", 403, "not_sender"),
        (delete("1"), "chan_d", 403, "not_sender"),
        (edit("1"), "eve", 404, "not_found"),
        (delete("1"), "eve", 404, "not_found"),
        (react("1", "%F0%9F%91%8D"), "eve", 404, "not_found"),
        (edit("2"), "chan_c", 404, "not_found"),
        (delete("2"), "chan_c", 404, "not_found"),
        (react("2", "%F0%9F%91%8D"), "chan_d", 404, "not_found"),
        (edit("0"), "chan_c", 400, "invalid_id"),
        (delete("x"), "chan_c", 400, "invalid_id"),
        (react("1", "ok"), "chan_d", 422, "invalid_body"),
        (react("1", "%FF"), "chan_d", 400, "invalid_id"),
        ((Method::PATCH, format!("{messages}/1"), text(" ")), "chan_c", 422, "invalid_body"),
        ((Method::PATCH, format!("{messages}/1"), None), "chan_c", 400, "invalid_body"),
    ] {
        let what = format!("{method} {path} by {user}");
        let (answered, answer) = ask(world, method, &path, user, body).await.problem();
        assert_eq!((answered, answer.as_str()), (status, code), "{what}");
    }
    let page = world.get_until(messages, "chan_c", |page| page["messages"][0].is_object()).await;
    assert_eq!(page["messages"][0]["body"]["text"], "hi");
}
