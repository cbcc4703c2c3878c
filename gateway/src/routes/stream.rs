//! `GET /v1/stream`: the frames of a WebSocket as Server-Sent Events, for those who only listen.

use std::{borrow::Cow, convert::Infallible, ops::Deref, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    Endpoint,
    extract::{Caller, Params},
};
use crate::{error::ApiError, openapi::Operation, state::AppState};

/// How long nothing may be sent: proxies cut what is silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The first thing sent: how soon to come back after a cut, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";
const COMMENT: &[u8] = b":\n\n";

pub fn endpoint() -> Endpoint {
    let token = json!({"type": "string"});
    let text = json!({"type": "string"});
    let operation = Operation::new("stream", "Frames as Server-Sent Events")
        .query("since", &token, "Where to go on; Last-Event-ID counts more.")
        .answers_with(
            200,
            "text/event-stream",
            &text,
            "event: a frame's type, data: the frame, id: a token.",
        )
        .refuses(400, "invalid_body")
        .refuses(403, "forbidden")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/stream", get(stream), operation)
}

#[derive(Deserialize)]
struct Query {
    since: Option<String>,
}

async fn stream(
    State(state): State<AppState>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    if state.shutdown.soft().is_cancelled() {
        return Err(ApiError::unavailable("this server is being stopped"));
    }
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = last.filter(|token| !token.is_empty()).or(query.since.as_deref());
    let frames = state.realtime.subscribe(caller, since);
    let events = stream::iter([Bytes::from_static(RETRY)]).chain(kept_alive(frames));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather answers would hold the frames back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let body = Body::from_stream(events.map(Ok::<_, Infallible>));
    Ok((headers, body).into_response())
}

/// The frames as events, and a comment whenever there is none for long.
fn kept_alive<S>(frames: S) -> impl Stream<Item = Bytes>
where
    S: Stream<Item: Deref<Target = str>> + Unpin,
{
    stream::unfold(frames, async |mut frames| {
        let item = match timeout(KEEP_ALIVE, frames.next()).await {
            Ok(Some(frame)) => event(&frame),
            Ok(None) => return None,
            Err(_) => Bytes::from_static(COMMENT),
        };
        Some((item, frames))
    })
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
}

/// A frame in the format of Server-Sent Events.
fn event(frame: &str) -> Bytes {
    // Outside of its strings JSON may have line ends, which would end the field; inside never.
    let line = frame.replace(['\n', '\r'], " ");
    let Ok(known) = serde_json::from_str::<Frame<'_>>(&line) else {
        tracing::error!("a frame is no frame");
        return Bytes::from_static(COMMENT);
    };
    let id = known.token.map_or_else(String::new, |token| format!("id: {token}\n"));
    Bytes::from(format!("event: {}\n{id}data: {line}\n\n", known.r#type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_an_event_with_its_token_as_id() {
        assert_eq!(event(r#"{"type":"pong"}"#), "event: pong\ndata: {\"type\":\"pong\"}\n\n");
        assert_eq!(
            event(r#"{"type":"token","token":"T"}"#),
            "event: token\nid: T\ndata: {\"type\":\"token\",\"token\":\"T\"}\n\n"
        );
        assert_eq!(event("{\n\"type\":\"x\"\r\n}"), "event: x\ndata: { \"type\":\"x\"  }\n\n");
        assert_eq!(event("nothing"), COMMENT);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_comments() {
        let frames = stream::pending::<String>();
        let mut events = std::pin::pin!(kept_alive(frames));
        assert_eq!(events.next().await.unwrap(), COMMENT);
        let ended = stream::iter([String::from(r#"{"type":"pong"}"#)]);
        let mut events = std::pin::pin!(kept_alive(ended));
        assert!(events.next().await.unwrap().starts_with(b"event: pong"));
        assert_eq!(events.next().await, None);
    }
}
