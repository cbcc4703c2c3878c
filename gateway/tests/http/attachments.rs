//! Files: reserved, uploaded once, sent with one message, fetched by whoever sees it, and gone with it.

use std::{fs, path::Path, time::Duration};

use axum::http::header;
use parley_domain::Scope;
use parley_runtime::engines::testing::TestPostgres;
use serde_json::{Value, json};

use crate::support::{Answer, World, token, world};

const PATIENCE: Duration = Duration::from_secs(20);

pub fn reservation(conversation: &str, name: &str, content_type: &str, size: usize) -> Value {
    json!({"conversationId": conversation, "fileName": name, "contentType": content_type,
        "sizeBytes": size})
}

/// Path and query of an address of this gateway.
fn local(world: &World, address: &Value) -> String {
    let origin = format!("http://{}", world.address());
    address.as_str().unwrap().strip_prefix(&origin).unwrap().to_owned()
}

/// The id, and where to upload it.
async fn reserve(world: &World, user: &str, asked: &Value) -> (String, String) {
    let reserved = world.post("/v1/attachments", user, asked).await.ok(201);
    assert_eq!(reserved["method"], "PUT");
    assert_eq!(reserved["headers"], json!({"content-type": asked["contentType"]}));
    assert!(reserved["expiresAt"].is_string());
    let id = reserved["attachmentId"].as_str().unwrap().to_owned();
    (id, local(world, &reserved["uploadUrl"]))
}

async fn put(world: &World, address: &str, content: &str) -> Answer {
    world.request("PUT", address, &[], content.to_owned()).await
}

/// Uploaded, and not sent yet.
async fn uploaded(world: &World, user: &str, conversation: &str, content: &str) -> String {
    let asked = reservation(conversation, "Über uns.pdf", "application/pdf", content.len());
    let (id, address) = reserve(world, user, &asked).await;
    assert_eq!(put(world, &address, content).await.status, 200);
    id
}

fn message(name: &str, ids: &[&str]) -> Value {
    let attachments: Vec<Value> = ids.iter().map(|id| json!({"attachmentId": id})).collect();
    json!({"clientMessageId": name,
        "body": {"kind": "attachment", "text": "look", "attachments": attachments}})
}

async fn send(world: &World, user: &str, conversation: &str, asked: &Value) -> Answer {
    world.post(&format!("/v1/conversations/{conversation}/messages"), user, asked).await
}

async fn fetch(world: &World, id: &str, user: &str) -> Answer {
    world.get(&format!("/v1/attachments/{id}"), user).await
}

