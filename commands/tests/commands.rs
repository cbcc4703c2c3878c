//! The service on a real server and database.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use parley_commands::Code;
use parley_domain::{Action, Answer, ConversationId, Event};
use parley_nats::{read::read_subject, subjects::shard_of};
use parley_runtime::engines::testing::{TestNats, TestPostgres};
use support::{
    SHARDS, Service, ask, body, client, connection, database, message_send, numbers, request, send,
};

#[tokio::test]
async fn messages_sent_at_once_keep_their_order_and_their_numbers() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let requests: Vec<_> = (0..500)
        .map(|n| {
            let sender = if n % 2 == 0 { "alice" } else { "bob" };
            send("d.alice.bob", sender, &format!("c-{n}"), "hi")
        })
        .collect();
    let answers = join_all(requests.iter().map(|request| client.execute(request.clone()))).await;
    for (answer, expected) in answers.into_iter().zip(1..) {
        assert_eq!(numbers(answer), (expected, expected, false));
    }
    // Retries answer the first numbers, at once and after a restart.
    assert_eq!(numbers(client.execute(requests[6].clone()).await), (7, 7, true));
    service.stop().await;
    let service = Service::start(&nats.url(), &database, &[]);
    assert_eq!(numbers(client.execute(requests[499].clone()).await), (500, 500, true));
    let other = client.execute(send("d.alice.bob", "alice", "c-0", "another")).await;
    assert_eq!(other.unwrap_err().code, Code::ClientMessageIdReused);
    let next = client.execute(send("d.alice.bob", "bob", "next", "hi")).await;
    assert_eq!(numbers(next), (501, 501, false));
    let id = &requests[0].conversation_id;
    let log = read_subject(&connection, shard_of(id, SHARDS), id).await.unwrap();
    let versions: Vec<u64> =
        log.iter().map(|message| Event::from_json(&message.payload).unwrap().version).collect();
    assert_eq!(versions, (1..=501).collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn the_same_message_by_many_retries_at_once_is_one() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let client = client(&connection(&nats.url()).await);
    let retries = (0..50).map(|_| client.execute(send("d.alice.bob", "alice", "c-1", "hi")));
    let answers: Vec<_> = join_all(retries).await.into_iter().map(numbers).collect();
    assert_eq!(answers.iter().filter(|(_, _, duplicate)| !duplicate).count(), 1);
    assert!(answers.iter().all(|(seq, version, _)| (*seq, *version) == (1, 1)));
    service.stop().await;
}

#[tokio::test]
async fn cursors_move_forward_only_for_two_devices_at_once() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let client = client(&connection(&nats.url()).await);
    let sending =
        (1..=40).map(|n| client.execute(send("d.alice.bob", "alice", &format!("{n}"), "x")));
    join_all(sending).await;
    let read = |through_seq| {
        client.execute(request("d.alice.bob", "bob", Action::MarkRead { through_seq }))
    };
    let answers = join_all([5, 40, 17, 3, 40].map(read)).await;
    let seen: Vec<u64> = answers
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Answer::Cursor { read_seq, .. } => read_seq,
            Answer::Sent { .. } | Answer::Done { .. } => panic!("not a cursor"),
        })
        .collect();
    assert_eq!(seen, [5, 40, 40, 40, 40]);
    assert_eq!(read(41).await.unwrap_err().code, Code::BeyondLastMessage);
    service.stop().await;
}

#[tokio::test]
async fn backend_services_command_over_nats() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let sent = message_send("d.alice.bob", "n-1", "hi");
    let first = ask(&connection, "message.send", Some("alice"), &sent).await;
    let answer = body(&first);
    assert!(first.headers.is_none_or(|headers| headers.get("Nats-Service-Error").is_none()));
    assert_eq!(answer["conversationSeq"], 1);
    assert_eq!(answer["status"], "accepted");
    assert!(answer.get("duplicate").is_none());
    let again = body(&ask(&connection, "message.send", Some("alice"), &sent).await);
    assert_eq!(again["messageId"], answer["messageId"]);
    assert_eq!(again["duplicate"], true);
    let cursor = r#"{"conversationId":"d.alice.bob","readThroughSeq":1,"deviceId":"dev_1"}"#;
    assert_eq!(body(&ask(&connection, "cursor.read", Some("bob"), cursor).await)["readSeq"], 1);
    let cursor = r#"{"conversationId":"d.alice.bob","deliveredThroughSeq":1}"#;
    let delivered = ask(&connection, "cursor.delivered", Some("bob"), cursor).await;
    assert_eq!(body(&delivered)["deliveredSeq"], 1);
    let system = r#"{"conversationId":"d.alice.bob","clientMessageId":"s","body":{"kind":"system","text":"shipped"}}"#;
    assert_eq!(
        body(&ask(&connection, "message.send", Some("alice"), system).await)["conversationSeq"],
        2
    );
    service.stop().await;
}

