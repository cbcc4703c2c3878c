//! Without a database: what the log alone says.

use parley_domain::{Scope, Timestamp};

use super::*;

fn devices() -> Arc<Devices> {
    // Nobody listens there.
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let pool = parley_projections::connect(nowhere, "test", 1).unwrap();
    Arc::new(Devices::new(pool, &[0, 0], 100))
}

fn session(registration: Option<u64>) -> Identity {
    Identity {
        user_id: UserId::parse("alice").unwrap(),
        device_id: Some(DeviceId::parse("dev_1").unwrap()),
        registration,
        scope: Scope::User,
        expires_at: Timestamp::from_unix_millis(i64::MAX),
    }
}

/// An event of alice's dev_1, as the log holds it.
fn logged(kind: &str, version: u64) -> LogMessage {
    let payload = serde_json::json!({
        "specversion": "1.0", "id": "0193e5a0-7b1c-7def-8123-456789abcdef",
        "source": "parley/commands", "type": kind, "subject": "a.alice",
        "time": "2026-11-21T09:45:00.123Z", "version": version, "actor": "alice",
        "data": {"deviceId": "dev_1", "platform": "web"}
    });
    let subject = "dm.evt.1.a.alice".into();
    LogMessage { position: version, subject, payload: payload.to_string().into_bytes().into() }
}

fn is_over(watch: &Watch) -> bool {
    futures_util::FutureExt::now_or_never(watch.over()).is_some()
}

#[tokio::test]
async fn an_unlink_in_the_log_ends_the_sessions_before_it() {
    let devices = devices();
    let caller = session(Some(1));
    devices.observe(1, &logged("device.registered", 1));
    assert_eq!(devices.admit(&caller).await, Ok(()));
    let device = caller.device_id.as_ref().unwrap();
    let watch = |registration| devices.watch(&caller.user_id, device, registration);
    let (bound, word) = (watch(Some(1)), watch(None));
    assert!(!is_over(&bound) && !is_over(&word));
    // Not of her account.
    let theirs = LogMessage { subject: "dm.evt.1.a.bob".into(), ..logged("device.unlinked", 2) };
    devices.observe(1, &theirs);
    assert_eq!(devices.admit(&caller).await, Ok(()));
    devices.observe(1, &logged("device.unlinked", 2));
    assert!(is_over(&bound) && is_over(&word));
    assert_eq!(devices.admit(&caller).await, Err(AuthError::Unlinked));
    assert!(is_over(&watch(Some(1))));

    // Linked again it is another registration; what was before stays over.
    devices.observe(1, &logged("device.registered", 3));
    assert_eq!(devices.admit(&session(Some(3))).await, Ok(()));
    assert_eq!(devices.admit(&caller).await, Err(AuthError::Unlinked));
    assert!(!is_over(&watch(Some(3))) && !is_over(&watch(None)));
}

#[tokio::test]
async fn without_the_views_whoever_is_not_known_is_let_in_until_the_answer_comes() {
    let devices = devices();
    let caller = session(Some(1));
    assert_eq!(devices.admit(&caller).await, Ok(()));
    assert!(
        lock(&devices.open)
            .contains(&Key::new(&caller.user_id, caller.device_id.as_ref().unwrap()))
    );
    // The second time nobody waits for a database that has just not answered.
    let began = Instant::now();
    assert_eq!(devices.admit(&caller).await, Ok(()));
    assert!(began.elapsed() < PAUSE / 2);
    devices.unlinked(&caller.user_id, caller.device_id.as_ref().unwrap(), 1);
    assert_eq!(devices.admit(&caller).await, Err(AuthError::Unlinked));
    assert_eq!(devices.admit(&session(None)).await, Ok(()));
}
