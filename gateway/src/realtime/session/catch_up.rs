//! A session's catching up: after the hello, when the client asks, and when the rings were lost.

use std::{
    collections::VecDeque,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

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
    /// Where the feed waits for pages.
    behind: Option<Behind>,
}

/// Why the feed cannot go on without pages, and from where.
#[derive(Debug)]
struct Behind {
    positions: Positions,
    /// It has stopped before this event, by which its user came into a group, and goes on there;
    /// otherwise the rings have left it behind.
    joining: Option<(u16, u64)>,
}

impl Behind {
    /// Whether pages up to here are enough.
    fn is_within(&self, reached: &[u64]) -> bool {
        self.joining.is_none_or(|(shard, position)| {
            reached.get(usize::from(shard)).is_some_and(|reached| *reached >= position)
        })
    }
}

/// How long live events wait for the page that shows a group that their user came into.
const JOINING_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Request {
    r#ref: Option<SmolStr>,
    token: Option<Token>,
    source: Source,
}

/// Where what was missed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The rings if they reach back so far, else the views.
    Nearest,
    /// Who asks for it has seen a jump of versions: something was erased from the log, and the rings
    /// have the same jump.
    Views,
}

#[derive(Debug)]
struct Current {
    r#ref: Option<SmolStr>,
    stage: Stage,
    /// The feed waits for it.
    behind: Option<Behind>,
}