#[tokio::test]
async fn what_is_refused_over_nats_is_refused_by_name_and_changes_nothing() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let good = message_send("d.alice.bob", "n-1", "hi");
    let spoofed = good.replace("clientMessageId", "senderId\":\"bob\",\"clientMessageId");
    let cases: [(&str, Option<&str>, &str, &str, u64); 12] = [
        ("message.send", None, &good, "unauthenticated", 401),
        ("message.send", Some("not an id"), &good, "invalid_id", 400),
        ("message.send", Some("eve"), &good, "not_found", 404),
        ("message.send", Some("alice"), "{", "invalid_body", 400),
        ("message.send", Some("alice"), "", "invalid_body", 400),
        (
            "message.send",
            Some("alice"),
            &good.replace("\"text\":\"hi\"", "\"text\":7"),
            "invalid_body",
            400,
        ),
        ("message.send", Some("alice"), &good.replace("hi", " "), "invalid_body", 422),
        (
            "message.send",
            Some("alice"),
            &good.replace("hi", &"x".repeat(4_097)),
            "body_too_large",
            413,
        ),
        (
            "message.send",
            Some("alice"),
            &good.replace("d.alice.bob", "d.alice.alice"),
            "invalid_id",
            400,
        ),
        ("message.send", Some("alice"), &good.replace("n-1", ""), "invalid_id", 400),
        ("message.send", Some("alice"), &spoofed, "forbidden", 403),
        (
            "cursor.read",
            Some("bob"),
            r#"{"conversationId":"d.alice.bob","readThroughSeq":9}"#,
            "beyond_last_message",
            422,
        ),
    ];
    for (verb, actor, text, code, status) in cases {
        let answer = ask(&connection, verb, actor, text).await;
        let problem = body(&answer);
        assert_eq!(problem["code"], code, "{text}");
        assert_eq!(problem["status"], status, "{text}");
        let headers = answer.headers.unwrap();
        assert_eq!(headers.get("Nats-Service-Error").unwrap().as_str(), code);
        assert_eq!(headers.get("Nats-Service-Error-Code").unwrap().as_str(), status.to_string());
    }
    // Garbage on the internal subject does no harm either.
    let garbage = connection.client().request("dm.shard.0", "garbage".into()).await.unwrap();
    assert_eq!(body(&garbage)["problem"]["code"], "invalid_body");
    for shard in 0..SHARDS {
        assert_eq!(parley_nats::last_position(&connection, shard).await.unwrap(), 0);
    }
    service.stop().await;
}

