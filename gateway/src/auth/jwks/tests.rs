//! Against a small marketplace that changes its keys and its mind.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;

/// Serves a key set with these key ids, or an error if there are none.
#[derive(Default)]
struct MarketplaceKeys {
    ids: Mutex<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl MarketplaceKeys {
    async fn start(self: &Arc<Self>) -> Uri {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = Arc::clone(self);
        let answer = async move || keys.answer();
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/keys").parse().unwrap()
    }

    fn answer(&self) -> (StatusCode, String) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let ids = self.ids.lock().unwrap();
        if ids.is_empty() {
            return (StatusCode::INTERNAL_SERVER_ERROR, "no".to_owned());
        }
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let keys = ids.iter().map(|id| json!({"kty":"OKP","crv":"Ed25519","kid":id,"x":x}));
        (StatusCode::OK, json!({"keys": keys.collect::<Vec<_>>()}).to_string())
    }

    fn have(&self, ids: &[&'static str]) {
        *self.ids.lock().unwrap() = ids.to_vec();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn has(jwks: &Jwks, kid: &str) -> bool {
    let keys = jwks.keys_for(Some(kid), Algorithm::EdDSA).await;
    keys.candidates(Some(kid), Algorithm::EdDSA).next().is_some()
}

async fn jwks(keys: &Arc<MarketplaceKeys>, pause: Duration) -> Jwks {
    let hour = Duration::from_secs(3_600);
    let config = JwksConfig { uri: keys.start().await, refresh: hour, pause, timeout: hour };
    Jwks::new(config).unwrap()
}

#[tokio::test]
async fn an_unknown_key_is_fetched_and_known_ones_are_not() {
    let keys = Arc::new(MarketplaceKeys::default());
    keys.have(&["one"]);
    let jwks = jwks(&keys, Duration::ZERO).await;
    assert!(!jwks.has_keys());
    assert!(has(&jwks, "one").await);
    assert!(has(&jwks, "one").await);
    assert_eq!(keys.asked(), 1);
    keys.have(&["one", "two"]);
    assert!(has(&jwks, "two").await);
    assert_eq!(keys.asked(), 2);
    // A key that the marketplace withdrew is gone with the next fetch.
    keys.have(&["two"]);
    assert!(!has(&jwks, "three").await);
    assert!(!has(&jwks, "one").await);
}

#[tokio::test]
async fn made_up_keys_do_not_flood_the_marketplace() {
    let keys = Arc::new(MarketplaceKeys::default());
    keys.have(&["one"]);
    let jwks = Arc::new(jwks(&keys, Duration::from_secs(3_600)).await);
    let asking = (0..50).map(|n| {
        let jwks = Arc::clone(&jwks);
        tokio::spawn(async move { has(&jwks, &format!("made-up-{n}")).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert!(!asked.await.unwrap());
    }
    assert_eq!(keys.asked(), 1);
    assert!(has(&jwks, "one").await);
}

#[tokio::test]
async fn a_marketplace_that_is_away_leaves_the_keys_as_they_are() {
    let keys = Arc::new(MarketplaceKeys::default());
    let jwks = jwks(&keys, Duration::ZERO).await;
    assert!(!has(&jwks, "one").await);
    assert!(!jwks.has_keys());
    keys.have(&["one"]);
    assert!(has(&jwks, "one").await);
    keys.have(&[]);
    assert!(!has(&jwks, "two").await);
    assert!(has(&jwks, "one").await);
}
