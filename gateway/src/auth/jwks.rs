//! The marketplace's keys, fetched from its JSON Web Key Set.
//!
//! Fetched at the start and every so often; a token with an unknown `kid` fetches at once, but not
//! more often than the configured pause, so that made-up tokens cannot make the gateway flood the
//! marketplace. If a fetch fails, the keys known so far stay.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::Uri;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::Algorithm;
use tokio::{sync::Mutex, time::Instant};

use super::keys::{KeyError, KeySet};

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1_024;

/// Where and how often to fetch.
#[derive(Debug, Clone)]
pub struct JwksConfig {
    pub uri: Uri,
    /// Between two regular fetches.
    pub refresh: Duration,
    /// Between two fetches at least, whatever the tokens say.
    pub pause: Duration,
    /// For one fetch.
    pub timeout: Duration,
}

/// A key set that renews itself.
pub struct Jwks {
    config: JwksConfig,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    keys: RwLock<Arc<KeySet>>,
    /// When the last fetch began; its lock makes fetches take turns.
    last_fetch: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Jwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwks").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Connect(#[from] hyper_util::client::legacy::Error),
    #[error("the answer is {0}")]
    Status(u16),
    #[error("the answer is cut off or longer than {MAX_ANSWER_BYTES} bytes")]
    Body,
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Jwks {
    /// Errors if the machine has no root certificates to check an https address with.
    pub fn new(config: JwksConfig) -> std::io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(hyper_rustls_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            config,
            client: Client::builder(TokioExecutor::new()).build(connector),
            keys: RwLock::default(),
            last_fetch: Mutex::default(),
        })
    }

    /// False until the first fetch has succeeded.
    pub fn has_keys(&self) -> bool {
        !self.current().is_empty()
    }

    pub(super) fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys, newly fetched if none of them fits and the last fetch is long enough ago.
    pub(super) async fn keys_for(&self, kid: Option<&str>, algorithm: Algorithm) -> Arc<KeySet> {
        let keys = self.current();
        if keys.candidates(kid, algorithm).next().is_some() {
            return keys;
        }
        // Whoever waits here finds, once it is its turn, what the one before has fetched.
        let mut last_fetch = self.last_fetch.lock().await;
        if last_fetch.is_none_or(|last| last.elapsed() >= self.config.pause) {
            *last_fetch = Some(Instant::now());
            self.fetch().await;
        }
        self.current()
    }

    /// Fetches now and then for as long as it is polled.
    pub(super) async fn refresh_for_ever(&self) {
        loop {
            {
                let mut last_fetch = self.last_fetch.lock().await;
                *last_fetch = Some(Instant::now());
                self.fetch().await;
            }
            // Until there are keys nobody can come in: try more often.
            let has_keys = self.has_keys();
            let wait = if has_keys { self.config.refresh } else { self.config.pause };
            tokio::time::sleep(wait).await;
        }
    }

    async fn fetch(&self) {
        match self.try_fetch().await {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Err(error) => {
                tracing::warn!(%error, "the marketplace's keys could not be fetched");
            }
        }
    }

    async fn try_fetch(&self) -> Result<KeySet, FetchError> {
        let timeout = self.config.timeout;
        let body = async {
            let answer = self.client.get(self.config.uri.clone()).await?;
            if !answer.status().is_success() {
                return Err(FetchError::Status(answer.status().as_u16()));
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
            Ok(body.collect().await.map_err(|_| FetchError::Body)?.to_bytes())
        };
        let body = tokio::time::timeout(timeout, body)
            .await
            .map_err(|_| FetchError::Timeout(timeout))??;
        Ok(KeySet::from_jwks(&body)?)
    }
}

/// Named here, so that it does not depend on which provider the process has installed.
fn hyper_rustls_provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(test)]
mod tests;
