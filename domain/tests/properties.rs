//! What holds for every conversation, whatever is asked of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parley_domain::{
    Action, Actor, Body, ClientMessageId, Command, Conversation, ConversationId, Event, EventData,
    Scope, Timestamp, UserId,
};
use proptest::prelude::*;
use uuid::Uuid;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0..40_u8, 0..3_u8).prop_map(|(name, text)| Action::SendMessage {
            client_message_id: ClientMessageId::parse(&format!("c-{name}")).unwrap(),
            body: Body::Text { text: format!("text {text}") },
            reply_to: None,
        }),
        1 => (0..60_u64).prop_map(|through_seq| Action::MarkDelivered { through_seq }),
        1 => (0..60_u64).prop_map(|through_seq| Action::MarkRead { through_seq }),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let actor = prop_oneof![4 => Just("alice"), 4 => Just("bob"), 1 => Just("eve")];
    prop::collection::vec((actor, action()), 0..80).prop_map(|asked| {
        asked
            .into_iter()
            .enumerate()
            .map(|(n, (actor, action))| Command {
                conversation_id: ConversationId::parse("d.alice.bob").unwrap(),
                actor: Actor {
                    user_id: UserId::parse(actor).unwrap(),
                    device_id: None,
                    scope: Scope::User,
                },
                time: Timestamp::from_unix_millis(n as i64),
                event_id: Uuid::from_u128(n as u128 + 1),
                action,
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
        let sent = log.iter().filter_map(|event| match &event.data {
            EventData::MessageSent(sent) => Some(sent.conversation_seq),
            _ => None,
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
    fn erased_messages_leave_every_number_that_is_decided_on_in_place(
        commands in commands(), erased in prop::collection::vec(any::<bool>(), 80)
    ) {
        let (log, state) = run(&commands);
        let last = log.len().saturating_sub(1);
        let last_message = log
            .iter()
            .rposition(|event| matches!(event.data, EventData::MessageSent(_)))
            .unwrap_or(0);
        // A body is erased after the event that deletes it, so never the newest.
        let kept = log.iter().enumerate().filter(|(n, event)| {
            *n == last || *n == last_message || !erased[*n]
                || !matches!(event.data, EventData::MessageSent(_))
        });
        let folded = fold(kept.map(|(_, event)| event));
        prop_assert_eq!(folded.version, state.version);
        prop_assert_eq!(folded.last_seq, state.last_seq);
        for (user, cursor) in &folded.cursors {
            prop_assert!(cursor.read <= state.cursor(user).read);
            prop_assert!(cursor.delivered <= state.cursor(user).delivered);
        }
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
