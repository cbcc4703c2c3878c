//! Who knows whom, and when somebody was last seen.

use parley_domain::Timestamp;
use parley_projections::queries::{Acquaintance, Pair, acquaintances, note_last_seen};

use crate::{
    log::{Log, direct, user},
    support::views_of,
};

#[tokio::test]
async fn a_message_makes_acquaintances_and_last_seen_only_moves_forward() {
    let mut log = Log::default();
    log.send("ann", "bob", "hello");
    let pool = views_of(&log).await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(user);
    let (with_bob, with_eve) = (direct("ann", "bob"), direct("ann", "eve"));
    let pairs = [
        Pair { conversation: Some(&with_bob), me: &ann, user: &bob },
        Pair { conversation: Some(&with_eve), me: &ann, user: &eve },
        Pair { conversation: None, me: &ann, user: &ann },
    ];
    let at = |seconds: i64| Timestamp::from_unix_millis(1_700_000_000_123 + seconds * 1_000);
    let know = |has_talked, last_seen_at| Acquaintance {
        has_talked,
        is_blocked: false,
        shares_group: false,
        last_seen_at,
    };
    let asked = acquaintances(&pool, 1, &pairs).await.unwrap();
    assert_eq!(asked.found, [know(true, None), know(false, None), know(false, None)]);
    assert_eq!(asked.checkpoints.len(), 1);
    note_last_seen(&pool, &[(bob.clone(), at(2)), (ann.clone(), at(1))]).await.unwrap();
    note_last_seen(&pool, &[(eve.clone(), at(5)), (bob.clone(), at(1))]).await.unwrap();
    let asked = acquaintances(&pool, 1, &pairs).await.unwrap();
    assert_eq!(
        asked.found,
        [know(true, Some(at(2))), know(false, Some(at(5))), know(false, Some(at(1)))]
    );
    note_last_seen(&pool, &[]).await.unwrap();
    assert_eq!(acquaintances(&pool, 1, &[]).await.unwrap().found, []);
}
