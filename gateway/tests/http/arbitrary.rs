//! Whatever bytes come, the answer is a refusal, never a failure.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::support::world;

const ROUTES: &[&str] = &[
    "/v1/sessions/bootstrap",
    "/v1/conversations",
    "/v1/conversations/direct",
    "/v1/conversations/d.arb_a.arb_b/messages",
    "/v1/conversations/d.arb_a.arb_b/read-cursors",
    "/v1/conversations/d.arb_a.arb_b/delivery-cursors",
    "/dev/token",
];

/// Bytes, JSON of any shape, and JSON that is almost right.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec![
        "clientMessageId",
        "senderId",
        "body",
        "replyTo",
        "deviceId",
        "platform",
        "participantIds",
        "conversationId",
        "title",
        "memberIds",
        "readThroughSeq",
        "deliveredThroughSeq",
        "userId",
        "scope",
        "kind",
        "text",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,80}".prop_map(Into::into),
        Just("text".into()),
        Just("arb_a".into()),
    ];
    let json = leaf.prop_recursive(4, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        json.prop_map(|json| json.to_string().into_bytes()),
    ]
}

#[test]
fn no_body_makes_the_server_fail() {
    let world = world();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A failure prints its input; the same inputs come again at every run.
    let config = Config { failure_persistence: None, ..Config::with_cases(200) };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    runner
        .run(&body(), |body| {
            for route in ROUTES {
                let answer = runtime.block_on(world.post_text(route, "arb_a", body.clone()));
                prop_assert!(answer.status < 500, "{route}: {answer:?}");
                if answer.status >= 400 {
                    answer.problem();
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn deep_nesting_is_only_malformed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for body in ["[".repeat(60_000), "{\"a\":".repeat(10_000), "\u{0}".repeat(60_000)] {
        for route in ROUTES {
            let answer = runtime.block_on(world().post_text(route, "arb_a", body.clone()));
            answer.refused(400, "invalid_body");
        }
    }
}
