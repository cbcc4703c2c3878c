//! Somebody is away and is told, once, and only if it is still true.

mod faults;
mod policy;
mod verification;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Client;

/// For a short window, the decision and what follows, on a busy machine.
const SOON: Duration = Duration::from_secs(40);

/// Everybody is told at `<user>@example.com`.
async fn add_email(client: &Client, user: &str) {
    let email = json!({"channel": "email", "address": format!("{user}@example.com")});
    let added = client.post("/v1/notification-endpoints", &email).await.expect(201);
    assert_eq!(added["state"], "verified");
}

async fn say(client: &Client, conversation: &str, name: &str) {
    let message = json!({"clientMessageId": name, "body": {"kind": "text", "text": name}});
    client.post(&format!("/v1/conversations/{conversation}/messages"), &message).await.expect(202);
}

/// The items of an outbox file, in their order.
fn items(outbox: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(outbox).unwrap_or_default();
    // The last line may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
