//! Accounts and their devices.

use parley_domain::{
    Account, ConversationId, DeviceId, EventData, Timestamp,
    account::{
        Action, Address, MAX_DEVICES, Settings,
        address::{Subscription, SubscriptionKeys},
        settings::Choice,
    },
};
use parley_nats::subjects::event_subject;
use parley_projections::{
    apply::Poison,
    load_account,
    queries::{AccountDevices, AccountState, SyncLimits, SyncPage, devices, standing, sync_page},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    log::{Log, SHARD, account, direct, user},
    support::{apply_batch, catch_up, count, dump, views, views_of},
};

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

fn names(shown: &AccountDevices) -> Vec<&str> {
    shown.devices.iter().map(|device| device.device_id.as_str()).collect()
}

/// What somebody asks of their account, by small numbers.
#[derive(Debug, Clone, Copy)]
struct Asked {
    what: u8,
    which: u8,
    number: u64,
}

fn asked() -> impl Strategy<Value = Asked> {
    (0..18_u8, 0..4_u8, 0..5_u64).prop_map(|(what, which, number)| Asked { what, which, number })
}

impl Asked {
    fn action(self, person: &str, log: &Log) -> Action {
        let Self { what, which, number } = self;
        let device_id = device(&format!("d{which}"));
        let user_id = user(&format!("other{which}"));
        let conversation_id = direct(person, user_id.as_str());
        // Around now, and by devices whose clocks differ.
        let millis = i64::try_from(number * 1_500).unwrap();
        let now = Log::time_of(log.last() + 1).unix_millis();
        let earlier = Some(Timestamp::from_unix_millis(now - millis));
        let endpoint_id = log
            .accounts
            .get(&account(person))
            .and_then(|state| state.endpoints.all().nth(which.into()).map(|(id, _)| *id))
            .unwrap_or_default();
        match what {
            0 => Action::RegisterDevice { device_id, platform: "test".to_owned(), renews: None },
            1 => Action::UnlinkDevice { device_id },
            2 => Action::AddContact { user_id },
            3 => Action::RemoveContact { user_id },
            4 if number == 0 => Action::Mute { conversation_id, until: None },
            4 => {
                let until = Some(Timestamp::from_unix_millis(now + millis));
                Action::Mute { conversation_id, until }
            }
            5 => Action::Unmute { conversation_id },
            6 => Action::Pin { conversation_id },
            7 => Action::Unpin { conversation_id },
            8 => Action::Archive { conversation_id, through_seq: number },
            9 => Action::Unarchive { conversation_id },
            10 | 11 => {
                let text = format!("dräft {number}");
                Action::SaveDraft { conversation_id, text, saved_at: earlier }
            }
            12 => Action::ClearDraft { conversation_id, saved_at: earlier },
            13 => {
                let mut settings = Settings { read_receipts: which > 1, ..Settings::default() };
                let choice = Choice { sms: Some(number > 2), ..Choice::default() };
                settings.notifications.conversations.insert(conversation_id, choice);
                Action::SetPreferences { settings }
            }
            14 => Action::AddEndpoint { address: address(which), verified: number > 3 },
            15 => Action::VerifyEndpoint { endpoint_id },
            16 => Action::RemoveEndpoint { endpoint_id },
            _ => {
                let id = format!("c.0193e5a0-7b1c-7def-8123-45678900000{which}");
                let conversation_id = ConversationId::parse(&id).unwrap();
                Action::ReadChannel { conversation_id, through_seq: number }
            }
        }
    }
}

fn address(which: u8) -> Address {
    match which {
        0 => Address::Email("ann@example.com".to_owned()),
        1 => Address::Sms("+4915112345678".to_owned()),
        2 => Address::Webhook("https://hooks.example.com/".to_owned()),
        _ => Address::WebPush(Subscription {
            endpoint: "https://push.example.com/x".to_owned(),
            keys: SubscriptionKeys { p256dh: "B".repeat(87), auth: "a".repeat(22) },
        }),
    }
}

