//! Things to send.

use std::sync::Arc;

use parley_domain::{ConversationId, Timestamp, UserId};
use parley_notifier::{
    channels::{Address, Channels, Endpoint},
    config::channels::ChannelsConfig,
    notice::{Close, Notice, Proof, Verify, What},
};
use parley_runtime::{
    clock::{Clock, SystemClock},
    config::Env,
};
use uuid::Uuid;

/// Channels with these variables, impatient.
pub fn channels(variables: &[(&str, &str)]) -> Channels {
    let mut env = Env::from_map([
        ("PARLEY_NOTIFY_PRIVATE_TARGETS", "true"),
        ("PARLEY_NOTIFY_REQUEST_TIMEOUT_MILLIS", "600"),
        ("PARLEY_SMTP_STEP_TIMEOUT_MILLIS", "600"),
        ("PARLEY_NOTIFY_BREAKER_FAILURES", "100"),
    ]);
    for (name, value) in variables {
        env.set(*name, *value);
    }
    let config = ChannelsConfig::from_env(&mut env);
    env.finish().unwrap();
    Channels::open(config, Arc::new(SystemClock)).unwrap()
}

pub fn now() -> Timestamp {
    Timestamp::from_unix_millis(SystemClock.now_millis())
}

pub fn bob() -> UserId {
    UserId::parse("bob").unwrap()
}

pub fn talk() -> ConversationId {
    ConversationId::parse("d.alice.bob").unwrap()
}

pub fn endpoint(address: Address) -> Endpoint {
    Endpoint { endpoint_id: "ep_1".to_owned(), user_id: bob(), address }
}

pub fn notice(id: u128) -> Notice {
    Notice {
        notification_id: Uuid::from_u128(id),
        user_id: bob(),
        conversation_id: Some(talk()),
        messages: 20,
        title: None,
        senders: vec!["Alice".to_owned()],
        preview: Some("Is the bike still there?".to_owned()),
        link: "https://chat.example/#/c/d.alice.bob".to_owned(),
        unsubscribe: "https://chat.example/v1/unsubscribe?token=abc.def".to_owned(),
        locale: "en".to_owned(),
        at: now(),
    }
}

pub fn digest(id: u128) -> What {
    What::Digest(notice(id))
}

pub fn close(id: u128) -> What {
    What::Close(Close {
        notification_id: Uuid::from_u128(id),
        user_id: bob(),
        conversation_id: Some(talk()),
        at: now(),
    })
}

pub fn verify(id: u128, proof: Proof) -> What {
    What::Verify(Verify {
        notification_id: Uuid::from_u128(id),
        user_id: bob(),
        proof,
        locale: "en".to_owned(),
        at: now(),
    })
}
