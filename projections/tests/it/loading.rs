//! What is loaded is the fold of the log.

use parley_domain::{Action, Conversation, Emoji, conversation::RECENT_MESSAGES};
use parley_projections::{checkpoints, load_conversation, load_message};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    log::{Log, SHARD, direct},
    support::{apply_batch, views, views_of},
};

#[derive(Debug, Clone)]
enum Asked {
    Send { body: u8, reply_to: Option<u64>, name: u8 },
    Read(u64),
    Deliver(u64),
    Edit { seq: u64, body: u8 },
    Delete(u64),
    React { seq: u64, emoji: &'static str, add: bool },
}

/// Who asks what of which conversation; some of it is refused or changes nothing.
fn commands() -> impl Strategy<Value = Vec<(usize, usize, Asked)>> {
    let asked = prop_oneof![
        3 => (0..3_u8, prop::option::of(0..9_u64), 0..30_u8)
            .prop_map(|(body, reply_to, name)| Asked::Send { body, reply_to, name }),
        1 => (0..30_u64).prop_map(Asked::Read),
        1 => (0..30_u64).prop_map(Asked::Deliver),
        1 => (0..12_u64, 0..3_u8).prop_map(|(seq, body)| Asked::Edit { seq, body }),
        1 => (0..12_u64).prop_map(Asked::Delete),
        2 => (0..12_u64, prop_oneof![Just("👍"), Just("❤️")], prop::bool::weighted(0.7))
            .prop_map(|(seq, emoji, add)| Asked::React { seq, emoji, add }),
    ];
    prop::collection::vec((0..3_usize, 0..3_usize, asked), 1..60)
}

fn body(which: u8) -> parley_domain::Body {
    let json = match which {
        0 => r#"{"kind":"text","text":"héllo 👋\n"}"#,
        1 => {
            r#"{"kind":"order","refId":"O-1","title":"Bicycle","priceMinor":12000,"currency":"EUR"}"#
        }
        _ => r#"{"kind":"encrypted","scheme":"s","ciphertext":"c","header":"h"}"#,
    };
    serde_json::from_str(json).unwrap()
}

/// Every run has three conversations of its own in the one database.
fn play(run: u64, position: u64, commands: &[(usize, usize, Asked)]) -> Log {
    let mut log = Log::default();
    // Behind what earlier runs have left.
    log.messages.push(parley_nats::tail::LogMessage {
        position,
        subject: "".into(),
        payload: Vec::new().into(),
    });
    let names: Vec<String> = (0..3).map(|n| format!("u{run}-{n}")).collect();
    for (conversation, actor, asked) in commands {
        let one = &names[*conversation];
        let other = &names[(conversation + 1) % 3];
        let action = match asked {
            Asked::Send { body: which, reply_to, name } => Action::SendMessage {
                client_message_id: parley_domain::ClientMessageId::parse(&format!("c {name}"))
                    .unwrap(),
                body: body(*which),
                reply_to: *reply_to,
            },
            Asked::Read(through_seq) => Action::MarkRead { through_seq: *through_seq },
            Asked::Deliver(through_seq) => Action::MarkDelivered { through_seq: *through_seq },
            Asked::Edit { seq, body: which } => {
                Action::EditMessage { conversation_seq: *seq, body: body(*which) }
            }
            Asked::Delete(seq) => Action::DeleteMessage { conversation_seq: *seq, reason: None },
            Asked::React { seq, emoji, add } => {
                let (conversation_seq, emoji) = (*seq, Emoji::parse(emoji).unwrap());
                if *add {
                    Action::AddReaction { conversation_seq, emoji }
                } else {
                    Action::RemoveReaction { conversation_seq, emoji }
                }
            }
        };
        log.ask(&direct(one, other), &names[*actor], action);
    }
    log.messages.remove(0);
    log
}

#[test]
fn the_loaded_state_is_the_fold_of_the_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = runtime.block_on(views());
    let run = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let property = |(commands, batch): (Vec<_>, usize)| {
        run.set(run.get() + 1);
        runtime.block_on(async {
            let position = parley_projections::checkpoint(&pool, SHARD).await.unwrap();
            let log = play(run.get(), position, &commands);
            for part in log.messages.chunks(batch) {
                let applied = apply_batch(&pool, part).await.unwrap();
                prop_assert!(applied.dead_letters.is_empty());
            }
            for (id, state) in &log.states {
                let loaded = load_conversation(&pool, SHARD, id).await.unwrap();
                prop_assert_eq!(&loaded.state, state);
                prop_assert_eq!(loaded.checkpoint, log.last().max(position));
                prop_assert!(!loaded.damaged);
                for sent in Vec::from(state.recent.clone()) {
                    let seq = sent.conversation_seq;
                    let found = load_message(&pool, SHARD, id, seq).await.unwrap();
                    prop_assert_eq!(found.state, Some(sent));
                }
            }
            Ok(())
        })
    };
    runner.run(&(commands(), 1..40_usize), property).unwrap();
}

#[tokio::test]
async fn the_last_thousand_messages_are_loaded() {
    let mut log = Log::default();
    for n in 0..RECENT_MESSAGES + 20 {
        let (from, to) = if n % 3 == 0 { ("ann", "bob") } else { ("bob", "ann") };
        log.send(from, to, "hello");
    }
    let id = direct("ann", "bob");
    let pool = views_of(&log).await;
    let loaded = load_conversation(&pool, SHARD, &id).await.unwrap();
    assert_eq!(loaded.state.recent.len(), RECENT_MESSAGES);
    assert_eq!(loaded.state, log.states[&id]);
}

#[tokio::test]
async fn an_unknown_conversation_is_in_its_first_state_at_the_checkpoint() {
    let mut log = Log::default();
    log.send("ann", "bob", "hello");
    let pool = views_of(&log).await;
    let loaded = load_conversation(&pool, SHARD, &direct("ann", "cid")).await.unwrap();
    assert_eq!(loaded.state, Conversation::default());
    assert_eq!((loaded.checkpoint, loaded.damaged), (1, false));
    // A shard that was never projected is at its beginning.
    let untouched = load_conversation(&pool, SHARD + 1, &direct("ann", "cid")).await.unwrap();
    assert_eq!(untouched.checkpoint, 0);
    assert_eq!(checkpoints(&pool, 6).await.unwrap(), [0, 0, 0, 1, 0, 0]);
    assert_eq!(checkpoints(&pool, 2).await.unwrap(), [0, 0]);
}