#[derive(Debug)]
enum Stage {
    /// The token is beyond what is known of the log's end.
    Ends(Token, Source),
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
            Stage::Ends(..) => None,
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
        source: Source,
        now: Instant,
        out: &mut Outbox,
    ) {
        if self.catch_up.waiting.len() >= MAX_WAITING {
            let message = "too many syncs are under way".to_owned();
            return reject(Rejected { r#ref, code: "rate_limited", message }, out);
        }
        let token = since.and_then(|since| self.feed.hub().codec().read(&since));
        self.catch_up.waiting.push_back(Request { r#ref, token, source });
        self.start_next(now, out);
    }

    /// The rings went on without the feed: the database has what it missed.
    pub(super) fn lost(&mut self, now: Instant, out: &mut Outbox) {
        let positions = self.feed.positions().into();
        self.catch_up.behind = Some(Behind { positions, joining: None });
        self.start_next(now, out);
    }

    /// The user came into a group: what was there before is in the database.
    pub(super) fn joined(&mut self, event: (u16, u64), now: Instant, out: &mut Outbox) {
        let positions = self.feed.positions().into();
        self.catch_up.behind = Some(Behind { positions, joining: Some(event) });
        self.waits_until = Some(now + JOINING_PATIENCE);
        self.start_next(now, out);
    }

    /// The page has not come in time: live events go on, and it comes when it can.
    pub(super) fn wait_no_longer(&mut self, now: Instant) {
        if self.waits_until.is_none_or(|until| now < until) {
            return;
        }
        self.waits_until = None;
        let current = self.catch_up.current.as_ref().and_then(|current| current.behind.as_ref());
        let behind = current.or(self.catch_up.behind.as_ref());
        if self.feed.is_paused()
            && let Some(Behind { positions, joining: Some((shard, position)) }) = behind
        {
            let mut paged = positions.clone();
            if let Some(paged) = paged.get_mut(usize::from(*shard)) {
                *paged = *position;
            }
            self.feed.resume_within(positions.clone(), paged);
        }
    }

    pub(super) fn ends_noted(&mut self, now: Instant, out: &mut Outbox) {
        let Some(current) = self.catch_up.current.take() else { return };
        let Current { r#ref, stage, behind } = *current;
        match stage {
            Stage::Ends(token, source) => {
                // Beyond the end of a log that has lost its own end: of another time.
                let beyond = !self.feed.hub().beyond_end(&token.furthest()).is_empty();
                self.start(r#ref, (!beyond).then_some(token), source, now, out);
            }
            stage @ Stage::Paging { .. } => {
                self.catch_up.current = Some(Box::new(Current { r#ref, stage, behind }));
            }
        }
    }

    pub(super) fn page(&mut self, page: &Page, now: Instant, out: &mut Outbox) {
        let hub = self.feed.hub();
        let Some(current) = &mut self.catch_up.current else { return };
        let Stage::Paging { run, request } = &mut current.stage else { return };
        let waiting = self.catch_up.behind.as_ref();
        let is_back = waiting.is_none_or(|behind| run.reaches_back_to(&behind.positions));
        let is_enough = |reached: &[u64]| {
            hub.covers(reached) && current.behind.as_ref().is_none_or(|own| own.is_within(reached))
        };
        let turned = run.turn(page, hub.codec(), is_enough);
        // Nobody asked for the page that shows a group, so one without it is nothing to show.
        let is_unasked = current.behind.as_ref().is_some_and(|own| own.joining.is_some());
        let is_idle = turned.is_idle || (is_unasked && page.is_empty);
        if !is_idle {
            let r#ref = current.r#ref.as_deref();
            out.send_page(protocol::sync(r#ref, &turned.token, turned.more, page));
        }
        match turned.step {
            Step::Ask(next) => *request = Some(next),
            Step::Resume(positions) => {
                let r#ref = current.r#ref.take();
                let own = current.behind.take();
                let is_met = |behind: &mut Behind| is_back && behind.is_within(&positions);
                let met = self.catch_up.behind.take_if(is_met);
                self.caught_up(r#ref, positions, own.or(met), now, out);
            }
        }
    }

    fn start_next(&mut self, now: Instant, out: &mut Outbox) {
        if self.catch_up.current.is_some() {
            return;
        }
        if let Some(behind) = self.catch_up.behind.take() {
            let token = Token::Settled(behind.positions.clone());
            // Nothing in memory helps.
            let (run, step) = Run::start(Some(token), |_| false);
            return self.begin(None, run, step, Some(behind), now, out);
        }
        let Some(Request { r#ref, token, source }) = self.catch_up.next_waiting() else { return };
        if let Some(token) = token {
            let beyond = self.feed.hub().beyond_end(&token.furthest());
            if beyond.is_empty() {
                self.start(r#ref, Some(token), source, now, out);
            } else {
                out.run(Effect::NoteEnds(beyond));
                let stage = Stage::Ends(token, source);
                self.catch_up.current = Some(Box::new(Current { r#ref, stage, behind: None }));
            }
        } else {
            self.start(r#ref, None, source, now, out);
        }
    }

    fn start(
        &mut self,
        r#ref: Option<SmolStr>,
        token: Option<Token>,
        source: Source,
        now: Instant,
        out: &mut Outbox,
    ) {
        let hub = self.feed.hub();
        let (run, step) =
            Run::start(token, |positions| source == Source::Nearest && hub.covers(positions));
        self.begin(r#ref, run, step, None, now, out);
    }

    fn begin(
        &mut self,
        r#ref: Option<SmolStr>,
        run: Run,
        step: Step,
        behind: Option<Behind>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let counters = self.feed.hub().counters();
        match step {
            Step::Resume(positions) => {
                counters.ring_hits.fetch_add(1, Ordering::Relaxed);
                self.caught_up(r#ref, positions, behind, now, out);
            }
            Step::Ask(request) => {
                counters.ring_misses.fetch_add(1, Ordering::Relaxed);
                let stage = Stage::Paging { run, request: Some(request) };
                self.catch_up.current = Some(Box::new(Current { r#ref, stage, behind }));
            }
        }
    }

    fn caught_up(
        &mut self,
        r#ref: Option<SmolStr>,
        positions: Positions,
        behind: Option<Behind>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let token = self.feed.hub().codec().settled(&positions);
        out.send(protocol::caught_up(r#ref.as_deref(), &token));
        self.token_at = now;
        self.token_due = true;
        match behind {
            // The event itself is given too, although it is in the page.
            Some(Behind { positions: stopped, joining: Some(_) }) => {
                self.feed.resume_within(stopped, positions);
            }
            Some(Behind { joining: None, .. }) | None => self.feed.resume(positions),
        }
        self.catch_up.current = None;
        self.start_next(now, out);
    }
}
