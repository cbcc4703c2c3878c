//! What is loaded is the fold of the log.

use std::collections::BTreeSet;

use parley_domain::{
    Action, ClientMessageId, Conversation, Emoji, EventData, Kind, Role, Scope,
    conversation::{RECENT_MESSAGES, Title},
};
use parley_projections::{
    checkpoints, load_conversation, load_message,
    queries::{Page, history, summary},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    log::{Log, SHARD, direct, named, user},
    support::{apply_batch, views, views_of},
};

#[derive(Debug, Clone)]
enum Asked {
    Send { body: u8, reply_to: Option<u64>, name: u8, by_service: bool },
    Read(u64),
    Deliver(u64),
    Edit { seq: u64, body: u8 },
    Delete(u64),
    React { seq: u64, emoji: &'static str, add: bool },
}

/// Who asks what of which conversation; some of it is refused or changes nothing.
fn commands() -> impl Strategy<Value = Vec<(usize, usize, Asked)>> {
    let asked = prop_oneof![
        3 => (0..5_u8, prop::option::of(0..9_u64), 0..30_u8, prop::bool::weighted(0.2)).prop_map(
            |(body, reply_to, name, by_service)| Asked::Send { body, reply_to, name, by_service }
        ),
        1 => (0..30_u64).prop_map(Asked::Read),
        1 => (0..30_u64).prop_map(Asked::Deliver),
        1 => (0..12_u64, 0..5_u8).prop_map(|(seq, body)| Asked::Edit { seq, body }),
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
        2 => r#"{"kind":"text","text":"mail a@b.example"}"#,
        3 => {
            r#"{"kind":"attachment","text":"héllo",
            "attachments":[{"attachmentId":"0193e5a0-7b1c-7def-8123-456789abcdef"}]}"#
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
        let mut scope = Scope::User;
        let action = match asked {
            Asked::Send { body: which, reply_to, name, by_service } => {
                if *by_service {
                    scope = Scope::Service;
                }
                Action::SendMessage {
                    client_message_id: ClientMessageId::parse(&format!("c {name}")).unwrap(),
                    body: body(*which),
                    reply_to: *reply_to,
                }
            }
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
        log.ask_as(scope, &direct(one, other), &names[*actor], action);
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

/// What people ask of a group or channel; much of it is refused.
fn group_commands() -> impl Strategy<Value = Vec<(usize, Action)>> {
    let person = || (0..5_usize).prop_map(|n| user(&format!("p{n}")));
    let role = || prop::sample::select(vec![Role::Owner, Role::Admin, Role::Member]);
    let action = prop_oneof![
        4 => (0..30_u8).prop_map(|name| Action::SendMessage {
            client_message_id: ClientMessageId::parse(&format!("c {name}")).unwrap(),
            body: body(0),
            reply_to: None,
        }),
        1 => (0..20_u64).prop_map(|through_seq| Action::MarkRead { through_seq }),
        1 => (0..20_u64).prop_map(|through_seq| Action::MarkDelivered { through_seq }),
        3 => (person(), prop::option::of(role()))
            .prop_map(|(user_id, role)| Action::AddMember { user_id, role }),
        3 => person().prop_map(|user_id| Action::RemoveMember { user_id }),
        2 => (person(), role()).prop_map(|(user_id, role)| Action::ChangeRole { user_id, role }),
        1 => prop::option::of("[a-z]{1,9}").prop_map(|text| Action::Rename {
            title: text.map(|text| Title::parse(&text).unwrap()),
        }),
        1 => prop::sample::select(vec![0, 86_400]).prop_map(|seconds| Action::SetTimer { seconds }),
    ];
    prop::collection::vec((0..5_usize, action), 1..60)
}

#[test]
fn a_loaded_group_or_channel_is_the_fold_of_its_log_and_says_who_sees_what() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = runtime.block_on(views());
    let run = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let kinds = prop::sample::select(vec![Kind::Group, Kind::Channel]);
    let property = |(commands, batch, kind): (Vec<(usize, Action)>, usize, Kind)| {
        run.set(run.get() + 1);
        runtime.block_on(async {
            let position = parley_projections::checkpoint(&pool, SHARD).await.unwrap();
            let mut log = Log::behind(position);
            let id = named(kind, run.get());
            log.create(&id, "p0", &["p1", "p2"]);
            // Who saw which message, as the log has it.
            let mut seen: BTreeSet<(String, u64)> = BTreeSet::new();
            for (actor, action) in &commands {
                let event = log.ask(&id, &format!("p{actor}"), action.clone());
                let Some(EventData::MessageSent(sent)) = event.map(|event| event.data) else {
                    continue;
                };
                let members = log.states[&id].members.iter();
                seen.extend(members.map(|(user, _)| (user.to_string(), sent.conversation_seq)));
            }
            for part in log.messages.chunks(batch) {
                let applied = apply_batch(&pool, part).await.unwrap();
                prop_assert!(applied.dead_letters.is_empty(), "{:?}", applied.dead_letters);
            }
            let loaded = load_conversation(&pool, SHARD, &id).await.unwrap();
            let state = &log.states[&id];
            prop_assert_eq!(&loaded.state, state);
            for n in 0..5 {
                let reader = user(&format!("p{n}"));
                let shown = history(&pool, &id, &reader, Page::After(0), 200).await.unwrap();
                let summary = summary(&pool, &id, &reader, Log::time_of(0)).await.unwrap();
                prop_assert_eq!(shown.is_some(), summary.is_some());
                let shown = shown.map_or_else(Vec::new, |page| page.messages);
                let shown: Vec<u64> =
                    shown.iter().map(|message| message.conversation_seq).collect();
                let expected: Vec<u64> = seen
                    .iter()
                    .filter(|(name, _)| *name == reader.to_string())
                    .map(|(_, seq)| *seq)
                    .collect();
                prop_assert_eq!(shown, expected);
                let Some(summary) = summary else { continue };
                if state.members.contains(&reader) {
                    prop_assert_eq!(summary.version, state.version);
                    prop_assert_eq!(summary.member_count, state.members.len() as u64);
                    prop_assert_eq!(&summary.title, &state.title);
                } else {
                    prop_assert!(!summary.can_send && summary.members.is_none());
                }
            }
            Ok(())
        })
    };
    runner.run(&(group_commands(), 1..40_usize, kinds), property).unwrap();
}
