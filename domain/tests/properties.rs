//! What holds for every conversation, whatever is asked of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the events that it is about")]

use parley_domain::{
    Action, Actor, Body, ClientMessageId, Command, Conversation, ConversationId, Emoji, Event,
    EventData, Role, Scope, Timestamp, UserId, body::Attachment, conversation::Title,
    masking::Masking,
};
use proptest::prelude::*;
use uuid::Uuid;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0..40_u8, 0..5_u8).prop_map(|(name, which)| Action::SendMessage {
            client_message_id: ClientMessageId::parse(&format!("c-{name}")).unwrap(),
            body: body(which),
            reply_to: None,
        }),
        1 => (0..60_u64).prop_map(|through_seq| Action::MarkDelivered { through_seq }),
        1 => (0..60_u64).prop_map(|through_seq| Action::MarkRead { through_seq }),
        1 => (0..20_u64, 0..5_u8).prop_map(|(conversation_seq, which)| Action::EditMessage {
            conversation_seq,
            body: body(which),
        }),
        1 => (0..20_u64).prop_map(|conversation_seq| Action::DeleteMessage {
            conversation_seq,
            reason: None,
        }),
        1 => (0..20_u64, emoji()).prop_map(|(conversation_seq, emoji)| Action::AddReaction {
            conversation_seq,
            emoji,
        }),
        1 => (0..20_u64, emoji()).prop_map(|(conversation_seq, emoji)| Action::RemoveReaction {
            conversation_seq,
            emoji,
        }),
    ]
}

/// The last one is an order if a service sends it, and the one before it is masked until then.
fn body(which: u8) -> Body {
    match which {
        4 => Body::Attachment {
            text: Some("mail a@b.example".to_owned()),
            attachments: vec![Attachment { file: None, ..file() }],
        },
        3 => serde_json::from_str(r#"{"kind":"order","refId":"O-1","title":"Bicycle"}"#).unwrap(),
        2 => Body::Text { text: "mail a@b.example".to_owned() },
        n => Body::Text { text: format!("text {n}") },
    }
}

/// As it is looked up.
fn file() -> Attachment {
    let file = r#"{"attachmentId":"0193e5a0-7b1c-7def-8123-456789abcdef","fileName":"a.png",
        "contentType":"image/png","sizeBytes":7}"#;
    serde_json::from_str(file).unwrap()
}

fn emoji() -> impl Strategy<Value = Emoji> {
    prop_oneof![Just("👍"), Just("❤️")].prop_map(|text| Emoji::parse(text).unwrap())
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let actor = prop_oneof![4 => Just("alice"), 4 => Just("bob"), 1 => Just("eve")];
    let scope = prop_oneof![5 => Just(Scope::User), 1 => Just(Scope::Service)];
    prop::collection::vec((actor, scope, action()), 0..80).prop_map(|asked| {
        asked
            .into_iter()
            .enumerate()
            .map(|(n, (actor, scope, action))| Command {
                conversation_id: ConversationId::parse("d.alice.bob").unwrap(),
                actor: Actor {
                    user_id: UserId::parse(actor).unwrap(),
                    device_id: None,
                    scope,
                    is_discreet: false,
                },
                time: Timestamp::from_unix_millis(n as i64),
                event_id: Uuid::from_u128(n as u128 + 1),
                action,
                masking: Masking { emails: true, phones: true, links: true },
                message: None,
                attachments: vec![file()],
            })
            .collect()
    })
}

/// Runs the commands; the log that they leave, and the state after it.
fn run(commands: &[Command]) -> (Vec<Event>, Conversation) {
    let mut state = Conversation::default();
    let mut log = Vec::new();
    for command in commands {
        if let Ok(Some(event)) = state.decide(command) {
            state.evolve(&event);
            log.push(event);
        }
    }
    (log, state)
}

fn fold<'a>(log: impl IntoIterator<Item = &'a Event>) -> Conversation {
    let mut state = Conversation::default();
    for event in log {
        state.evolve(event);
    }
    state
}

