//! `GET /v1/connect`: a WebSocket.
//!
//! A program that sends `Authorization` is answered 401 before the upgrade if it is wrong. A
//! browser's page cannot see such an answer, only a socket that did not open, and would try again
//! for ever. So for the cookie: from an origin that is not on the allow list, or of a device that
//! was unlinked, the socket opens and closes with its code; and a cookie that has expired counts as none, so that the `hello` can
//! bring a newer session token, or the socket closes with the code for that.

use axum::{
    extract::State,
    http::{HeaderMap, Method, header},
    response::Response,
    routing::get,
};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::Endpoint;
use crate::{
    auth::{AuthError, request},
    error::ApiError,
    openapi::Operation,
    realtime::{
        protocol::Close,
        socket::{self, Upgrade},
    },
    state::AppState,
};

pub fn endpoint() -> Endpoint {
    let operation = Operation::open("connect", "Open a WebSocket")
        .answers_empty(101, "It is open: send the hello frame.")
        .refuses(400, "invalid_body")
        .refuses(401, "unauthenticated")
        .refuses(503, "unavailable");
    Endpoint::new("GET", "/v1/connect", get(connect), operation)
}

async fn connect(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    if state.shutdown.soft().is_cancelled() {
        return Err(ApiError::unavailable("this server is being stopped"));
    }
    let (authenticator, origins) = (&state.authenticator, &state.origins);
    let devices = state.realtime.devices();
    let caller = match request::caller(authenticator, origins, devices, &method, &headers).await {
        Ok(identity) => Some(identity),
        Err(AuthError::Missing) => None,
        Err(error) if headers.contains_key(header::AUTHORIZATION) => return Err(error.into()),
        Err(AuthError::Origin | AuthError::Unlinked) => {
            return Ok(close(upgrade, Close::Forbidden));
        }
        Err(
            AuthError::Scheme
            | AuthError::Invalid
            | AuthError::Expired
            | AuthError::Subject
            | AuthError::KeysUnavailable,
        ) => None,
    };
    let realtime = state.realtime.clone();
    Ok(socket::connect(upgrade, realtime, caller, move |token| {
        state.authenticator.bearer_now(token)
    }))
}

/// Opens the socket only to say why it cannot stay open.
fn close(upgrade: Upgrade, why: Close) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let frame = CloseFrame { code: why.code().into(), reason: why.name().into() };
        // Whether it arrives or not, the socket is over.
        let _ = socket.send(Message::Close(Some(frame))).await;
    })
}