#[tokio::test]
async fn operators_see_one_endpoint_a_verb() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    ask(&connection, "message.send", Some("alice"), &message_send("d.alice.bob", "1", "hi")).await;
    let info = connection.client().request("$SRV.INFO.parley", "".into()).await.unwrap();
    let info = body(&info);
    let subjects: Vec<&str> = info["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| endpoint["subject"].as_str().unwrap())
        .collect();
    for verb in [
        "message.send",
        "message.edit",
        "message.delete",
        "reaction.add",
        "reaction.remove",
        "cursor.read",
        "cursor.delivered",
        "device.register",
        "device.unlink",
    ] {
        assert!(subjects.contains(&format!("dm.cmd.{verb}").as_str()), "{subjects:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn how_far_somebody_is_stays_their_own_if_they_wish_so() {
    let (nats, database) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let pool = parley_projections::connect(&database, "test", 2).unwrap();
    sqlx::query("INSERT INTO account_settings (version, user_id, settings) VALUES (1, 'bob', $1)")
        .bind(serde_json::json!({"readReceipts": false}))
        .execute(&pool)
        .await
        .unwrap();
    for (conversation, reader) in [("d.alice.bob", "bob"), ("d.alice.carol", "carol")] {
        let sent = message_send(conversation, "n-1", "hi");
        body(&ask(&connection, "message.send", Some("alice"), &sent).await);
        for (verb, field) in
            [("cursor.delivered", "deliveredThroughSeq"), ("cursor.read", "readThroughSeq")]
        {
            let cursor = format!(r#"{{"conversationId":"{conversation}","{field}":1}}"#);
            let moved = ask(&connection, verb, Some(reader), &cursor).await;
            assert!(body(&moved).get("code").is_none(), "{moved:?}");
        }
        let id = ConversationId::parse(conversation).unwrap();
        let log = read_subject(&connection, shard_of(&id, SHARDS), &id).await.unwrap();
        let hidden = log.iter().map(|message| {
            let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            event["data"]["hidden"] == true
        });
        let is_bob = reader == "bob";
        assert_eq!(hidden.collect::<Vec<_>>(), [false, is_bob, is_bob], "{reader}");
    }
    service.stop().await;
}

#[tokio::test]
async fn without_a_database_the_log_answers() {
    let (nats, migrated) = (TestNats::start().await, database().await);
    let service = Service::start(&nats.url(), &migrated, &[]);
    let client = client(&connection(&nats.url()).await);
    for n in 1..=3 {
        client.execute(send("d.alice.bob", "alice", &format!("{n}"), "x")).await.unwrap();
    }
    service.stop().await;
    // Nobody listens there.
    let service = Service::start(&nats.url(), "postgres://nobody@127.0.0.1:1/none", &[]);
    assert_eq!(numbers(client.execute(send("d.alice.bob", "alice", "2", "x")).await), (2, 2, true));
    assert_eq!(numbers(client.execute(send("d.alice.bob", "bob", "4", "x")).await), (4, 4, false));
    service.stop().await;
}

#[tokio::test]
async fn two_instances_share_the_shards_and_hand_them_over() {
    let (nats, database) = (TestNats::start().await, database().await);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    let first = Service::start(&nats.url(), &database, &[]);
    let conversations: Vec<String> = (0..40).map(|n| format!("d.a{n}.b{n}")).collect();
    let sweep = async |round: u64| {
        let requests = conversations.iter().enumerate().map(|(n, conversation)| {
            client.execute(send(conversation, &format!("a{n}"), &format!("r{round}"), "x"))
        });
        for answer in join_all(requests).await {
            assert_eq!(numbers(answer), (round, round, false));
        }
    };
    sweep(1).await;
    let second = Service::start(&nats.url(), &database, &[]);
    let leases =
        parley_nats::lease::Leases::open(&connection, "test", 1, Duration::from_millis(2_500))
            .await
            .unwrap();
    let holders = async || {
        let mut holders = std::collections::HashMap::<String, usize>::new();
        for shard in 0..SHARDS {
            let holder = leases.holder(&format!("shard.{shard}")).await.unwrap();
            *holders.entry(holder.unwrap_or_default()).or_default() += 1;
        }
        holders
    };
    // Commands go on while shards change hands.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(15);
    let mut round = 1;
    loop {
        round += 1;
        sweep(round).await;
        let now = holders().await;
        if now.len() == 2 && now.values().all(|shards| *shards == 2) && !now.contains_key("") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{now:?}");
    }
    first.stop().await;
    sweep(round + 1).await;
    second.stop().await;
}

#[tokio::test]
async fn a_killed_server_loses_and_doubles_nothing() {
    let (nats, database) = (TestNats::start().await, TestPostgres::database().await);
    let pool = parley_projections::connect(&database, "test", 2).unwrap();
    parley_projections::migrate(&pool).await.unwrap();
    let service = Service::start(&nats.url(), &database, &[]);
    let connection = connection(&nats.url()).await;
    let client = client(&connection);
    // A service that is still looking for its server may end; from here on it must not.
    let up = request("d.alice.bob", "alice", Action::MarkRead { through_seq: 0 });
    client.execute(up).await.unwrap();
    let mut accepted = Vec::new();
    for round in 0..4 {
        let requests: Vec<_> =
            (0..100).map(|n| send("d.alice.bob", "alice", &format!("{round}-{n}"), "x")).collect();
        let sending = join_all(requests.into_iter().map(|request| client.execute(request)));
        let killing = async {
            nats.kill9().await;
            nats.restart().await;
        };
        let (answers, ()) = tokio::join!(sending, killing);
        for (n, answer) in answers.into_iter().enumerate() {
            let (seq, _, _) = numbers(answer);
            accepted.push((seq, format!("{round}-{n}")));
        }
    }
    let id = parley_domain::ConversationId::parse("d.alice.bob").unwrap();
    let log = read_subject(&connection, shard_of(&id, SHARDS), &id).await.unwrap();
    let sent: Vec<(u64, String)> = log
        .iter()
        .map(|message| {
            let data = Event::from_json(&message.payload).unwrap().data;
            let parley_domain::EventData::MessageSent(sent) = data else {
                panic!("nobody did anything else: {data:?}")
            };
            (sent.conversation_seq, sent.client_message_id.to_string())
        })
        .collect();
    accepted.sort();
    assert_eq!(sent, accepted);
    assert_eq!(sent.len(), 400);
    service.stop().await;
}