proptest! {
    #[test]
    fn the_same_command_twice_makes_no_second_event(commands in commands()) {
        let mut state = Conversation::default();
        for command in &commands {
            let Ok(decided) = state.decide(command) else { continue };
            if let Some(event) = &decided {
                state.evolve(event);
            }
            prop_assert_eq!(state.decide(command), Ok(None));
            let first = state.answer(command, true);
            prop_assert!(first.is_some());
        }
    }

    #[test]
    fn versions_and_numbers_are_gapless_from_1(commands in commands()) {
        let (log, state) = run(&commands);
        for (event, version) in log.iter().zip(1..) {
            prop_assert_eq!(event.version, version);
        }
        let sent = log.iter().filter_map(|event| {
            let EventData::MessageSent(sent) = &event.data else { return None };
            Some(sent.conversation_seq)
        });
        for (seq, expected) in sent.zip(1..) {
            prop_assert_eq!(seq, expected);
        }
        prop_assert_eq!(state.version, log.len() as u64);
    }

    #[test]
    fn cursors_only_move_forward_and_never_past_the_last_message(commands in commands()) {
        let (log, _) = run(&commands);
        let mut state = Conversation::default();
        for event in &log {
            let before = state.cursors.clone();
            state.evolve(event);
            for (user, now) in &state.cursors {
                let then = before.get(user).copied().unwrap_or_default();
                prop_assert!(now.read >= then.read && now.delivered >= then.delivered);
                prop_assert!(now.read <= now.delivered && now.delivered <= state.last_seq);
            }
        }
    }

    #[test]
    fn events_doubled_or_delivered_again_late_change_nothing(
        commands in commands(), again in prop::collection::vec((0..80_usize, 0..80_usize), 0..20)
    ) {
        let (log, state) = run(&commands);
        let mut wire: Vec<&Event> = log.iter().flat_map(|event| [event, event]).collect();
        for (which, later) in again {
            if let Some(event) = log.get(which) {
                let place = wire.len().min(2 * (which + later) + 2);
                wire.insert(place, event);
            }
        }
        prop_assert_eq!(fold(wire), state);
    }

    #[test]
    fn a_log_without_what_was_deleted_makes_the_same_state(commands in commands()) {
        let (log, state) = run(&commands);
        let deleted: Vec<u64> = log
            .iter()
            .filter_map(|event| match &event.data {
                EventData::MessageDeleted(deleted) => Some(deleted.conversation_seq),
                _ => None,
            })
            .collect();
        let kept = log.iter().filter(|event| match &event.data {
            EventData::MessageSent(sent) => !deleted.contains(&sent.conversation_seq),
            EventData::MessageEdited(edited) => !deleted.contains(&edited.conversation_seq),
            _ => true,
        });
        prop_assert_eq!(fold(kept), state);
    }

    #[test]
    fn events_round_trip(commands in commands()) {
        let (log, _) = run(&commands);
        for event in &log {
            let json = event.to_json().unwrap();
            prop_assert_eq!(&Event::from_json(&json).unwrap(), event);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::from_json(&bytes);
        let _ = serde_json::from_slice::<Body>(&bytes).map(Body::validated);
        let text = String::from_utf8_lossy(&bytes);
        let _ = ConversationId::parse(&text);
        let _ = Timestamp::parse(&text);
    }

    #[test]
    fn validating_twice_is_validating_once(text in any::<String>()) {
        if let Ok(body) = (Body::Text { text }).validated() {
            prop_assert_eq!(body.clone().validated(), Ok(body));
        }
    }
}

const GROUP: &str = "g.0193e5a0-7b1c-7def-8123-456789abcdef";
const CHANNEL: &str = "c.0193e5a0-7b1c-7def-8123-456789abcdef";

fn person() -> impl Strategy<Value = UserId> {
    (0..6_u8).prop_map(|n| UserId::parse(&format!("p{n}")).unwrap())
}

fn group_action() -> impl Strategy<Value = Action> {
    let role = || prop::sample::select(vec![Role::Owner, Role::Admin, Role::Member]);
    let title = "[a-z]{1,5}".prop_map(|text| Title::parse(&text).unwrap());
    prop_oneof![
        2 => action(),
        4 => (person(), prop::option::of(role()))
            .prop_map(|(user_id, role)| Action::AddMember { user_id, role }),
        4 => person().prop_map(|user_id| Action::RemoveMember { user_id }),
        3 => (person(), role()).prop_map(|(user_id, role)| Action::ChangeRole { user_id, role }),
        1 => prop::option::of(title).prop_map(|title| Action::Rename { title }),
        1 => prop::sample::select(vec![0, 86_400, 5])
            .prop_map(|seconds| Action::SetTimer { seconds }),
        1 => Just(Action::Block),
    ]
}

/// A group or channel that p0 has made with p1 and p2, and what six people ask of it.
fn group_commands() -> impl Strategy<Value = Vec<Command>> {
    let id = prop::sample::select(vec![GROUP, CHANNEL]);
    (id, prop::collection::vec((person(), group_action()), 0..80)).prop_map(|(id, asked)| {
        let named = |name: &str| UserId::parse(name).unwrap();
        let members = vec![named("p1"), named("p2")];
        let create = Action::Create { title: Title::parse("Group").unwrap(), members };
        std::iter::once((named("p0"), create))
            .chain(asked)
            .enumerate()
            .map(|(n, (user_id, action))| Command {
                conversation_id: ConversationId::parse(id).unwrap(),
                actor: Actor { user_id, device_id: None, scope: Scope::User, is_discreet: false },
                time: Timestamp::from_unix_millis(n as i64),
                event_id: Uuid::from_u128(n as u128 + 1),
                message: None,
                attachments: Vec::new(),
                masking: Masking::default(),
                action,
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn in_a_group_the_same_command_twice_makes_no_second_event(commands in group_commands()) {
        let mut state = Conversation::default();
        for command in &commands {
            let Ok(decided) = state.decide(command) else { continue };
            if let Some(event) = &decided {
                state.evolve(event);
            }
            prop_assert_eq!(state.decide(command), Ok(None), "{:?}", command.action);
            prop_assert!(state.answer(command, true).is_some());
        }
    }

    #[test]
    fn a_group_has_one_owner_while_it_has_anybody(commands in group_commands()) {
        let (log, _) = run(&commands);
        let mut state = Conversation::default();
        for event in &log {
            state.evolve(event);
            let owners = state.members.iter().filter(|(_, member)| member.role == Role::Owner);
            prop_assert_eq!(owners.count(), usize::from(!state.members.is_empty()));
        }
    }

    #[test]
    fn counts_and_numbers_in_events_are_those_of_the_state(commands in group_commands()) {
        let (log, state) = run(&commands);
        let mut members = Conversation::default();
        for event in &log {
            let before = members.last_seq;
            members.evolve(event);
            let now = members.members.len() as u64;
            if let EventData::MemberAdded(added) = &event.data {
                prop_assert_eq!((added.last_seq, added.member_count), (before, now));
            }
            if let EventData::MemberRemoved(gone) = &event.data {
                prop_assert_eq!((gone.last_seq, gone.member_count), (before, now));
            }
            if let EventData::MemberLeft(left) = &event.data {
                prop_assert_eq!((left.last_seq, left.member_count), (before, now));
            }
        }
        prop_assert_eq!(fold(log.iter().flat_map(|event| [event, event])), state);
    }

    #[test]
    fn only_members_have_a_say_and_cursors(commands in group_commands()) {
        let mut state = Conversation::default();
        for command in &commands {
            let was_member = state.is_member(&command.conversation_id, &command.actor.user_id);
            let Ok(Some(event)) = state.decide(command) else { continue };
            let joins = matches!(&event.data, EventData::MemberAdded(added) if added.user_id == event.actor);
            let begins = matches!(&event.data, EventData::ConversationCreated(_));
            prop_assert!(was_member || joins || begins, "{:?}", event.data);
            state.evolve(&event);
            for user in state.cursors.keys() {
                prop_assert!(state.members.contains(user));
            }
        }
    }

    #[test]
    fn events_of_groups_round_trip(commands in group_commands()) {
        let (log, _) = run(&commands);
        for event in &log {
            prop_assert_eq!(&Event::from_json(&event.to_json().unwrap()).unwrap(), event);
        }
    }
}
