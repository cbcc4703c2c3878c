//! Who knows whom, and when somebody was last seen.

use parley_domain::Timestamp;
use parley_projections::queries::{Acquaintance, acquaintances, note_last_seen};

use crate::{
    log::{Log, direct, user},
    support::views_of,
};

#[tokio::test]
async fn a_message_makes_acquaintances_and_last_seen_only_moves_forward() {
    let mut log = Log::default();
    log.send("ann", "bob", "hello");
    let pool = views_of(&log).await;
    let pairs = [
        (Some(direct("ann", "bob")), user("bob")),
        (Some(direct("ann", "eve")), user("eve")),
        (None, user("ann")),
    ];
    let at = |seconds: i64| Timestamp::from_unix_millis(1_700_000_000_123 + seconds * 1_000);
    let know = |is_known, last_seen_at| Acquaintance { is_known, last_seen_at };
    assert_eq!(
        acquaintances(&pool, &pairs).await.unwrap(),
        [know(true, None), know(false, None), know(false, None)]
    );
    note_last_seen(&pool, &[(user("bob"), at(2)), (user("ann"), at(1))]).await.unwrap();
    note_last_seen(&pool, &[(user("eve"), at(5)), (user("bob"), at(1))]).await.unwrap();
    assert_eq!(
        acquaintances(&pool, &pairs).await.unwrap(),
        [know(true, Some(at(2))), know(false, Some(at(5))), know(false, Some(at(1)))]
    );
    note_last_seen(&pool, &[]).await.unwrap();
    assert_eq!(acquaintances(&pool, &[]).await.unwrap(), []);
}
