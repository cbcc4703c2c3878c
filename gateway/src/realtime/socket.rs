//! One WebSocket: the loop that joins a session to its wire, the commands and the views.
//!
//! One task a connection, none a frame. What an idle connection holds is its session, the buffers
//! of the wire and a timer: 6 KiB at most in all, which a test measures.

mod upgrade;
mod websocket;
mod wire;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use axum::response::Response;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt, stream::FuturesUnordered};
use parley_commands::Request;
use parley_domain::{Action, Answer, ConversationId, UserId};
use rand::Rng;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::CloseFrame};

pub use self::upgrade::{NoHandshake, Upgrade};
use self::wire::{Event, ROOM_BYTES, Wire};
use super::{
    Realtime, Shared, follow,
    session::{Command, Effect, Ending, Input, Outbox, Refused, Session, Ticket},
    sync::Page,
    typing::MayType,
};
use crate::{
    auth::{AuthError, Identity},
    devices::Watch,
    presence::{Arrival, Watcher},
};

/// How long a client has to answer a close.
const LINGER: Duration = Duration::from_secs(1);

/// Answers `GET /v1/connect`. `known` is whom the request's header or cookie named, and `check`
/// reads the session token of a hello.
pub fn connect(
    upgrade: Upgrade,
    realtime: Realtime,
    known: Option<Identity>,
    check: impl Fn(&str) -> Result<Identity, AuthError> + Send + Sync + 'static,
) -> Response {
    upgrade.on_upgrade(move |socket| {
        let tasks = realtime.0.shutdown.tasks().clone();
        let sockets = realtime.0.sockets.clone();
        tasks.track_future(
            sockets.track_future(async move { run(&realtime, socket, known, check).await }),
        )
    })
}

/// Runs a connection to its end.
pub async fn run<S>(
    realtime: &Realtime,
    stream: S,
    known: Option<Identity>,
    check: impl Fn(&str) -> Result<Identity, AuthError> + Send,
) where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send,
{
    let shared = &*realtime.0;
    shared.counters.open.fetch_add(1, Ordering::Relaxed);
    let mut wire = Wire::new(stream);
    let mut out = Outbox::default();
    let hard = shared.shutdown.hard();
    tokio::select! {
        () = live(realtime, &mut wire, &mut out, known, check) => {}
        () = hard.cancelled() => {}
    }
    if let Some(ending) = out.ending().cloned() {
        tracing::debug!(code = ending.close.code(), reason = %ending.reason, "a socket is closed");
        realtime.count_close(ending.close);
        finish(shared, &mut wire, &mut out, ending).await;
    } else if !hard.is_cancelled() {
        // The client closed: it waits for the answer. If it is just gone, this fails at once.
        let _ = timeout(LINGER, wire.stream().close()).await;
    }
    shared.counters.open.fetch_sub(1, Ordering::Relaxed);
}

enum Asked {
    Admitted(Result<Identity, AuthError>),
    Ends,
    Page(Page),
}

