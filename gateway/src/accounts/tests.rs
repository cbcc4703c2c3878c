use parley_domain::{Account, AccountId, Actor, Scope, Timestamp, account};
use parley_nats::subjects::event_subject;
use parley_runtime::engines::testing::TestPostgres;
use uuid::Uuid;

use super::*;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// The message of ann's first event of these settings.
fn message(settings: account::Settings) -> LogMessage {
    let account_id = AccountId::of(&user("ann"));
    let command = account::Command {
        account_id: account_id.clone(),
        actor: Actor {
            user_id: user("ann"),
            device_id: None,
            scope: Scope::User,
            is_discreet: false,
        },
        time: Timestamp::default(),
        event_id: Uuid::nil(),
        action: account::Action::SetPreferences { settings },
    };
    let event = Account::default().decide(&command).unwrap().unwrap();
    LogMessage {
        position: 9,
        subject: event_subject(0, &account_id).into(),
        payload: event.to_json().unwrap().into(),
    }
}

#[tokio::test]
async fn the_views_are_believed_once_they_have_what_the_tail_brought() {
    let url = TestPostgres::database().await;
    let pool = parley_projections::connect(&url, "test", 2).unwrap();
    parley_projections::migrate(&pool).await.unwrap();
    let accounts = Accounts::new(pool.clone(), &[5], 10);
    let pair = Pair { shown: user("ann"), to: user("bob") };
    // They lack what was before this gateway, so what they say is not kept.
    accounts.learn(std::slice::from_ref(&pair)).await.unwrap();
    assert_eq!(accounts.allows(&pair), None);
    sqlx::query("INSERT INTO checkpoints (shard, position) VALUES (0, 5)")
        .execute(&pool)
        .await
        .unwrap();
    accounts.learn(std::slice::from_ref(&pair)).await.unwrap();
    assert_eq!(accounts.allows(&pair), Some(true));
    assert!(accounts.shows_receipts(&user("ann")).await);
    let hidden = account::Settings {
        presence_visibility: account::Visibility::Nobody,
        read_receipts: false,
        ..account::Settings::default()
    };
    assert_eq!(accounts.observe(&message(hidden)), Some(user("ann")));
    assert_eq!(accounts.allows(&pair), Some(false));
    assert!(!accounts.shows_receipts(&user("ann")).await);
    pool.close().await;
    assert!(!accounts.shows_receipts(&user("bob")).await);
}
