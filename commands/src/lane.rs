//! The way to one shard's owner, in order.
//!
//! Requests go out one after the other on one inbox, many under way at once. When the shard turns
//! out to have no owner, or the connection is cut, everything that is unanswered is sent again, in
//! its order, as soon as a first one of them (the probe) is answered. New ones wait behind.

use std::{collections::BTreeMap, time::Duration};

use async_nats::{Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use parley_nats::{Connection, subjects::shard_subject};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    config::ClientConfig,
    problem::{Code, Problem},
    wire::Reply,
};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(200);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(50);

/// A command on its way.
#[derive(Debug)]
pub struct Job {
    pub payload: Bytes,
    pub deadline: Instant,
    pub done: oneshot::Sender<Reply>,
}

#[derive(Debug)]
struct Sent {
    job: Job,
    /// When the attempt that is out has taken too long; `None` if it is to be sent again.
    until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    /// No owner, or no connection: not before this.
    Paused(Instant),
    /// One request is out to see whether there is an owner again.
    Probing(u64),
}

struct Lane {
    connection: Connection,
    subject: Subject,
    inbox: String,
    attempt_timeout: Duration,
    /// By the order of their arrival.
    sent: BTreeMap<u64, Sent>,
    next: u64,
    state: State,
    pause: Duration,
}

/// Starts a lane; it ends when all senders are gone.
pub fn start(connection: &Connection, shard: u16, config: &ClientConfig) -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel(config.queue_commands);
    let lane = Lane {
        connection: connection.clone(),
        subject: Subject::from(shard_subject(shard)),
        inbox: connection.client().new_inbox(),
        attempt_timeout: config.attempt_timeout,
        sent: BTreeMap::new(),
        next: 0,
        state: State::Open,
        pause: FIRST_PAUSE,
    };
    tokio::spawn(lane.run(jobs, config.queue_commands));
    sender
}

impl Lane {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, limit: usize) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let Some(mut replies) = self.subscribe().await else { return };
        let mut epoch = self.connection.link().epoch;
        loop {
            let is_open = matches!(self.state, State::Open);
            let idle = is_open && self.sent.is_empty();
            let open = is_open && self.sent.len() < limit;
            tokio::select! {
                reply = replies.next() => match reply {
                    Some(reply) => self.take(reply).await,
                    None => return,
                },
                job = jobs.recv(), if open => match job {
                    Some(job) => {
                        let number = self.next;
                        self.next += 1;
                        self.sent.insert(number, Sent { job, until: None });
                        self.send(number).await;
                    }
                    None if self.sent.is_empty() => return,
                    None => self.tick(&mut tick).await,
                },
                _ = tick.tick(), if !idle => self.tend().await,
                () = self.connection.cut(epoch) => {
                    epoch = self.connection.link().epoch;
                    self.hold();
                }
            }
        }
    }

    /// Nobody will send any more, but some still wait.
    async fn tick(&mut self, tick: &mut tokio::time::Interval) {
        tick.tick().await;
        self.tend().await;
    }

    async fn subscribe(&self) -> Option<Subscriber> {
        match self.connection.client().subscribe(format!("{}.*", self.inbox)).await {
            Ok(replies) => Some(replies),
            Err(error) => {
                tracing::error!(%error, "commands cannot be sent");
                None
            }
        }
    }

    async fn send(&mut self, number: u64) {
        let Some(sent) = self.sent.get_mut(&number) else { return };
        sent.until = Some(Instant::now() + self.attempt_timeout);
        let payload = sent.job.payload.clone();
        let reply = Subject::from(format!("{}.{number}", self.inbox));
        let client = self.connection.client();
        if let Err(error) = client.publish_with_reply(self.subject.clone(), reply, payload).await {
            tracing::debug!(%error, "a command was not sent and will be again");
            self.hold();
        }
    }

    async fn take(&mut self, reply: Message) {
        let number = reply.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        let Some(number) = number else { return };
        if reply.status == Some(StatusCode::NO_RESPONDERS) {
            // Of an attempt that was given up already, it says nothing new.
            if self.sent.get(&number).is_some_and(|sent| sent.until.is_some()) {
                self.hold();
            }
            return;
        }
        // The second answer to a command that was sent twice finds nobody.
        let Some(sent) = self.sent.remove(&number) else { return };
        let reply = serde_json::from_slice(&reply.payload).unwrap_or_else(|error| {
            Reply::Problem(Problem::new(Code::Internal, error.to_string()))
        });
        // A caller that has gone does not want it any more.
        drop(sent.job.done.send(reply));
        if matches!(self.state, State::Probing(_)) {
            self.open().await;
        }
    }

    /// Everything unanswered is to be sent again, but not at once.
    fn hold(&mut self) {
        for sent in self.sent.values_mut() {
            sent.until = None;
        }
        self.state = State::Paused(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }

    /// There is an owner: what was held back goes out, in its order.
    async fn open(&mut self) {
        self.state = State::Open;
        self.pause = FIRST_PAUSE;
        let held: Vec<u64> = self
            .sent
            .iter()
            .filter(|(_, sent)| sent.until.is_none())
            .map(|(number, _)| *number)
            .collect();
        for number in held {
            self.send(number).await;
        }
    }

    /// Gives up what is too late, sends again what went unanswered, probes.
    async fn tend(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> = self
            .sent
            .iter()
            .filter(|(_, sent)| sent.job.deadline <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            if let Some(sent) = self.sent.remove(&number) {
                let problem = Problem::unavailable("no server took the command in time");
                drop(sent.job.done.send(Reply::Problem(problem)));
            }
        }
        let unanswered = |sent: &Sent| sent.until.is_some_and(|until| until <= now);
        match self.state {
            State::Open => {
                let again: Vec<u64> = self
                    .sent
                    .iter()
                    .filter(|(_, sent)| unanswered(sent))
                    .map(|(number, _)| *number)
                    .collect();
                for number in again {
                    self.send(number).await;
                }
            }
            State::Probing(number) => match self.sent.get(&number) {
                Some(sent) if !unanswered(sent) => {}
                Some(_) | None => self.hold(),
            },
            State::Paused(until) if until <= now && self.connection.link().connected => {
                match self.sent.keys().next().copied() {
                    Some(first) => {
                        self.state = State::Probing(first);
                        self.send(first).await;
                    }
                    None => self.state = State::Open,
                }
            }
            State::Paused(_) => {}
        }
    }
}