/// Until the client leaves or the session ends; then `out` knows how.
async fn live<S>(
    realtime: &Realtime,
    wire: &mut Wire<S>,
    out: &mut Outbox,
    known: Option<Identity>,
    check: impl Fn(&str) -> Result<Identity, AuthError>,
) where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send,
{
    let shared = &*realtime.0;
    let known = known.map(|identity| realtime.who(identity));
    let mut session =
        Session::new(shared.session.clone(), shared.hub.clone(), known, Instant::now());
    // Boxed: even an empty set has room for one of its futures.
    let mut commands = FuturesUnordered::new();
    let mut asking: Option<Pin<Box<dyn Future<Output = Asked> + Send>>> = None;
    let mut here: Option<Arrival> = None;
    let mut watcher: Option<Watcher> = None;
    let mut may_have_events = false;
    let mut draining = false;
    let mut watch: Option<Watch> = None;
    let timer = sleep_until(session.deadline().into());
    tokio::pin!(timer);
    loop {
        while let Some(effect) = out.next_effect() {
            match effect {
                Effect::Authenticate(token) => {
                    let (checked, devices) = (check(&token.0), shared.devices.clone());
                    asking = Some(Box::pin(async move {
                        Asked::Admitted(match checked {
                            Ok(identity) => devices.admit(&identity).await.map(|()| identity),
                            Err(error) => Err(error),
                        })
                    }));
                }
                Effect::Run(run) => commands.push(Box::pin(execute(shared, *run))),
                Effect::NoteEnds(shards) => {
                    let (hub, nats) = (shared.hub.clone(), shared.nats.clone());
                    asking = Some(Box::pin(async move {
                        follow::note_ends(&hub, &nats, &shards).await;
                        Asked::Ends
                    }));
                }
                Effect::Typing { conversation_id, typing } => {
                    if let Some(user) = session.user() {
                        tell_typing(shared, conversation_id, user, typing);
                    }
                }
                Effect::Watch(users) => {
                    if let Some(me) = session.user() {
                        let watch = || shared.presence.watcher(me.clone());
                        watcher.get_or_insert_with(watch).replace(users);
                    }
                }
            }
        }
        if here.is_none() {
            here = session.user().map(|user| shared.presence.arrive(user));
        }
        if watch.is_none()
            && let Some((user, device, registration)) = session.device()
        {
            watch = Some(shared.devices.watch(user, device, registration));
        }
        while may_have_events && (out.bytes() < ROOM_BYTES || session.has_overflowed()) {
            may_have_events = session.feed(ROOM_BYTES, Instant::now(), out);
        }
        if out.ending().is_some() {
            return;
        }
        if asking.is_none()
            && out.bytes() < ROOM_BYTES
            && let (Some(user), Some(request)) = (session.user().cloned(), session.next_page())
        {
            let realtime = realtime.clone();
            asking =
                Some(Box::pin(
                    async move { Asked::Page(realtime.0.pages.read(&user, &request).await) },
                ));
        }
        let deadline = next_deadline(shared, &session, wire);
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        let listening = session.is_listening();
        tokio::select! {
            biased;
            () = over(watch.as_ref()) => session.receive(Input::Unlinked, Instant::now(), out),
            Some((ticket, result)) = commands.next(), if !commands.is_empty() => {
                session.receive(Input::Answered(&ticket, result), Instant::now(), out);
            }
            event = poll_fn(|context| wire.poll(context, out, listening)) => {
                let input = match &event {
                    Event::Read(Message::Text(text)) => Input::Text(text),
                    Event::Read(Message::Binary(_)) => Input::Binary,
                    Event::Read(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Input::Heard,
                    Event::TooLarge => Input::TooLarge,
                    Event::Garbled => Input::Garbled,
                    Event::Gone | Event::Read(Message::Close(_)) => return,
                    Event::Room => continue,
                };
                session.receive(input, Instant::now(), out);
                may_have_events = true;
            }
            () = woken(&session) => may_have_events = true,
            () = watched(watcher.as_ref()), if out.bytes() < ROOM_BYTES => {
                let mut frames = Vec::new();
                if let Some(watcher) = &watcher {
                    watcher.take(|frame| frames.push(frame));
                }
                for frame in frames {
                    session.receive(Input::Presence(frame), Instant::now(), out);
                }
            }
            asked = poll_asked(&mut asking), if asking.is_some() => {
                asking = None;
                let now = Instant::now();
                match asked {
                    Asked::Admitted(Err(AuthError::Unlinked)) => {
                        session.receive(Input::Unlinked, now, out);
                    }
                    Asked::Admitted(result) => {
                        let who = result.map(|identity| realtime.who(identity));
                        session.receive(Input::Authenticated(who.map_err(reason)), now, out);
                    }
                    Asked::Ends => session.receive(Input::EndsNoted, now, out),
                    Asked::Page(page) => session.receive(Input::Page(&page), now, out),
                }
                may_have_events = true;
            }
            () = timer.as_mut() => {
                let now = Instant::now();
                if wire.blocked_since().is_some_and(|since| now >= since + shared.config.write_timeout) {
                    tracing::debug!("a socket that takes nothing is dropped");
                    return;
                }
                session.receive(Input::Tick, now, out);
                may_have_events = true;
                timer.as_mut().reset(next_deadline(shared, &session, wire));
            }
            () = shared.shutdown.soft().cancelled(), if !draining => {
                draining = true;
                session.receive(drain(shared.config.drain), Instant::now(), out);
            }
        }
    }
}

/// Tells the other gateways, at once or as soon as it is known that it may be told.
fn tell_typing(shared: &Shared, conversation: ConversationId, user: &UserId, typing: bool) {
    let (hub, nats, user) = (shared.hub.clone(), shared.nats.clone(), user.clone());
    match hub.may_type(&conversation, &user) {
        MayType::Told => {
            // What the connection cannot take at once is dropped.
            follow::publish_typing(&nats, &conversation, &user, typing).now_or_never();
        }
        // A few a session at most, by the rate at which it is told on; they end within a second.
        MayType::Unknown if typing => {
            shared.shutdown.tasks().spawn(async move {
                if hub.may_type_soon(&conversation, &user).await == MayType::Told {
                    follow::publish_typing(&nats, &conversation, &user, typing).await;
                }
            });
        }
        MayType::Unknown | MayType::Unheard | MayType::Stranger => {}
    }
}

async fn over(watch: Option<&Watch>) {
    match watch {
        Some(watch) => watch.over().await,
        None => std::future::pending().await,
    }
}

async fn woken(session: &Session) {
    match session.live() {
        Some(feed) => feed.woken().await,
        None => std::future::pending().await,
    }
}

async fn watched(watcher: Option<&Watcher>) {
    match watcher {
        Some(watcher) => watcher.woken().await,
        None => std::future::pending().await,
    }
}

async fn poll_asked(asking: &mut Option<Pin<Box<dyn Future<Output = Asked> + Send>>>) -> Asked {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

fn next_deadline<S>(shared: &Shared, session: &Session, wire: &Wire<S>) -> tokio::time::Instant
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let deadline = session.deadline();
    let blocked = wire.blocked_since().map(|since| since + shared.config.write_timeout);
    blocked.map_or(deadline, |blocked| blocked.min(deadline)).into()
}

/// Clients come back spread over the time that the drain takes.
fn drain(drain: Duration) -> Input<'static> {
    let spread = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
    Input::Drain {
        reconnect_after_ms: rand::rng().random_range(0..=spread),
        until: Instant::now() + drain,
    }
}

