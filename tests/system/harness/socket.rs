//! A small WebSocket client: JSON frames in, JSON frames out.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a frame that is waited for may take.
const FRAME_WITHIN: Duration = Duration::from_secs(20);

/// One device's connection.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects with `token` in the header, says hello, and reads until `ready`.
    pub async fn connect(url: &str, token: &str, device: &str, since: Option<&str>) -> Self {
        let mut socket = Self::open(url, Some(token)).await;
        let mut hello = json!({"type": "hello", "deviceId": device});
        if let Some(since) = since {
            hello["since"] = json!(since);
        }
        socket.send(&hello).await;
        socket.until("ready").await;
        socket
    }

    /// Connects and says nothing.
    pub async fn open(url: &str, token: Option<&str>) -> Self {
        Self::try_open(url, token).await.expect("a WebSocket")
    }

    /// The same; `None` when the gateway cannot be reached.
    pub async fn try_open(url: &str, token: Option<&str>) -> Option<Self> {
        let address = format!("{}/v1/connect", url.replacen("http", "ws", 1));
        let mut request = address.into_client_request().expect("an address");
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        let (stream, _) = connect_async(request).await.ok()?;
        Some(Self { stream })
    }

    pub async fn send(&mut self, frame: &Value) {
        self.try_send(frame).await.expect("an open WebSocket");
    }

    /// The same; `None` when the connection is closed.
    pub async fn try_send(&mut self, frame: &Value) -> Option<()> {
        self.stream.send(Message::text(frame.to_string())).await.ok()
    }

    /// Sends `text` as it is: for frames that are wrong.
    pub async fn send_text(&mut self, text: &str) {
        self.stream.send(Message::text(text.to_owned())).await.expect("an open WebSocket");
    }

    /// The next frame, or the code that the connection was closed with.
    pub async fn next(&mut self) -> Result<Value, u16> {
        match tokio::time::timeout(FRAME_WITHIN, self.read()).await {
            Ok(frame) => frame,
            Err(_) => panic!("no frame within {FRAME_WITHIN:?}"),
        }
    }

    async fn read(&mut self) -> Result<Value, u16> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_),
                )) => {}
                // Cut, with no code.
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// Reads until a frame of type `kind`, and returns it; others are dropped.
    ///
    /// # Panics
    /// If the connection closes before, or the frame does not come in time.
    pub async fn until(&mut self, kind: &str) -> Value {
        let mut others = Vec::new();
        let end = tokio::time::Instant::now() + FRAME_WITHIN;
        loop {
            match tokio::time::timeout_at(end, self.read()).await {
                Ok(Ok(frame)) if frame["type"] == kind => return frame,
                Ok(Ok(frame)) => others.push(frame),
                Ok(Err(code)) => panic!("closed with {code} before {kind:?}, after {others:?}"),
                Err(_) => panic!("no {kind:?} within {FRAME_WITHIN:?}, but {others:?}"),
            }
        }
    }

    /// Reads until the server closes, and returns the code.
    pub async fn until_closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}