#[test]
fn the_loaded_account_is_the_fold_of_the_log() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = runtime.block_on(views());
    let run = std::cell::Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let asked = prop::collection::vec((0..3_usize, asked()), 1..80);
    let property = |(asked, batch): (Vec<(usize, Asked)>, usize)| {
        run.set(run.get() + 1);
        runtime.block_on(async {
            let mut log = Log::behind(parley_projections::checkpoint(&pool, SHARD).await.unwrap());
            for (person, asked) in asked {
                let person = format!("u{}-{person}", run.get());
                let action = asked.action(&person, &log);
                log.ask_account(&person, action);
            }
            for part in log.messages.chunks(batch) {
                let applied = apply_batch(&pool, part).await.unwrap();
                prop_assert!(applied.dead_letters.is_empty());
            }
            for (id, state) in &log.accounts {
                let loaded = load_account(&pool, SHARD, id).await.unwrap();
                prop_assert_eq!(&loaded.state, state);
                prop_assert!(!loaded.damaged);
                let shown = devices(&pool, &user(id.user_name())).await.unwrap();
                prop_assert_eq!(shown.version, state.version);
                prop_assert_eq!(shown.devices.len(), state.devices.all_linked().count());
            }
            Ok(())
        })
    };
    runner.run(&(asked, 1..40_usize), property).unwrap();
}

#[tokio::test]
async fn an_account_of_many_devices_is_loaded_as_it_is_remembered() {
    let mut log = Log::default();
    for n in 0..MAX_DEVICES + 20 {
        log.link("ann", &format!("d-{n}")).unwrap();
        if n % 3 == 0 {
            log.unlink("ann", &format!("d-{n}")).unwrap();
        }
    }
    let pool = views_of(&log).await;
    let loaded = load_account(&pool, SHARD, &account("ann")).await.unwrap();
    assert_eq!(loaded.state, log.accounts[&account("ann")]);
    assert_eq!(count(&pool, "devices").await, MAX_DEVICES as u64 + 20);
}

#[tokio::test]
async fn an_unknown_account_is_in_its_first_state_at_the_checkpoint() {
    let mut log = Log::default();
    log.send("ann", "bob", "hello");
    let pool = views_of(&log).await;
    let loaded = load_account(&pool, SHARD, &account("ann")).await.unwrap();
    assert_eq!(loaded.state, Account::default());
    assert_eq!((loaded.checkpoint, loaded.damaged), (1, false));
    let shown = devices(&pool, &user("ann")).await.unwrap();
    assert_eq!(shown, AccountDevices::default());
}

#[tokio::test]
async fn a_session_stands_with_its_registration() {
    let mut log = Log::default();
    log.link("ann", "phone").unwrap();
    log.link("ann", "laptop").unwrap();
    let pool = views_of(&log).await;
    let over_through = async |name: &str| {
        let standing = standing(&pool, SHARD, &user("ann"), &device(name)).await.unwrap();
        (standing.over_through, standing.checkpoint)
    };
    assert_eq!(over_through("phone").await, (0, 2));
    assert_eq!(over_through("laptop").await, (1, 2));
    assert_eq!(over_through("unknown").await, (0, 2));
    log.unlink("ann", "phone").unwrap();
    catch_up(&pool, &log).await;
    assert_eq!(over_through("phone").await, (3, 3));
    assert_eq!(names(&devices(&pool, &user("ann")).await.unwrap()), ["laptop"]);
    log.link("ann", "phone").unwrap();
    catch_up(&pool, &log).await;
    assert_eq!(over_through("phone").await, (3, 4));
    let shown = devices(&pool, &user("ann")).await.unwrap();
    assert_eq!((names(&shown), shown.version), (vec!["phone", "laptop"], 4));
    assert_eq!(shown.devices[0].registered_at, Log::time_of(4));
    assert_eq!(shown.devices[0].platform, "test");
}

#[tokio::test]
async fn a_batch_that_comes_again_changes_nothing() {
    let mut log = Log::default();
    log.link("ann", "phone").unwrap();
    log.unlink("ann", "phone").unwrap();
    log.link("ann", "phone").unwrap();
    let pool = views_of(&log).await;
    let once = dump(&pool).await;
    sqlx::query("UPDATE checkpoints SET position = 0").execute(&pool).await.unwrap();
    for part in log.messages.chunks(1) {
        apply_batch(&pool, part).await.unwrap();
    }
    assert_eq!(dump(&pool).await, once);
}