fn reason(error: AuthError) -> &'static str {
    match error {
        AuthError::Expired => "the sessionToken has expired",
        AuthError::Unlinked => "the device was unlinked",
        AuthError::Missing
        | AuthError::Scheme
        | AuthError::Invalid
        | AuthError::Subject
        | AuthError::KeysUnavailable
        | AuthError::Origin => "the sessionToken is not valid",
    }
}

async fn execute(
    shared: &Shared,
    (ticket, mut command): (Ticket, Command),
) -> (Ticket, Result<Answer, Refused>) {
    if matches!(command.action, Action::MarkRead { .. } | Action::MarkDelivered { .. }) {
        let (user, conversation) = (&command.actor.user_id, &ticket.conversation_id);
        command.actor.is_discreet = shared.accounts.is_discreet(user, conversation).await;
    }
    let request = Request {
        conversation_id: ticket.conversation_id.clone(),
        actor: command.actor,
        action: command.action,
        traceparent: None,
    };
    let result = shared.commands.execute(request).await.map_err(|problem| Refused {
        code: problem.code.as_str().into(),
        message: problem.detail.into(),
        retry_after_ms: problem.retry_after_ms.unwrap_or_default(),
    });
    (ticket, result)
}

/// Sends what waits and the close, and gives the client a moment to answer it: a socket that is
/// dropped with unread bytes resets the connection, and the close code may be lost with it.
async fn finish<S>(shared: &Shared, wire: &mut Wire<S>, out: &mut Outbox, ending: Ending)
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let close = Message::Close(Some(CloseFrame {
        code: ending.close.code().into(),
        reason: ending.reason.as_ref().into(),
    }));
    let said = timeout(shared.config.write_timeout, async {
        poll_fn(|context| wire.poll_write(context, out)).await?;
        wire.stream().send(close).await
    });
    if !matches!(said.await, Ok(Ok(()))) {
        return;
    }
    if wire.has_ended() {
        // It can no longer be read, so the client's answer cannot be seen.
        return tokio::time::sleep(LINGER).await;
    }
    let answered = async {
        while !matches!(poll_fn(|context| wire.poll_read(context)).await, Event::Gone) {
            if wire.has_ended() {
                break;
            }
        }
    };
    // An answer that never comes changes nothing.
    let _ = timeout(LINGER, answered).await;
}
