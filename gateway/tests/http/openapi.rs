//! The description and the routes are one thing.

use std::collections::BTreeSet;

use crate::support::world;

const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/sessions/bootstrap"),
    ("POST", "/v1/conversations/direct"),
    ("GET", "/v1/conversations"),
    ("POST", "/v1/conversations"),
    ("PUT", "/v1/conversations/{id}/members/{userId}"),
    ("DELETE", "/v1/conversations/{id}/members/{userId}"),
    ("PUT", "/v1/conversations/{id}/title"),
    ("DELETE", "/v1/conversations/{id}/title"),
    ("PUT", "/v1/conversations/{id}/timer"),
    ("DELETE", "/v1/conversations/{id}/timer"),
    ("PUT", "/v1/conversations/{id}/block"),
    ("DELETE", "/v1/conversations/{id}/block"),
    ("GET", "/v1/blocks"),
    ("GET", "/v1/conversations/{id}"),
    ("POST", "/v1/conversations/{id}/messages"),
    ("PATCH", "/v1/conversations/{id}/messages/{seq}"),
    ("DELETE", "/v1/conversations/{id}/messages/{seq}"),
    ("PUT", "/v1/conversations/{id}/messages/{seq}/reactions/{emoji}"),
    ("DELETE", "/v1/conversations/{id}/messages/{seq}/reactions/{emoji}"),
    ("GET", "/v1/conversations/{id}/messages"),
    ("GET", "/v1/search"),
    ("POST", "/v1/conversations/{id}/read-cursors"),
    ("POST", "/v1/conversations/{id}/delivery-cursors"),
    ("GET", "/v1/conversations/{id}/receipts/{seq}"),
    ("GET", "/v1/notifications/decisions"),
    ("POST", "/v1/attachments"),
    ("GET", "/v1/attachments/{attachmentId}"),
    ("PUT", "/v1/attachments/{attachmentId}/content"),
    ("GET", "/v1/attachments/{attachmentId}/content"),
    ("GET", "/v1/presence"),
    ("GET", "/v1/devices"),
    ("DELETE", "/v1/devices/{deviceId}"),
    ("PUT", "/v1/conversations/{id}/mute"),
    ("DELETE", "/v1/conversations/{id}/mute"),
    ("PUT", "/v1/conversations/{id}/pin"),
    ("DELETE", "/v1/conversations/{id}/pin"),
    ("PUT", "/v1/conversations/{id}/archive"),
    ("DELETE", "/v1/conversations/{id}/archive"),
    ("PUT", "/v1/conversations/{id}/draft"),
    ("DELETE", "/v1/conversations/{id}/draft"),
    ("GET", "/v1/contacts"),
    ("GET", "/v1/contacts/{userId}"),
    ("PUT", "/v1/contacts/{userId}"),
    ("DELETE", "/v1/contacts/{userId}"),
    ("GET", "/v1/settings"),
    ("PUT", "/v1/settings"),
    ("GET", "/v1/notification-endpoints"),
    ("POST", "/v1/notification-endpoints"),
    ("DELETE", "/v1/notification-endpoints/{endpointId}"),
    ("GET", "/v1/sync"),
    ("GET", "/v1/stream"),
    ("GET", "/v1/connect"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("POST", "/dev/token"),
    ("GET", "/dev/outbox"),
    ("GET", "/v1/unsubscribe"),
    ("POST", "/v1/unsubscribe"),
    ("GET", "/v1/notification-endpoints/verify"),
    ("POST", "/v1/notification-endpoints/verify"),
    ("POST", "/v1/notification-endpoints/{endpointId}/verify"),
];

#[tokio::test]
async fn every_route_is_described_and_every_description_has_its_route() {
    let world = world();
    let document = world.get("/openapi.json", "").await.ok(200);
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert((method.to_uppercase(), path.clone()));
            assert!(operation["operationId"].is_string());
            assert!(!operation["responses"].as_object().unwrap().is_empty());
        }
    }
    let expected: BTreeSet<_> =
        ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, expected);
    for (method, path) in described {
        let path = path.replace("{id}", "d.a.b").replace("{seq}", "1").replace("{deviceId}", "d");
        let path = path.replace("{attachmentId}", "0193e5a0-7b1c-7def-8123-456789abcdef");
        let answer = world.request(&method, &path, &[], "").await;
        assert!(![404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = world().get("/openapi.json", "").await.ok(200);
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn answers_have_the_shapes_that_are_described() {
    let world = world();
    let document = world.get("/openapi.json", "").await.ok(200);
    let body = serde_json::json!({"clientMessageId": "c", "body": {"kind": "text", "text": "x"}});
    let path = "/v1/conversations/d.shape_a.shape_b";
    world.post(&format!("{path}/messages"), "shape_a", &body).await.ok(202);
    let summary = world.get_until(path, "shape_b", |summary| summary["lastSeq"] == 1).await;
    let required = |schema: &str| -> BTreeSet<String> {
        let required = document["components"]["schemas"][schema]["required"].as_array().unwrap();
        required.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let described = |schema: &str| -> BTreeSet<String> {
        let properties = &document["components"]["schemas"][schema]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let shown = |value: &serde_json::Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    for (schema, value) in [("Summary", &summary), ("Message", &summary["lastMessage"])] {
        assert!(shown(value).is_superset(&required(schema)), "{schema}: {value}");
        assert!(shown(value).is_subset(&described(schema)), "{schema}: {value}");
    }
}