/// The file, as somebody gets it who may.
async fn content(world: &World, id: &str, user: &str) -> Answer {
    let found = fetch(world, id, user).await;
    assert_eq!(found.status, 302, "{found:?}");
    assert_eq!(found.header(header::CACHE_CONTROL), "no-store");
    let address = local(world, &json!(found.header(header::LOCATION)));
    world.request("GET", &address, &[], "").await
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn a_file_goes_from_its_sender_to_who_sees_the_message() {
    let world = world();
    let conversation = "d.att_a.att_b";
    let id = uploaded(world, "att_a", conversation, "a file").await;
    // Before it is sent, it is its uploader's alone.
    assert_eq!(content(world, &id, "att_a").await.text, "a file");
    fetch(world, &id, "att_b").await.refused(404, "not_found");

    let mut asked = message("c-1", &[&id]);
    // What a client says of a file counts for nothing.
    asked["body"]["attachments"][0]["fileName"] = json!("other.exe");
    let first = send(world, "att_a", conversation, &asked).await.ok(202);
    let again = send(world, "att_a", conversation, &message("c-1", &[&id])).await.ok(202);
    assert_eq!((&again["version"], &again["duplicate"]), (&first["version"], &json!(true)));
    let path = format!("/v1/conversations/{conversation}/messages");
    let page = world
        .get_until(&path, "att_b", |page| page["messages"].as_array().unwrap().len() == 1)
        .await;
    let body = json!({"kind": "attachment", "text": "look", "attachments": [{"attachmentId": id,
        "fileName": "Über uns.pdf", "contentType": "application/pdf", "sizeBytes": 6}]});
    assert_eq!(page["messages"][0]["body"], body);

    for user in ["att_a", "att_b"] {
        let file = content(world, &id, user).await;
        assert_eq!((file.status, file.text.as_str()), (200, "a file"));
        assert_eq!(file.header(header::CONTENT_TYPE), "application/pdf");
        assert_eq!(file.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        let policy = file.header(header::CONTENT_SECURITY_POLICY);
        assert_eq!(policy, "sandbox; default-src 'none'");
        let disposition = file.header(header::CONTENT_DISPOSITION);
        assert!(disposition.starts_with("attachment; filename=\"_ber uns.pdf\""), "{disposition}");
    }
    fetch(world, &id, "att_c").await.refused(404, "not_found");
    fetch(world, &id, "").await.refused(401, "unauthenticated");

    // Its text may change, its files not.
    let one = format!("{path}/1");
    let mut edit = json!({"body": body});
    edit["body"]["text"] = json!("look here");
    world.send("PATCH", &one, "att_a", &edit).await.ok(200);
    let text = json!({"body": {"kind": "text", "text": "look"}});
    world.send("PATCH", &one, "att_a", &text).await.refused(422, "invalid_attachment");

    let address = fetch(world, &id, "att_b").await;
    let address = local(world, &json!(address.header(header::LOCATION)));
    world.send("DELETE", &one, "att_a", &Value::Null).await.ok(200);
    for user in ["att_a", "att_b"] {
        let ask = || fetch(world, &id, user);
        let gone = world.until(PATIENCE, ask, |answer| answer.status == 404).await;
        gone.refused(404, "not_found");
    }
    // Also to whoever holds an address that was good.
    world.request("GET", &address, &[], "").await.refused(404, "not_found");
}

#[tokio::test]
async fn what_is_reserved_has_a_name_a_type_a_size_and_a_conversation_to_write_in() {
    let world = world();
    let good = || reservation("d.res_a.res_b", "a.png", "image/png", 10);
    for (field, wrong, status, code) in [
        ("fileName", json!(""), 422, "invalid_body"),
        ("fileName", json!("a/b"), 422, "invalid_body"),
        ("fileName", json!("a\nb"), 422, "invalid_body"),
        ("fileName", json!("x".repeat(256)), 422, "invalid_body"),
        ("contentType", json!("png"), 422, "invalid_body"),
        ("sizeBytes", json!(0), 422, "invalid_body"),
        ("sizeBytes", json!(104_857_601), 413, "body_too_large"),
        ("sizeBytes", json!(-1), 400, "invalid_body"),
        ("sizeBytes", Value::Null, 400, "invalid_body"),
        ("conversationId", json!("d.res_b.res_a"), 400, "invalid_id"),
        ("conversationId", json!("d.res_b.res_c"), 404, "not_found"),
        ("conversationId", json!("g.0193e5a0-7b1c-7def-8123-456789abcdef"), 404, "not_found"),
    ] {
        let mut asked = good();
        asked[field] = wrong;
        world.post("/v1/attachments", "res_a", &asked).await.refused(status, code);
    }
    world.post("/v1/attachments", "res_a", &good()).await.ok(201);
    world.send("PUT", "/v1/conversations/d.res_a.res_b/block", "res_b", &Value::Null).await.ok(200);
    let path = "/v1/conversations/d.res_a.res_b";
    world.get_until(path, "res_a", |summary| summary["canSend"] == false).await;
    world.post("/v1/attachments", "res_a", &good()).await.refused(403, "blocked");
}

#[tokio::test]
async fn in_a_channel_who_leads_brings_files_and_every_reader_fetches_them() {
    let world = world();
    let body = json!({"kind": "channel", "title": "News", "memberIds": ["chf_reader", "chf_left"]});
    let created = world.post("/v1/conversations", "chf_owner", &body).await.ok(201);
    let id = created["conversationId"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}");
    world.get_until(&path, "chf_reader", |_| true).await;
    let asked = reservation(id, "a.png", "image/png", 3);
    world.post("/v1/attachments", "chf_reader", &asked).await.refused(403, "forbidden");
    world.post("/v1/attachments", "chf_stranger", &asked).await.refused(404, "not_found");
    let members = format!("{path}/members");
    let leave = format!("{members}/chf_left");
    let left = world.send("DELETE", &leave, "chf_left", &Value::Null).await.ok(200);
    world.get_until(&path, "chf_owner", |summary| summary["version"] == left["version"]).await;
    world.post("/v1/attachments", "chf_left", &asked).await.refused(404, "not_found");

    let (file, address) = reserve(world, "chf_owner", &asked).await;
    assert_eq!(put(world, &address, "png").await.status, 200);
    send(world, "chf_owner", id, &message("c-1", &[&file])).await.ok(202);
    let shown = content(world, &file, "chf_reader").await;
    assert!(shown.header(header::CONTENT_DISPOSITION).starts_with("inline; "), "{shown:?}");
    // Who left before, and who came after it.
    fetch(world, &file, "chf_left").await.refused(404, "not_found");
    let join = format!("{members}/chf_late");
    let joined = world.send("PUT", &join, "chf_late", &json!({})).await.ok(200);
    world.get_until(&path, "chf_late", |summary| summary["version"] == joined["version"]).await;
    fetch(world, &file, "chf_late").await.refused(404, "not_found");
}

#[tokio::test]
async fn an_upload_is_exactly_what_was_reserved_once() {
    let world = world();
    let asked = reservation("d.upl_a.upl_b", "a.txt", "text/plain", 5);
    let (id, address) = reserve(world, "upl_a", &asked).await;
    put(world, &address, "hell").await.refused(422, "invalid_body");
    put(world, &address, "hello!").await.refused(413, "body_too_large");
    put(world, &address, "").await.refused(422, "invalid_body");
    // The rest of it is not read, nor taken for the next request.
    for (size, connection) in [(500_000, ""), (3_000_000, "close")] {
        let refused = put(world, &address, &"x".repeat(size)).await;
        refused.refused(413, "body_too_large");
        assert_eq!(refused.header(header::CONNECTION), connection);
    }
    let chunked = async |text: &'static str| {
        // Without a Content-Length.
        let head = format!(
            "PUT {address} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
            world.address(),
            text.len()
        );
        exchange(world, head.as_bytes()).await
    };
    assert!(chunked("hello!").await.starts_with("HTTP/1.1 413 "));
    assert!(chunked("hell").await.starts_with("HTTP/1.1 422 "));
    // Nobody has it, and none of it can be sent.
    fetch(world, &id, "upl_a").await.refused(404, "not_found");
    let sent = send(world, "upl_a", "d.upl_a.upl_b", &message("c-1", &[&id])).await;
    sent.refused(422, "invalid_attachment");
    assert!(chunked("hello").await.starts_with("HTTP/1.1 200 "));
    put(world, &address, "HELLO").await.refused(409, "conflict");
    assert_eq!(content(world, &id, "upl_a").await.text, "hello");
}

#[tokio::test]
async fn of_two_uploads_at_once_one_counts() {
    let world = world();
    let asked = reservation("d.two_a.two_b", "a.txt", "text/plain", 200_000);
    for _ in 0..5 {
        let (id, address) = reserve(world, "two_a", &asked).await;
        let (one, other) = ("1".repeat(200_000), "2".repeat(200_000));
        let (first, second) =
            tokio::join!(put(world, &address, &one), put(world, &address, &other));
        let expected = match (first.status, second.status) {
            (200, 409) => one,
            (409, 200) => other,
            statuses => panic!("{statuses:?}"),
        };
        assert!(content(world, &id, "two_a").await.text == expected);
    }
}

async fn exchange(world: &World, request: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_address_is_good_for_one_thing_a_while_and_nothing_else() {
    let database = TestPostgres::database().await;
    let short = [
        ("PARLEY_ATTACHMENTS_UPLOAD_URL_SECONDS", "1"),
        ("PARLEY_ATTACHMENTS_DOWNLOAD_URL_SECONDS", "1"),
    ];
    let world = World::start_with(&database, &short).await;
    let asked = reservation("d.sig_a.sig_b", "a.txt", "text/plain", 5);
    let ask = async || {
        let (id, address) = reserve(&world, "sig_a", &asked).await;
        (put(&world, &address, "hello").await, id, address)
    };
    // A second is short: on a busy machine it may be over before the upload begins.
    let (id, upload) = loop {
        let (answer, id, address) = ask().await;
        if answer.status == 200 {
            break (id, address);
        }
        answer.refused(403, "forbidden");
    };
    let bad = |address: String, method: &'static str| {
        let world = &world;
        async move { world.request(method, &address, &[], "hello").await.refused(403, "forbidden") }
    };
    let (other, _) = reserve(&world, "sig_a", &asked).await;
    bad(upload.replace(&id, &other), "PUT").await;
    bad(upload.clone(), "GET").await;
    bad(upload.replace("signature=", "signature=A"), "PUT").await;
    bad(upload.replace("expires=1", "expires=2"), "PUT").await;
    bad(upload.split_once('?').unwrap().0.to_owned(), "PUT").await;
    bad(format!("{}x=1", upload.split_once("expires").unwrap().0), "GET").await;
    let over = || world.request("PUT", &upload, &[], "hello");
    let over = world.until(PATIENCE, over, |answer| answer.status == 403).await;
    over.refused(403, "forbidden");
    let found = fetch(&world, &id, "sig_a").await;
    let download = local(&world, &json!(found.header(header::LOCATION)));
    let over = || world.request("GET", &download, &[], "");
    world.until(PATIENCE, over, |answer| answer.status == 403).await;
    world.shutdown().begin();
}

#[tokio::test]
async fn parts_of_a_file_are_given_to_who_asks_for_them() {
    let world = world();
    let id = uploaded(world, "rng_a", "d.rng_a.rng_b", "0123456789").await;
    let found = fetch(world, &id, "rng_a").await;
    let address = local(world, &json!(found.header(header::LOCATION)));
    let ask = |method: &'static str, range: &'static str| {
        let address = address.clone();
        async move { world.request(method, &address, &[("range", range)], "").await }
    };
    let part = ask("GET", "bytes=2-4").await;
    assert_eq!((part.status, part.text.as_str()), (206, "234"));
    assert_eq!(part.header(header::CONTENT_RANGE), "bytes 2-4/10");
    let end = ask("GET", "bytes=-3").await;
    assert_eq!((end.status, end.text.as_str()), (206, "789"));
    let none = ask("GET", "bytes=10-").await;
    assert_eq!((none.status, none.header(header::CONTENT_RANGE)), (416, "bytes */10"));
    let head = world.request("HEAD", &address, &[], "").await;
    assert_eq!((head.status, head.header(header::CONTENT_LENGTH)), (200, "10"));
    assert_eq!(head.header(header::ACCEPT_RANGES), "bytes");
}

#[tokio::test]
async fn a_message_has_only_files_that_its_sender_brought_for_it() {
    let world = world();
    let mine = uploaded(world, "own_a", "d.own_a.own_b", "mine").await;
    let elsewhere = uploaded(world, "own_a", "d.own_a.own_c", "elsewhere").await;
    let theirs = uploaded(world, "own_b", "d.own_a.own_b", "theirs").await;
    let nobodys = "0193e5a0-7b1c-7def-8123-456789abcdef";
    let conversation = "d.own_a.own_b";
    for wrong in [&elsewhere, &theirs, nobodys] {
        let refused = send(world, "own_a", conversation, &message("c-1", &[&mine, wrong])).await;
        refused.refused(422, "invalid_attachment");
        assert!(refused.json()["detail"].as_str().unwrap().contains(wrong), "{refused:?}");
    }
    let twice = send(world, "own_a", conversation, &message("c-1", &[&mine, &mine])).await;
    twice.refused(422, "invalid_body");
    let none = send(world, "own_a", conversation, &message("c-1", &[])).await;
    none.refused(422, "invalid_body");
    // None of these refusals took it away.
    send(world, "own_a", conversation, &message("c-2", &[&mine])).await.ok(202);
    let again = send(world, "own_a", conversation, &message("c-3", &[&mine])).await;
    again.refused(422, "invalid_attachment");
    let service = token("own_b", Scope::Service);
    let authorization = format!("Bearer {service}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let path = format!("/v1/conversations/{conversation}/messages");
    let asked = message("s-1", &[&theirs]).to_string();
    world.request("POST", &path, &headers, asked).await.ok(202);
}

#[tokio::test]
async fn an_upload_that_stalls_or_is_cut_leaves_nothing_and_may_be_repeated() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let database = TestPostgres::database().await;
    let bounds = [("PARLEY_ATTACHMENTS_STALL_MILLIS", "200"), ("PARLEY_ATTACHMENTS_UPLOADS", "1")];
    let world = World::start_with(&database, &bounds).await;
    let asked = reservation("d.cut_a.cut_b", "a.txt", "text/plain", 5);
    let (_, address) = reserve(&world, "cut_a", &asked).await;
    let head = format!(
        "PUT {address} HTTP/1.1\r\nhost: {}\r\ncontent-length: 5\r\n\r\nhel",
        world.address()
    );
    let begin = async || {
        let mut stream = tokio::net::TcpStream::connect(world.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let mut stalled = begin().await;
    let begun = || async { Answer { status: files(world.files()) as u16, ..nothing() } };
    world.until(PATIENCE, begun, |answer| answer.status == 1).await;
    put(&world, &address, "hello").await.refused(503, "unavailable");
    let mut answer = vec![0; 12];
    stalled.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
    drop(begin().await);
    world.until(PATIENCE, begun, |answer| answer.status == 0).await;
    let again = || put(&world, &address, "hello");
    world.until(PATIENCE, again, |answer| answer.status == 200).await;
    assert_eq!(files(world.files()), 1);
    world.shutdown().begin();
}

fn nothing() -> Answer {
    Answer { status: 0, headers: axum::http::HeaderMap::new(), text: String::new() }
}

#[tokio::test]
async fn without_postgres_only_messages_with_files_are_refused() {
    let postgres = TestPostgres::dedicated().await;
    let world = World::start_with(&postgres.url(), &[]).await;
    let conversation = "d.off_a.off_b";
    let (sent, unsent) = (
        uploaded(&world, "off_a", conversation, "sent").await,
        uploaded(&world, "off_a", conversation, "unsent").await,
    );
    let first = send(&world, "off_a", conversation, &message("c-1", &[&sent])).await.ok(202);
    postgres.kill9().await;
    let refused = send(&world, "off_a", conversation, &message("c-2", &[&unsent])).await;
    refused.refused(503, "unavailable");
    let text = json!({"clientMessageId": "c-3", "body": {"kind": "text", "text": "hi"}});
    send(&world, "off_a", conversation, &text).await.ok(202);
    // A retry is one, whether or not anything can be looked up.
    let retried = send(&world, "off_a", conversation, &message("c-1", &[&sent])).await.ok(202);
    assert_eq!(
        (&retried["conversationSeq"], &retried["duplicate"]),
        (&first["conversationSeq"], &json!(true))
    );
    postgres.restart().await;
    let again = || async {
        let asked = message("c-2", &[&unsent]);
        send(&world, "off_a", conversation, &asked).await
    };
    world.until(PATIENCE, again, |answer| answer.status == 202).await;
    world.shutdown().begin();
}

#[tokio::test]
async fn files_that_nobody_needs_are_removed() {
    let database = TestPostgres::database().await;
    let soon = [
        ("PARLEY_ATTACHMENTS_TIDY_INTERVAL_MILLIS", "50"),
        ("PARLEY_TIDY_INTERVAL_MILLIS", "50"),
        ("PARLEY_ERASE_GRACE_SECONDS", "0"),
    ];
    let world = World::start_with(&database, &soon).await;
    let pool = parley_projections::connect(&database, "test", 2).unwrap();
    let conversation = "d.jan_a.jan_b";
    let unsent = uploaded(&world, "jan_a", conversation, "unsent").await;
    let sent = uploaded(&world, "jan_a", conversation, "sent").await;
    let deleted = uploaded(&world, "jan_a", conversation, "deleted").await;
    let held = uploaded(&world, "jan_a", "d.jan_a.jan_c", "held").await;
    let kept = uploaded(&world, "jan_a", conversation, "young").await;
    send(&world, "jan_a", conversation, &message("c-1", &[&sent])).await.ok(202);
    send(&world, "jan_a", conversation, &message("c-2", &[&deleted])).await.ok(202);
    let id = parley_domain::ConversationId::parse("d.jan_a.jan_c").unwrap();
    let hold = parley_projections::holds::place(&pool, &id, "ada", "case 7").await.unwrap();
    // A day goes by.
    sqlx::query(
        "UPDATE attachments SET created_at = created_at - interval '2 days', \
         claimed_at = claimed_at - interval '2 days' WHERE attachment_id <> $1::uuid",
    )
    .bind(&kept)
    .execute(&pool)
    .await
    .unwrap();
    let one = format!("/v1/conversations/{conversation}/messages/2");
    world.send("DELETE", &one, "jan_a", &Value::Null).await.ok(200);
    let left = || async { Answer { status: files(world.files()) as u16, ..nothing() } };
    world.until(PATIENCE, left, |answer| answer.status == 3).await;
    for (id, status) in [(&unsent, 404), (&deleted, 404), (&sent, 302), (&held, 302), (&kept, 302)]
    {
        assert_eq!(fetch(&world, id, "jan_a").await.status, status, "{id}");
    }
    let removed = parley_projections::holds::lift(&pool, &id, hold, "ada", "closed").await;
    assert!(removed.unwrap());
    world.until(PATIENCE, left, |answer| answer.status == 2).await;
    // The row goes last.
    let rows = || async {
        let rows = sqlx::query_scalar("SELECT count(*) FROM attachments").fetch_one(&pool).await;
        let rows: i64 = rows.unwrap();
        Answer { status: rows as u16, ..nothing() }
    };
    world.until(PATIENCE, rows, |answer| answer.status == 2).await;
    assert_eq!(content(&world, &sent, "jan_b").await.text, "sent");
    // What is removed is not sent any more.
    let late = send(&world, "jan_a", conversation, &message("c-3", &[&unsent])).await;
    late.refused(422, "invalid_attachment");
    world.shutdown().begin();
}