#[tokio::test]
async fn sync_tells_of_the_account_when_it_changed() {
    let mut log = Log::default();
    log.link("ann", "phone").unwrap();
    log.send("bob", "ann", "hello");
    log.send("cid", "ann", "hello");
    let pool = views_of(&log).await;
    let limits = SyncLimits { max_conversations: 1, max_messages: 10 };
    let at = |position| [0, 0, 0, position];
    let page = async |since: Option<[u64; 4]>, cursor| -> SyncPage {
        let since = since.as_ref().map(<[u64; 4]>::as_slice);
        sync_page(&pool, 4, &user("ann"), since, cursor, limits).await.unwrap()
    };
    let first = page(None, None).await;
    let told = first.account.as_ref().unwrap();
    assert_eq!((told.version, told.devices[0].device_id.as_str()), (1, "phone"));
    // Once a sync.
    let second = page(None, first.next).await;
    assert_eq!((second.conversations.len(), second.account), (1, None));
    assert!(page(Some(at(0)), None).await.account.is_some());
    assert_eq!(page(Some(at(1)), None).await.account, None);
    log.unlink("ann", "phone").unwrap();
    catch_up(&pool, &log).await;
    let told = page(Some(at(3)), None).await;
    assert!(told.conversations.is_empty());
    assert_eq!(told.account, Some(AccountState { version: 2, ..AccountState::default() }));
    // It is nobody else's.
    let bob = sync_page(&pool, 4, &user("bob"), None, None, limits).await.unwrap();
    assert_eq!(bob.account, Some(AccountState::default()));
}

#[tokio::test]
async fn poison_in_an_account_is_set_aside_and_marks_it() {
    let mut log = Log::default();
    let event = log.link("ann", "phone").unwrap();
    let text = String::from_utf8(event.to_json().unwrap()).unwrap();
    let subject = event_subject(SHARD, &account("ann"));
    log.send("ann", "bob", "hello");
    let message = String::from_utf8(log.messages[1].payload.to_vec()).unwrap();
    let wrong = [
        log.append(&subject, b"{"),
        log.append(&subject, text.replace("\"actor\":\"ann\"", "\"actor\":\"bob\"").as_bytes()),
        log.append(&subject, text.replace("\"version\":1", "\"version\":0").as_bytes()),
        log.append(&subject, &message.replace("\"d.ann.bob\"", "\"a.ann\"").into_bytes()),
        log.append(
            &event_subject(SHARD, &direct("ann", "bob")),
            text.replace("\"a.ann\"", "\"d.ann.bob\"").as_bytes(),
        ),
        log.append(&event_subject(SHARD, &account("bob")), text.as_bytes()),
    ];
    log.unlink("ann", "phone").unwrap();
    let pool = views().await;
    let applied = apply_batch(&pool, &log.messages).await.unwrap();
    let set_aside: Vec<u64> = applied.dead_letters.iter().map(|letter| letter.position).collect();
    assert_eq!(set_aside, wrong);
    assert!(matches!(applied.dead_letters[1].poison, Poison::Stranger));
    assert!(matches!(applied.dead_letters[3].poison, Poison::Misplaced));
    assert!(matches!(applied.dead_letters[4].poison, Poison::Misplaced));
    assert!(matches!(applied.dead_letters[5].poison, Poison::Subject));
    assert_eq!(count(&pool, "dead_letters").await, 6);
    assert_eq!(count(&pool, "dead_letters WHERE conversation_id IS NOT NULL").await, 1);

    let loaded = load_account(&pool, SHARD, &account("ann")).await.unwrap();
    assert!(loaded.damaged);
    assert_eq!(loaded.state.version, 2);
    assert!(load_account(&pool, SHARD, &account("bob")).await.unwrap().damaged);
    assert!(devices(&pool, &user("ann")).await.unwrap().devices.is_empty());
}

#[test]
fn what_the_domain_refuses_leaves_no_event() {
    let mut log = Log::default();
    assert!(log.unlink("ann", "phone").is_none());
    let event = log.link("ann", "phone").unwrap();
    assert!(log.link("ann", "phone").is_none());
    assert!(matches!(event.data, EventData::Account(_)));
    let unlink = Action::UnlinkDevice { device_id: device("phone") };
    assert!(log.ask_account("ann", unlink).is_some());
}
