//! From a request to a WebSocket: the handshake.

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{Request, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use super::websocket::WebSocket;
use crate::error::ApiError;

/// The handshake of a WebSocket, not answered yet.
#[derive(Debug)]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    answer: Response,
}

/// A request that is no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHandshake;

impl IntoResponse for NoHandshake {
    fn into_response(self) -> Response {
        ApiError::malformed("this takes the handshake of a WebSocket").into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = NoHandshake;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoHandshake> {
        let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(NoHandshake)?;
        let request = Request::from_parts(parts.clone(), ());
        let answer = create_response(&request).map_err(|_| NoHandshake)?.map(|()| Body::empty());
        Ok(Self { on_upgrade, answer })
    }
}

impl Upgrade {
    /// Answers, and then does `work` with the socket, if it comes to be.
    pub fn on_upgrade<W: Future<Output = ()> + Send + 'static>(
        self,
        work: impl FnOnce(WebSocket) -> W + Send + 'static,
    ) -> Response {
        let Self { on_upgrade, answer } = self;
        tokio::spawn(async move {
            let socket = match on_upgrade.await {
                Ok(upgraded) => WebSocket::over(upgraded).await,
                Err(error) => return tracing::trace!(%error, "a handshake was not ended"),
            };
            work(socket).await;
        });
        answer
    }
}
