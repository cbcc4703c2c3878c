//! How much somebody may do in a while, over all gateways.
//!
//! The owners of the shards count ([`parley_commands::rates`]); a gateway takes small leases of a
//! limit in advance and lets calls through on them. When no owner answers in time, calls are let
//! through: a limit is there to keep the service up, and must not take it down.

mod lease;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use parley_commands::{
    AccountRequest, Client, Code, Problem, Request,
    rates::{Counted, Grant, RateRequest},
    wire::Ask,
};
use parley_domain::{Action, Actor, ConversationId, Kind, Scope, UserId};
use parley_projections::queries::newcomer;
use parley_runtime::clock::Clock;
use sqlx::PgPool;
use tokio::time::timeout;

use self::lease::{Lease, Taken};
use crate::{config::RateConfig, realtime::registry::lock};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a database that did not answer is left alone.
const VIEWS_PAUSE: Duration = Duration::from_secs(5);
/// A gateway leases this part of a limit at most, so that what it has not used yet matters little.
const LEASED_PART: u32 = 20;

/// Of a million: whoever tries them all needs longer than a code works.
const CODES_PER_HOUR: u32 = 10;

/// What is counted, and how much of it there may be.
struct Limit {
    counted: Counted,
    most: u32,
    window: Duration,
}

/// Sends commands, within the limits of whoever asks; cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands {
    client: Client,
    rates: Arc<Rates>,
}

/// See the module.
pub struct Rates {
    client: Client,
    pool: PgPool,
    config: RateConfig,
    clock: Arc<dyn Clock>,
    leases: Mutex<HashMap<Counted, Arc<tokio::sync::Mutex<Lease>>>>,
    /// People who are known not to be new any more.
    established: Mutex<HashSet<UserId>>,
    /// Conversations that are known to have messages.
    begun: Mutex<HashSet<ConversationId>>,
    /// The database did not answer: it is not asked before this, or each message would wait for it.
    views_away_until: Mutex<Option<Instant>>,
}

/// A request that may cost something of a limit.
pub trait Charged: Ask + Send {
    /// Errors with [`Code::RateLimited`] or [`Code::NewAccountLimit`].
    fn charge(&self, rates: &Rates) -> impl Future<Output = Result<(), Problem>> + Send;
}

impl Charged for Request {
    async fn charge(&self, rates: &Rates) -> Result<(), Problem> {
        match (&self.actor.scope, &self.action) {
            // Whoever cannot send must not talk by editing or by emoji instead.
            (
                Scope::User,
                Action::SendMessage { .. }
                | Action::EditMessage { .. }
                | Action::AddReaction { .. },
            ) => rates.message(&self.actor.user_id, &self.conversation_id).await,
            (Scope::User, Action::Create { .. }) => {
                rates.beginning(&self.actor.user_id, &self.conversation_id).await
            }
            (
                Scope::User,
                Action::MarkDelivered { .. }
                | Action::MarkRead { .. }
                | Action::DeleteMessage { .. }
                | Action::ExpireMessage { .. }
                | Action::RemoveReaction { .. }
                | Action::AddMember { .. }
                | Action::RemoveMember { .. }
                | Action::ChangeRole { .. }
                | Action::Rename { .. }
                | Action::SetTimer { .. }
                | Action::Block
                | Action::Unblock,
            )
            | (Scope::Service, _) => Ok(()),
        }
    }
}

impl Charged for AccountRequest {
    async fn charge(&self, _: &Rates) -> Result<(), Problem> {
        Ok(())
    }
}

impl Commands {
    pub fn new(client: Client, pool: PgPool, config: RateConfig, clock: Arc<dyn Clock>) -> Self {
        let rates = Arc::new(Rates::new(client.clone(), pool, config, clock));
        Self { client, rates }
    }

    /// As [`Client::execute`], once the caller's limits allow it. Those of one caller keep their
    /// order.
    pub async fn execute<R: Charged>(&self, request: R) -> Result<R::Answer, Problem> {
        request.charge(&self.rates).await?;
        self.client.execute(request).await
    }

    pub fn rates(&self) -> &Rates {
        &self.rates
    }
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Rates {
    fn new(client: Client, pool: PgPool, config: RateConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            pool,
            config,
            clock,
            leases: Mutex::default(),
            established: Mutex::default(),
            begun: Mutex::default(),
            views_away_until: Mutex::default(),
        }
    }

    /// A person sends a message.
    async fn message(&self, user: &UserId, conversation: &ConversationId) -> Result<(), Problem> {
        let counted = Counted::Messages { user_id: user.clone() };
        let lease = self.lease(&counted);
        // Held to the end, so that a person's messages keep their order whatever is asked for them.
        let mut turn = lease.lock().await;
        let most = self.config.messages_per_minute;
        self.take_from(&mut turn, Limit { counted, most, window: MINUTE }, 0).await?;
        match conversation.kind() {
            Kind::Direct => self.beginning(user, conversation).await,
            Kind::Group | Kind::Channel => {
                let (user_id, conversation_id) = (user.clone(), conversation.clone());
                let counted = Counted::GroupMessages { user_id, conversation_id };
                let most = self.config.group_messages_per_minute;
                self.take(Limit { counted, most, window: MINUTE }, 0).await
            }
        }
    }

