//! A session's catching up: after the hello, when the client asks, and when the rings were lost.

use std::{collections::VecDeque, sync::atomic::Ordering, time::Instant};

use smol_str::SmolStr;

use super::{Effect, Outbox, open::Open, reject};
use crate::realtime::{
    protocol::{self, Rejected},
    sync::{Page, PageRequest, Run, Step},
    token::{Positions, Token},
};

/// How many requests wait behind the one that is answered.
const MAX_WAITING: usize = 8;

/// What is under way, and what waits behind it.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    current: Option<Box<Current>>,
    waiting: VecDeque<Request>,
    /// Where the feed was when the rings left it behind.
    lost: Option<Positions>,
}

#[derive(Debug)]
struct Request {
    r#ref: Option<SmolStr>,
    token: Option<Token>,
}

#[derive(Debug)]
struct Current {
    r#ref: Option<SmolStr>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The token is beyond what is known of the log's end.
    Ends(Token),
    Paging {
        run: Run,
        /// Not handed out yet.
        request: Option<PageRequest>,
    },
}

impl CatchUp {
    pub(super) fn is_running(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn next_page(&mut self) -> Option<PageRequest> {
        match &mut self.current.as_mut()?.stage {
            Stage::Paging { request, .. } => request.take(),
            Stage::Ends(_) => None,
        }
    }

    /// Idle sessions are many: an empty queue keeps no memory.
    fn next_waiting(&mut self) -> Option<Request> {
        let next = self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        next
    }
}

impl Open {
    /// The client has everything up to `since`, and wants what came after it.
    pub(super) fn sync(
        &mut self,
        r#ref: Option<SmolStr>,
        since: Option<Box<str>>,
        now: Instant,
        out: &mut Outbox,
    ) {
        if self.catch_up.waiting.len() >= MAX_WAITING {
            let message = "too many syncs are under way".to_owned();
            return reject(Rejected { r#ref, code: "rate_limited", message }, out);
        }
        let token = since.and_then(|since| self.feed.hub().codec().read(&since));
        self.catch_up.waiting.push_back(Request { r#ref, token });
        self.start_next(now, out);
    }

    /// The rings went on without the feed: the database has what it missed.
    pub(super) fn lost(&mut self, now: Instant, out: &mut Outbox) {
        self.catch_up.lost = Some(self.feed.positions().into());
        self.start_next(now, out);
    }

    pub(super) fn ends_noted(&mut self, now: Instant, out: &mut Outbox) {
        let Some(current) = self.catch_up.current.take() else { return };
        let Current { r#ref, stage } = *current;
        match stage {
            Stage::Ends(token) => {
                // Beyond the end of a log that has lost its own end: of another time.
                let beyond = !self.feed.hub().beyond_end(&token.furthest()).is_empty();
                self.start(r#ref, (!beyond).then_some(token), now, out);
            }
            stage @ Stage::Paging { .. } => {
                self.catch_up.current = Some(Box::new(Current { r#ref, stage }));
            }
        }
    }

    pub(super) fn page(&mut self, page: &Page, now: Instant, out: &mut Outbox) {
        let hub = self.feed.hub();
        let Some(current) = &mut self.catch_up.current else { return };
        let Stage::Paging { run, request } = &mut current.stage else { return };
        let back_to_lost = self.catch_up.lost.as_ref().is_none_or(|lost| run.reaches_back_to(lost));
        let turned = run.turn(page, hub.codec(), |positions| hub.covers(positions));
        if !turned.is_idle {
            let r#ref = current.r#ref.as_deref();
            out.send_page(protocol::sync(r#ref, &turned.token, turned.more, page));
        }
        match turned.step {
            Step::Ask(next) => *request = Some(next),
            Step::Resume(positions) => {
                let r#ref = current.r#ref.take();
                if back_to_lost {
                    self.catch_up.lost = None;
                }
                self.caught_up(r#ref, positions, now, out);
            }
        }
    }

    fn start_next(&mut self, now: Instant, out: &mut Outbox) {
        if self.catch_up.current.is_some() {
            return;
        }
        if let Some(positions) = self.catch_up.lost.take() {
            return self.start(None, Some(Token::Settled(positions)), now, out);
        }
        let Some(Request { r#ref, token }) = self.catch_up.next_waiting() else { return };
        if let Some(token) = token {
            let beyond = self.feed.hub().beyond_end(&token.furthest());
            if beyond.is_empty() {
                self.start(r#ref, Some(token), now, out);
            } else {
                out.run(Effect::NoteEnds(beyond));
                self.catch_up.current =
                    Some(Box::new(Current { r#ref, stage: Stage::Ends(token) }));
            }
        } else {
            self.start(r#ref, None, now, out);
        }
    }

    fn start(
        &mut self,
        r#ref: Option<SmolStr>,
        token: Option<Token>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let hub = self.feed.hub();
        let (run, step) = Run::start(token, |positions| hub.covers(positions));
        match step {
            Step::Resume(positions) => {
                hub.counters().ring_hits.fetch_add(1, Ordering::Relaxed);
                self.caught_up(r#ref, positions, now, out);
            }
            Step::Ask(request) => {
                hub.counters().ring_misses.fetch_add(1, Ordering::Relaxed);
                let stage = Stage::Paging { run, request: Some(request) };
                self.catch_up.current = Some(Box::new(Current { r#ref, stage }));
            }
        }
    }

    fn caught_up(
        &mut self,
        r#ref: Option<SmolStr>,
        positions: Positions,
        now: Instant,
        out: &mut Outbox,
    ) {
        let token = self.feed.hub().codec().settled(&positions);
        out.send(protocol::caught_up(r#ref.as_deref(), &token));
        self.token_at = now;
        self.token_due = true;
        self.feed.resume(positions);
        self.catch_up.current = None;
        self.start_next(now, out);
    }
}
