//! What every handler has at hand.

use std::{ops::Deref, sync::Arc};

use parley_domain::Timestamp;
use parley_nats::Connection;
use parley_runtime::{clock::Clock, shutdown::Shutdown};
use sqlx::PgPool;

use crate::{
    attachments::Attachments,
    auth::{Authenticator, Origins},
    config::{Limits, NotifyConfig, PublicUrl},
    metrics::Metrics,
    rates::Commands,
    realtime::Realtime,
    search::Searches,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// The parts; see [`AppState`].
pub struct Parts {
    pub authenticator: Authenticator,
    /// Whose pages may use the cookie.
    pub origins: Origins,
    pub public_url: Option<PublicUrl>,
    pub notify: NotifyConfig,
    /// Files of messages, if there are any.
    pub attachments: Option<Arc<Attachments>>,
    pub limits: Limits,
    /// What pages subscribe to web push with.
    pub vapid_public_key: Option<String>,
    /// Whether `/metrics` is among the routes, and not on a port of its own.
    pub serves_metrics: bool,
    pub nats: Connection,
    /// History, inbox and receipts; may be down.
    pub pool: PgPool,
    pub commands: Commands,
    pub realtime: Realtime,
    pub searches: Searches,
    pub metrics: Metrics,
    pub clock: Arc<dyn Clock>,
    pub shutdown: Shutdown,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now_millis())
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
