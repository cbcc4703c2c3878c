//! What holds for every account, whatever is asked of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use parley_domain::{
    Account, AccountId, Actor, ConversationId, DeviceId, Event, Scope, Timestamp, UserId,
    account::{Action, Address, Command, Refusal, Settings},
};
use proptest::prelude::*;
use uuid::Uuid;

const IDS: [&str; 4] =
    ["d.alice.bob", "d.alice.carol", "d.bob.carol", "c.0193e5a0-7b1c-7def-8123-456789abcdef"];

fn on_a_device() -> impl Strategy<Value = Action> {
    let device = (0..6_u8).prop_map(|n| DeviceId::parse(&format!("dev_{n}")).unwrap());
    (device, prop_oneof![Just(None), Just(Some(None)), (0..20_u64).prop_map(|n| Some(Some(n)))])
        .prop_map(|(device_id, register)| match register {
            None => Action::UnlinkDevice { device_id },
            Some(renews) => {
                Action::RegisterDevice { device_id, platform: "web".to_owned(), renews }
            }
        })
}

fn on_a_conversation() -> impl Strategy<Value = Action> {
    let id = prop::sample::select(&IDS[..]).prop_map(|id| ConversationId::parse(id).unwrap());
    // Around the moments at which the commands come.
    let at = prop::option::of((0..100_i64).prop_map(Timestamp::from_unix_millis));
    (id, at, 0..10_u8, 0..4_u64).prop_map(|(conversation_id, at, which, n)| match which {
        0 => Action::Mute { conversation_id, until: at },
        1 => Action::Unmute { conversation_id },
        2 => Action::Pin { conversation_id },
        3 => Action::Unpin { conversation_id },
        4 => Action::Archive { conversation_id, through_seq: n },
        5 => Action::Unarchive { conversation_id },
        6 | 7 => Action::SaveDraft { conversation_id, text: "x".repeat(n as usize), saved_at: at },
        8 => Action::ClearDraft { conversation_id, saved_at: at },
        _ => Action::ReadChannel { conversation_id, through_seq: n },
    })
}

fn on_the_rest() -> impl Strategy<Value = Action> {
    (0..6_u8, 0..4_u8, any::<bool>()).prop_map(|(which, n, yes)| {
        let user_id = UserId::parse(["alice", "bob", "carol", "dave"][usize::from(n)]).unwrap();
        let endpoint_id = Uuid::from_u128(u128::from(n) * 7 + 1);
        match which {
            0 => Action::AddContact { user_id },
            1 => Action::RemoveContact { user_id },
            2 => {
                let locale = ["en", "de", "nowhere!"][usize::from(n % 3)].to_owned();
                let settings = Settings { read_receipts: yes, locale, ..Settings::default() };
                Action::SetPreferences { settings }
            }
            3 => {
                let address = Address::Email(format!("a{n}@example.com"));
                Action::AddEndpoint { address, verified: yes }
            }
            4 => Action::VerifyEndpoint { endpoint_id },
            _ => Action::RemoveEndpoint { endpoint_id },
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![on_a_device(), on_a_conversation(), on_the_rest()]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let actor = prop_oneof![8 => Just("alice"), 1 => Just("bob")];
    prop::collection::vec((actor, action()), 0..80).prop_map(|asked| {
        asked
            .into_iter()
            .enumerate()
            .map(|(n, (actor, action))| Command {
                account_id: AccountId::parse("a.alice").unwrap(),
                actor: Actor {
                    user_id: UserId::parse(actor).unwrap(),
                    device_id: None,
                    scope: Scope::User,
                    is_discreet: false,
                },
                time: Timestamp::from_unix_millis(n as i64),
                event_id: Uuid::from_u128(n as u128 + 1),
                action,
            })
            .collect()
    })
}

/// Runs the commands; the log that they leave, and the state after it.
fn run(commands: &[Command]) -> (Vec<Event>, Account) {
    let mut state = Account::default();
    let mut log = Vec::new();
    for command in commands {
        if let Ok(Some(event)) = state.decide(command) {
            state.evolve(&event);
            log.push(event);
        }
    }
    (log, state)
}

fn fold<'a>(log: impl IntoIterator<Item = &'a Event>) -> Account {
    let mut state = Account::default();
    for event in log {
        state.evolve(event);
    }
    state
}

proptest! {
    #[test]
    fn the_same_command_twice_makes_no_second_event(commands in commands()) {
        let mut state = Account::default();
        for command in &commands {
            let Ok(decided) = state.decide(command) else { continue };
            if let Some(event) = &decided {
                state.evolve(event);
            }
            prop_assert!(state.answer(command).is_some());
            let again = state.decide(command);
            if matches!(command.action, Action::RemoveEndpoint { .. }) {
                // Its id is never used again, so it is unknown.
                prop_assert_eq!(again, Err(Refusal::NoEndpoint));
            } else {
                prop_assert_eq!(again, Ok(None));
            }
        }
    }

    #[test]
    fn versions_are_gapless_from_1(commands in commands()) {
        let (log, state) = run(&commands);
        for (event, version) in log.iter().zip(1..) {
            prop_assert_eq!(event.version, version);
        }
        prop_assert_eq!(state.version, log.len() as u64);
    }

    #[test]
    fn a_registration_never_comes_again(commands in commands()) {
        let mut state = Account::default();
        let mut over = Vec::new();
        for command in &commands {
            let before: Vec<u64> =
                state.devices.all_linked().map(|(_, device)| device.registration).collect();
            if let Ok(Some(event)) = state.decide(command) {
                state.evolve(&event);
            }
            let now: Vec<u64> =
                state.devices.all_linked().map(|(_, device)| device.registration).collect();
            over.extend(before.into_iter().filter(|registration| !now.contains(registration)));
            prop_assert!(now.iter().all(|registration| !over.contains(registration)));
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
    fn events_and_states_round_trip(commands in commands()) {
        let (log, state) = run(&commands);
        for event in &log {
            let json = event.to_json().unwrap();
            prop_assert_eq!(&Event::from_json(&json).unwrap(), event);
        }
        let json = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), state);
    }
}