    /// Somebody writes into a conversation, or makes one: perhaps they begin it, and are new.
    ///
    /// # Errors
    /// [`Code::NewAccountLimit`].
    pub async fn beginning(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<(), Problem> {
        let most = self.config.new_account_conversations_per_day;
        if most == 0
            || lock(&self.established).contains(user)
            || lock(&self.begun).contains(conversation)
            || lock(&self.views_away_until).is_some_and(|until| Instant::now() < until)
        {
            return Ok(());
        }
        let now = parley_domain::Timestamp::from_unix_millis(self.clock.now_millis());
        let asked = newcomer(&self.pool, user, conversation, now, self.config.new_account);
        let found = match timeout(self.config.patience, asked).await {
            Ok(Ok(found)) => found,
            // Sending goes on without the database.
            Ok(Err(_)) | Err(_) => {
                *lock(&self.views_away_until) = Some(Instant::now() + VIEWS_PAUSE);
                return Ok(());
            }
        };
        if !found.is_new {
            remember(&self.established, user.clone(), self.config.leases);
            return Ok(());
        }
        if !found.is_begun {
            let counted = Counted::NewConversations { user_id: user.clone() };
            let at_least = u32::try_from(found.begun_in_a_day).unwrap_or(u32::MAX);
            let taken = self.take(Limit { counted, most, window: DAY }, at_least).await;
            taken.map_err(|problem| {
                let detail = format!("a new account begins {most} conversations a day");
                let retry_after_ms = problem.retry_after_ms;
                Problem { retry_after_ms, ..Problem::new(Code::NewAccountLimit, detail) }
            })?;
        }
        remember(&self.begun, conversation.clone(), self.config.leases);
        Ok(())
    }

    /// An address made a call that nobody is signed in for.
    ///
    /// # Errors
    /// [`Code::RateLimited`] if it was one too many.
    pub async fn stranger(&self, address: IpAddr) -> Result<(), Problem> {
        let most = self.config.stranger_calls_per_minute;
        let counted = Counted::Strangers { address };
        self.take(Limit { counted, most, window: MINUTE }, 0).await
    }

    /// Somebody types in a code that proves a phone.
    ///
    /// # Errors
    /// [`Code::RateLimited`] if it was one too many.
    pub async fn code(&self, user: &UserId) -> Result<(), Problem> {
        let counted = Counted::Codes { user_id: user.clone() };
        self.take(Limit { counted, most: CODES_PER_HOUR, window: HOUR }, 0).await
    }

    /// Somebody asks for a page of a search.
    ///
    /// # Errors
    /// [`Code::RateLimited`] if it was one too many.
    pub async fn search(&self, actor: &Actor) -> Result<(), Problem> {
        match actor.scope {
            Scope::User => {
                let counted = Counted::Searches { user_id: actor.user_id.clone() };
                let most = self.config.searches_per_minute;
                self.take(Limit { counted, most, window: MINUTE }, 0).await
            }
            Scope::Service => Ok(()),
        }
    }

    /// Somebody reserves a file.
    ///
    /// # Errors
    /// [`Code::RateLimited`] if it was one too many.
    pub async fn attachment(&self, user: &UserId) -> Result<(), Problem> {
        let counted = Counted::Attachments { user_id: user.clone() };
        let most = self.config.attachments_per_hour;
        self.take(Limit { counted, most, window: HOUR }, 0).await
    }

    async fn take(&self, limit: Limit, at_least: u32) -> Result<(), Problem> {
        let lease = self.lease(&limit.counted);
        // Whoever comes while somebody asks waits here, in order.
        let mut lease = lease.lock().await;
        self.take_from(&mut lease, limit, at_least).await
    }

    async fn take_from(
        &self,
        lease: &mut Lease,
        limit: Limit,
        at_least: u32,
    ) -> Result<(), Problem> {
        let Limit { counted, most, window } = limit;
        if most == 0 {
            return Ok(());
        }
        match lease.take(Instant::now()) {
            Taken::Yes => return Ok(()),
            Taken::No { retry_after } => return Err(too_many(retry_after)),
            Taken::Ask => {}
        }
        let wanted = lease.wanted((most / LEASED_PART).max(1));
        let request = RateRequest { at_least, ..RateRequest::new(counted, most, window, wanted) };
        let grant = match timeout(self.config.patience, self.client.execute(request)).await {
            Ok(Ok(grant)) => grant,
            Ok(Err(_)) | Err(_) => {
                tracing::debug!("nobody counts at the moment: a call is let through");
                Grant { granted: wanted, retry_after_ms: 0 }
            }
        };
        lease.grant(grant, Instant::now());
        match lease.take(Instant::now()) {
            Taken::Yes => Ok(()),
            Taken::No { retry_after } => Err(too_many(retry_after)),
            Taken::Ask => Err(too_many(Duration::from_secs(1))),
        }
    }

    fn lease(&self, counted: &Counted) -> Arc<tokio::sync::Mutex<Lease>> {
        let mut leases = lock(&self.leases);
        if let Some(lease) = leases.get(counted) {
            return Arc::clone(lease);
        }
        if leases.len() >= self.config.leases {
            let now = Instant::now();
            // One that somebody is waiting for stays.
            leases.retain(|_, lease| lease.try_lock().map_or(true, |lease| !lease.is_over(now)));
        }
        let lease = Arc::default();
        // Beyond the bound nothing is remembered, and each call asks.
        if leases.len() < self.config.leases {
            leases.insert(counted.clone(), Arc::clone(&lease));
        }
        lease
    }
}

/// Forgets everything rather than growing without bound: it can be asked again.
fn remember<T: Eq + Hash>(set: &Mutex<HashSet<T>>, what: T, max: usize) {
    let mut set = lock(set);
    if set.len() >= max {
        set.clear();
    }
    set.insert(what);
}

fn too_many(retry_after: Duration) -> Problem {
    limited("this is more than is allowed in a while", retry_after)
}

/// Refuses what may be asked for again after this long.
pub fn limited(detail: &str, retry_after: Duration) -> Problem {
    let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    Problem { retry_after_ms: Some(millis.max(1)), ..Problem::new(Code::RateLimited, detail) }
}
