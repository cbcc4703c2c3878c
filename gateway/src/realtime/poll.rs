//! One page of a sync over HTTP, and the wait for something to be in it: the long poll.
//!
//! A device that has missed nothing is answered out of memory, so devices that poll cost the
//! database nothing while nobody writes to them.

use std::{sync::Arc, time::Duration};

use parley_domain::UserId;
use parley_projections::queries::SyncLimits;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    Realtime,
    feed::{Fed, Feed},
    follow,
    pages::NoPage,
    sync::{Run, Step},
    token::{Positions, Token},
};

/// The contract's Sync.
#[derive(Debug)]
pub struct SyncAnswer {
    pub token: String,
    pub more: bool,
    /// The JSON array.
    pub conversations: Box<RawValue>,
    /// The JSON object; empty if there is nothing to tell of the account.
    pub account: Box<RawValue>,
}

/// Between two looks at views that lag behind what memory has seen already.
const LAG: Duration = Duration::from_millis(50);
/// For NATS to say where the log ends.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How much news may gather in front of somebody who only wants to know that there is some.
const NEWS_BYTES: usize = 16 * 1_024;

impl Realtime {
    /// The next page after the token `since`; with nothing to tell, waits for something at most
    /// `wait`. A token that does not fit counts as none.
    pub async fn poll(
        &self,
        user: &UserId,
        since: Option<&str>,
        max_conversations: Option<u32>,
        wait: Duration,
    ) -> Result<SyncAnswer, NoPage> {
        let until = Instant::now() + wait;
        // Whoever waits is there.
        let _here = (!wait.is_zero()).then(|| self.0.presence.arrive(user));
        let page = self.0.config.page;
        let limits = SyncLimits {
            max_conversations: max_conversations
                .map_or(page.max_conversations, |max| max.clamp(1, page.max_conversations)),
            ..page
        };
        let mut token = self.usable(since).await?;
        loop {
            let mut has_news = false;
            if let Some(Token::Settled(positions)) = &token
                && self.0.hub.covers(positions)
            {
                let reached = self.news(user, positions.clone(), until).await;
                match reached {
                    Some(reached) => return self.nothing(&reached),
                    None => has_news = true,
                }
            }
            // The rings are not asked any further: HTTP is answered with states, not events.
            let (mut run, step) = Run::start(token.clone(), |_| false);
            let Step::Ask(mut request) = step else { return Err(NoPage::Cursor) };
            let found = match self.0.pages.try_read(user, &request, limits).await {
                Err(NoPage::Cursor) => {
                    (run, request.since, request.cursor) = (Run::default(), None, None);
                    self.0.pages.try_read(user, &request, limits).await?
                }
                found => found?,
            };
            let turned = run.turn(&found, self.0.hub.codec(), |_| true);
            let is_nothing = found.is_empty && !turned.more && token.is_some();
            if is_nothing && Instant::now() < until {
                if !has_news {
                    token = Some(Token::Settled(found.checkpoints));
                }
                sleep(LAG).await;
                continue;
            }
            return Ok(SyncAnswer {
                token: turned.token,
                more: turned.more,
                conversations: found.conversations,
                account: found.account,
            });
        }
    }

    /// A token of this log, and not from beyond its end.
    async fn usable(&self, since: Option<&str>) -> Result<Option<Token>, NoPage> {
        let hub = &self.0.hub;
        let Some(token) = since.and_then(|since| hub.codec().read(since)) else { return Ok(None) };
        let furthest = token.furthest();
        let beyond = hub.beyond_end(&furthest);
        if !beyond.is_empty() {
            // Where the log ends is not guessed: a device with a good token would have to begin
            // again only because this gateway is cut off from NATS.
            let told = timeout(END_TIMEOUT, follow::note_ends(hub, &self.0.nats, &beyond)).await;
            told.map_err(|_| NoPage::End)?;
        }
        Ok(hub.beyond_end(&furthest).is_empty().then_some(token))
    }

    /// Waits for an event of this user's after `positions`; `None` if there is one, and otherwise
    /// how far there is none.
    async fn news(&self, user: &UserId, positions: Positions, until: Instant) -> Option<Positions> {
        let mut feed = Feed::new(Arc::clone(&self.0.hub), user.clone(), NEWS_BYTES);
        feed.resume(positions);
        loop {
            let mut has_news = false;
            let fed = feed.take(1, |_| has_news = true);
            if has_news || fed != Fed::UpToDate {
                return None;
            }
            if timeout_at(until, feed.woken()).await.is_err() {
                return Some(feed.positions().into());
            }
        }
    }

    fn nothing(&self, positions: &[u64]) -> Result<SyncAnswer, NoPage> {
        Ok(SyncAnswer {
            token: self.0.hub.codec().settled(positions),
            more: false,
            conversations: RawValue::from_string("[]".to_owned())?,
            account: RawValue::from_string("{}".to_owned())?,
        })
    }
}
